// What an attacker would do, one command each. Static, so that it runs in any root file system.
//
//   hostile swap PATH PATH      exchanges two names until standard input ends; prints how often
//   hostile hunt FILE           until FILE is there: attaches to every process it can see, reads what is open in it
//   hostile rob FILE MARK       the same, but takes from those that are not programs of the container yet: looks for MARK in all
//                               their memory and in their registers, and at their descriptors; prints how many it got hold of,
//                               and the most memory that one of them had
//   hostile overwrite FILE      until FILE is there: tries to open every process's program for writing
//   hostile calls               makes calls that the default filter denies; prints each with its errno
//   hostile sockets             asks for sockets of dangerous families in three ways; prints each with its errno
//   hostile peers               lists abstract sockets and connects to every socket with a name that it can see
//   hostile talk PATH…          connects to sockets and says which of them are closed by the other side within 2 s
//   hostile read FILE           says whether it can be opened for reading
//   hostile churn SECONDS       makes short processes and prints how many of them a signal has ended
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// The other processor than the one on which containers are made, when there are two.
static void pin(void) {
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) != 0) return;
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; cpu--) {
        if (!CPU_ISSET(cpu, &all)) continue;
        CPU_SET(cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
        return;
    }
}

static int ended(int fd) {
    struct pollfd input = {.fd = fd, .events = POLLIN};
    return poll(&input, 1, 0) > 0;
}

static int swap(const char *a, const char *b) {
    pin();
    long count = 0;
    puts("swapping");
    fflush(stdout);
    for (;; count++) {
        if (syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2 /* RENAME_EXCHANGE */) != 0) {
            perror("exchange");
            return 1;
        }
        if (count % 256 == 0 && ended(0)) break;
    }
    // An even number: both names stand for what they stood for.
    if (count % 2 == 0) syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2);
    printf("%ld\n", count);
    return 0;
}

static int exists(const char *file) { return access(file, F_OK) == 0; }

// Calls `visit` with the number of every process but this one and the first.
static void each_process(void (*visit)(int)) {
    DIR *proc = opendir("/proc");
    if (!proc) return;
    for (struct dirent *entry; (entry = readdir(proc));) {
        int pid = atoi(entry->d_name);
        if (pid > 1 && pid != getpid()) visit(pid);
    }
    closedir(proc);
}

static long seen, attached, foreign;

// Whether a process is one of the container's programs, all of which are busybox, sleep and the like under /bin.
static int is_ours(const char *target) { return strncmp(target, "/bin/", 5) == 0; }

static void report(const char *what, int pid, const char *value) {
    if (foreign++ < 20) printf("%s %d %s\n", what, pid, value);
}

static ssize_t follow(const char *path, char *text, size_t size) {
    ssize_t length = readlink(path, text, size - 1);
    text[length > 0 ? length : 0] = 0;
    return length;
}

static void look(int pid) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    int first = follow(path, text, sizeof text) > 0 && !is_ours(text);
    if (first) report("program", pid, text);
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDWR | O_CLOEXEC);
    if (memory >= 0) {
        snprintf(path, sizeof path, "/proc/%d/exe", pid);
        if (follow(path, text, sizeof text) > 0 && !is_ours(text)) report("memory", pid, text);
        close(memory);
    }
    for (int number = 0; number < 64; number++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
        if (follow(path, text, sizeof text) <= 0) continue;
        int plain = strncmp(text, "pipe:", 5) == 0 || strcmp(text, "/dev/null") == 0 || is_ours(text);
        if (number > 2 && !plain) report("descriptor", pid, text);
    }
}

static void hunt_one(int pid) {
    char path[64], text[4096];
    seen++;
    look(pid);
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) return;
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    int status;
    waitpid(pid, &status, __WALL);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    if (follow(path, text, sizeof text) > 0) {
        if (is_ours(text)) attached++;
        else report("attached", pid, text);
    }
    look(pid);
    ptrace(PTRACE_DETACH, pid, 0, 0);
}

