// limit-load: work that runs into a limit. Waits for a byte on standard input, so that it can be put under the limit first, works,
// and prints "key=value" lines about how far it came.
//
//   memory MIB          touches so much memory, 1 MiB at a time
//   forks COUNT         makes so many children that live until the end
//   spin CPU MS         computes on one processor for that long; cpu < 0 for any
//   affinity            on how many processors it may run, and on which first
//   write FILE MIB      writes so much past the page cache
//   read FILE MIB MS    reads for that long from a mebibyte of it on, past the page cache
//   hugepages MIB       touches so much memory in huge pages of 2 MiB
//   wait                until standard input ends
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void use_memory(long count)
{
    for (long i = 0; i < count; i++) {
        char *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (block == MAP_FAILED) {
            printf("refused=%s\n", strerrorname_np(errno));
            return;
        }
        // Differing bytes in every page, so that nothing can be merged or left out.
        for (int page = 0; page < 256; page++)
            *(long *)(block + page * 4096) = i * 256 + page + 1;
    }
    printf("survived=%ld\n", count);
}

static void make_children(long count)
{
    long made = 0, code = 0;
    pid_t children[1024];
    while (made < count && made < 1024) {
        pid_t child = fork();
        if (child == 0)
            for (;;)
                pause();
        if (child < 0) {
            code = errno;
            break;
        }
        children[made++] = child;
    }
    printf("made=%ld\nrefused=%s\n", made, code ? strerrorname_np((int)code) : "none");
    for (long i = 0; i < made; i++) {
        kill(children[i], SIGKILL);
        waitpid(children[i], NULL, 0);
    }
}

static void spin(int cpu, long milliseconds)
{
    if (cpu >= 0) {
        cpu_set_t set;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        if (sched_setaffinity(0, sizeof set, &set) != 0)
            printf("affinity=%s\n", strerrorname_np(errno));
    }
    double end = seconds(CLOCK_MONOTONIC) + (double)milliseconds / 1e3;
    volatile unsigned long work = 0;
    while (seconds(CLOCK_MONOTONIC) < end)
        for (int i = 0; i < 10000; i++)
            work++;
    printf("cpu=%.3f\n", seconds(CLOCK_PROCESS_CPUTIME_ID));
}

static void report_affinity(void)
{
    cpu_set_t set;
    sched_getaffinity(0, sizeof set, &set);
    int first = 0;
    while (first < CPU_SETSIZE && !CPU_ISSET(first, &set))
        first++;
    printf("count=%d\nfirst=%d\n", CPU_COUNT(&set), first);
}

static void write_past_cache(const char *path, long count)
{
    int file = open(path, O_WRONLY | O_CREAT | O_DIRECT, 0600);
    void *block;
    if (file < 0 || posix_memalign(&block, 4096, 1 << 18) != 0) {
        printf("refused=%s\n", strerrorname_np(errno));
        return;
    }
    memset(block, 7, 1 << 18);
    double start = seconds(CLOCK_MONOTONIC);
    for (long i = 0; i < count * 4; i++)
        if (write(file, block, 1 << 18) != 1 << 18) {
            printf("refused=%s\n", strerrorname_np(errno));
            return;
        }
    printf("seconds=%.3f\n", seconds(CLOCK_MONOTONIC) - start);
}

static void read_past_cache(const char *path, long first, long milliseconds)
{
    int file = open(path, O_RDONLY | O_DIRECT);
    void *block;
    if (file < 0 || posix_memalign(&block, 4096, 1 << 16) != 0) {
        printf("refused=%s\n", strerrorname_np(errno));
        return;
    }
    double end = seconds(CLOCK_MONOTONIC) + (double)milliseconds / 1e3;
    long count = 0;
    // 16 MiB, again and again: one after the other, so that a disk with several readers has to choose.
    for (; seconds(CLOCK_MONOTONIC) < end; count++)
        if (pread(file, block, 1 << 16, (first << 20) + (count % 256 << 16)) != 1 << 16) {
            printf("refused=%s\n", strerrorname_np(errno));
            return;
        }
    printf("reads=%ld\n", count);
}

static void on_bus_error(int signal)
{
    (void)signal;
    static const char text[] = "refused=SIGBUS\n";
    _exit(write(1, text, sizeof text - 1) < 0);
}

static void use_huge_pages(long megabytes)
{
    signal(SIGBUS, on_bus_error);
    char *block = mmap(NULL, (size_t)megabytes << 20, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
    if (block == MAP_FAILED) {
        printf("refused=%s\n", strerrorname_np(errno));
        return;
    }
    for (long i = 0; i < megabytes; i += 2)
        block[i << 20] = 1;
    printf("survived=%ld\n", megabytes);
}

int main(int count, char **words)
{
    char byte;
    const char *work = count > 1 ? words[1] : "";
    if (read(0, &byte, 1) < 0)
        return 3;
    if (strcmp(work, "memory") == 0 && count == 3)
        use_memory(atol(words[2]));
    else if (strcmp(work, "forks") == 0 && count == 3)
        make_children(atol(words[2]));
    else if (strcmp(work, "spin") == 0 && count == 4)
        spin(atoi(words[2]), atol(words[3]));
    else if (strcmp(work, "affinity") == 0)
        report_affinity();
    else if (strcmp(work, "write") == 0 && count == 4)
        write_past_cache(words[2], atol(words[3]));
    else if (strcmp(work, "read") == 0 && count == 5)
        read_past_cache(words[2], atol(words[3]), atol(words[4]));
    else if (strcmp(work, "hugepages") == 0 && count == 3)
        use_huge_pages(atol(words[2]));
    else if (strcmp(work, "wait") == 0)
        while (read(0, &byte, 1) > 0) {}
    else
        return 2;
    return 0;
}