static int hunt(const char *stop) {
    pin();
    puts("hunting");
    fflush(stdout);
    while (!exists(stop)) each_process(hunt_one);
    printf("seen=%ld attached=%ld foreign=%ld\n", seen, attached, foreign);
    return 0;
}

static const char *mark;
static long early, taken, most, sockets_seen;

static void search_memory(int pid) {
    static char bytes[1 << 20];
    char path[64], line[512];
    long before = taken;
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    int memory = open(path, O_RDONLY | O_CLOEXEC);
    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    FILE *maps = fopen(path, "re");
    while (maps && memory >= 0 && fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        if (sscanf(line, "%lx-%lx", &start, &end) != 2) continue;
        line[strcspn(line, "\n")] = 0;
        for (unsigned long place = start; place < end;) {
            ssize_t got = pread(memory, bytes, sizeof bytes, (off_t)place);
            if (got <= 0) break;
            taken += got;
            if (memmem(bytes, (size_t)got, mark, strlen(mark))) report("mark", pid, line);
            // The mark may lie across two reads.
            place += (unsigned long)got < sizeof bytes ? (unsigned long)got : sizeof bytes - strlen(mark);
        }
    }
    if (maps) fclose(maps);
    if (memory >= 0) close(memory);
    if (taken - before > most) most = taken - before;
}

static void search_registers(int pid) {
    static const int sets[] = {1 /* NT_PRSTATUS */, 2 /* NT_FPREGSET */, 0x202 /* NT_X86_XSTATE */};
    static char bytes[1 << 14];
    for (unsigned i = 0; i < sizeof sets / sizeof *sets; i++) {
        struct iovec part = {bytes, sizeof bytes};
        if (ptrace(PTRACE_GETREGSET, pid, sets[i], &part) != 0) continue;
        for (const char *piece = mark; strlen(piece) >= 8; piece++)
            if (memmem(bytes, part.iov_len, piece, 8)) report("registers", pid, piece);
    }
}

static void search_descriptors(int pid) {
    char path[64], text[4096];
    for (int number = 3; number < 256; number++) {
        snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, number);
        if (follow(path, text, sizeof text) <= 0) continue;
        // The one over which it reports that its program cannot run.
        if (strncmp(text, "socket:", 7) == 0) sockets_seen++;
        else report("descriptor", pid, text);
    }
}

static void rob_one(int pid) {
    char path[64], text[4096];
    seen++;
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) return;
    ptrace(PTRACE_INTERRUPT, pid, 0, 0);
    int status;
    waitpid(pid, &status, __WALL);
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    if (WIFSTOPPED(status) && follow(path, text, sizeof text) > 0) {
        attached++;
        if (!is_ours(text)) {
            early++;
            search_memory(pid);
            search_registers(pid);
            search_descriptors(pid);
        }
    }
    ptrace(PTRACE_DETACH, pid, 0, 0);
}

static int rob(const char *stop, const char *what) {
    pin();
    mark = what;
    puts("hunting");
    fflush(stdout);
    while (!exists(stop)) each_process(rob_one);
    printf("seen=%ld attached=%ld early=%ld bytes=%ld most=%ld sockets=%ld foreign=%ld\n", seen, attached, early, taken, most,
           sockets_seen, foreign);
    return 0;
}

static void overwrite_one(int pid) {
    char path[64], text[4096];
    seen++;
    snprintf(path, sizeof path, "/proc/%d/exe", pid);
    int program = open(path, O_WRONLY | O_CLOEXEC);
    if (program < 0) return;
    follow(path, text, sizeof text);
    report("writable", pid, text);
    close(program);
}

static int overwrite(const char *stop) {
    pin();
    puts("hunting");
    fflush(stdout);
    while (!exists(stop)) {
        each_process(overwrite_one);
        overwrite_one(1);
    }
    printf("seen=%ld foreign=%ld\n", seen, foreign);
    return 0;
}

static void say(const char *name, long result) {
    printf("%s=%d\n", name, result >= 0 ? 0 : errno);
    if (result > 2) close((int)result);
}

static int calls(void) {
    char zero[256] = {0};
    say("bpf", syscall(SYS_bpf, 0, zero, sizeof zero));
    say("userfaultfd", syscall(SYS_userfaultfd, 0));
    say("io_uring_setup", syscall(SYS_io_uring_setup, 1, zero));
    say("io_uring_enter", syscall(SYS_io_uring_enter, -1, 0, 0, 0, 0, 0));
    say("keyctl", syscall(SYS_keyctl, 0, -3, 0));
    say("add_key", syscall(SYS_add_key, "user", "x", "y", 1, -3));
    say("request_key", syscall(SYS_request_key, "user", "x", 0, 0));
    say("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, 0));
    say("open_tree", syscall(SYS_open_tree, AT_FDCWD, "/", 0x80001));
    say("fsopen", syscall(SYS_fsopen, "tmpfs", 0));
    say("move_mount", syscall(SYS_move_mount, -1, "", -1, "", 0));
    say("umount2", syscall(SYS_umount2, "/proc", 2));
    say("pivot_root", syscall(SYS_pivot_root, "/", "/"));
    say("setns", syscall(SYS_setns, open("/proc/self/ns/mnt", O_RDONLY), 0));
    say("unshare-user", syscall(SYS_unshare, CLONE_NEWUSER));
    say("unshare-mount", syscall(SYS_unshare, CLONE_NEWNS));
    say("clone3", syscall(SYS_clone3, zero, 64));
    say("perf_event_open", syscall(SYS_perf_event_open, zero, 0, -1, -1, 0));
    say("open_by_handle_at", syscall(SYS_open_by_handle_at, AT_FDCWD, zero, 0));
    say("kexec_load", syscall(SYS_kexec_load, 0, 0, 0, 0));
    say("init_module", syscall(SYS_init_module, zero, 0, ""));
    say("finit_module", syscall(SYS_finit_module, -1, "", 0));
    say("reboot", syscall(SYS_reboot, 0, 0, 0, 0));
    say("swapon", syscall(SYS_swapon, "/", 0));
    say("settimeofday", syscall(SYS_settimeofday, zero, 0));
    say("quotactl", syscall(SYS_quotactl, 0, 0, 0, 0));
    say("acct", syscall(SYS_acct, 0));
    say("lookup_dcookie", syscall(SYS_lookup_dcookie, 0, 0, 0));
    say("personality", syscall(SYS_personality, 0x0400000 /* READ_IMPLIES_EXEC */));
    say("new", syscall(599));
    // A filter may end who uses another calling convention, so a child asks.
    fflush(stdout);
    int other = fork();
    if (other == 0) _exit(syscall(0x40000000 | SYS_getpid) >= 0 ? 0 : errno);
    int status = 0;
    waitpid(other, &status, 0);
    printf("x32=%d\n", WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status));
    int child = (int)syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child == 0) _exit(0);
    say("clone-user", child);
    if (child > 0) waitpid(child, 0, 0);
    return 0;
}

#ifdef __x86_64__
// The 32-bit entry of the kernel, which 64-bit code may use as well; pointers must fit.
static long call32(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("int $0x80"
                     : "=a"(result)
                     : "a"(number), "b"(a), "c"(b), "d"(c)
                     : "memory", "r8", "r9", "r10", "r11");
    if (result >= 0) return result;
    errno = (int)-result;
    return -1;
}
#endif

static int sockets(void) {
    static const struct { const char *name; int family; } families[] = {
        {"alg", 38}, {"vsock", 40}, {"inet", AF_INET}, {"unix", AF_UNIX}};
    static int arguments[3]; // in the data of a program that is not moved, so below 4 GB
    for (unsigned i = 0; i < sizeof families / sizeof *families; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s-64", families[i].name);
        say(name, syscall(SYS_socket, families[i].family, SOCK_STREAM, 0));
        // The kernel reads an int: what stands above it in the register must not help.
        snprintf(name, sizeof name, "%s-high", families[i].name);
        say(name, syscall(SYS_socket, families[i].family | 1L << 32, SOCK_STREAM, 0));
#ifdef __x86_64__
        snprintf(name, sizeof name, "%s-32", families[i].name);
        say(name, call32(359 /* socket */, families[i].family, SOCK_STREAM, 0));
        arguments[0] = families[i].family;
        arguments[1] = SOCK_STREAM;
        snprintf(name, sizeof name, "%s-multiplexed", families[i].name);
        say(name, call32(102 /* socketcall */, 1, (long)arguments, 0));
#else
        (void)arguments;
#endif
    }
    return 0;
}

static int peers(void) {
    char line[512];
    FILE *table = fopen("/proc/net/unix", "r");
    if (!table) return 1;
    while (fgets(line, sizeof line, table)) {
        char *at = strpbrk(line, "@/");
        if (!at) continue;
        at[strcspn(at, "\n")] = 0;
        if (*at == '@') {
            printf("abstract %s\n", at);
            continue;
        }
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strncpy(address.sun_path, at, sizeof address.sun_path - 1);
        int end = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        int result = connect(end, (struct sockaddr *)&address, sizeof address);
        printf("%s %s\n", result == 0 ? "connected" : "refused", at);
        close(end);
    }
    return 0;
}

static int talk(int count, char **paths) {
    for (int i = 0; i < count; i++) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strncpy(address.sun_path, paths[i], sizeof address.sun_path - 1);
        int end = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connect(end, (struct sockaddr *)&address, sizeof address) != 0) {
            printf("refused %s\n", paths[i]);
            continue;
        }
        struct pollfd input = {.fd = end, .events = POLLIN};
        char byte;
        int closed = poll(&input, 1, 2000) == 1 && recv(end, &byte, 1, 0) <= 0;
        printf("%s %s\n", closed ? "closed" : "open", paths[i]);
        close(end);
    }
    return 0;
}

static int churn(int seconds) {
    struct timespec start, now;
    clock_gettime(CLOCK_MONOTONIC, &start);
    long made = 0, signalled = 0;
    do {
        int child = fork();
        if (child == 0) {
            struct timespec moment = {.tv_nsec = 200000};
            nanosleep(&moment, 0);
            _exit(0);
        }
        int status;
        if (child > 0 && waitpid(child, &status, 0) == child) {
            made++;
            if (WIFSIGNALED(status)) signalled++;
        }
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec - start.tv_sec < seconds);
    printf("made=%ld signalled=%ld\n", made, signalled);
    return 0;
}

int main(int count, char **words) {
    const char *command = count > 1 ? words[1] : "";
    if (!strcmp(command, "swap") && count == 4) return swap(words[2], words[3]);
    if (!strcmp(command, "hunt") && count == 3) return hunt(words[2]);
    if (!strcmp(command, "rob") && count == 4) return rob(words[2], words[3]);
    if (!strcmp(command, "overwrite") && count == 3) return overwrite(words[2]);
    if (!strcmp(command, "calls")) return calls();
    if (!strcmp(command, "sockets")) return sockets();
    if (!strcmp(command, "peers")) return peers();
    if (!strcmp(command, "churn") && count == 3) return churn(atoi(words[2]));
    if (!strcmp(command, "read") && count == 3) return puts(open(words[2], O_RDONLY) < 0 ? "refused" : "readable") < 0;
    if (!strcmp(command, "talk")) return talk(count - 2, words + 2);
    fprintf(stderr, "usage: hostile swap|hunt|rob|overwrite|calls|sockets|peers|talk|read|churn …\n");
    return 64;
}
