// syscall-load: makes exactly the system calls that it is told to, one command after the other.
//
//   call=NUMBER[,ARGUMENT…][*COUNT]  calls of the machine's own convention
//   i386=NUMBER                      the 32-bit entry
//   x32=NUMBER                       the x32 convention
//   threads=COUNT*NUMBER             threads that call it until the end, beside what follows
//   pause                            waits for ever
//   until=NUMBER                     calls until standard input ends, and prints how often
//   input                            waits for the end of standard input
//   signals=MICROSECONDS             a signal that restarts calls, so often from now on; 0 for none
//   deaths=COUNT                     children killed two at a time, as a shell kills and waits for them; prints how many calls that are
//                                    never interrupted were
//   without=BIT PROGRAM [ARGUMENT…]  executes a program under which seccomp(2) does not know a flag for filters
//   time=NUMBER*COUNT                prints how many nanoseconds one of so many calls takes
//
// Each prints "command: result" with the result of the last call, or "error NUMBER".
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// Not syscall(2), which could be cancelled and counts as the C library's.
static long call(long number, const long *argument)
{
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = argument[3];
    register long r8 __asm__("r8") = argument[4];
    register long r9 __asm__("r9") = argument[5];
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(argument[0]), "S"(argument[1]), "d"(argument[2]), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
#else
    long result = syscall(number, argument[0], argument[1], argument[2], argument[3], argument[4], argument[5]);
    return result < 0 ? -errno : result;
#endif
}

static long entry_32(long number)
{
#if defined(__x86_64__)
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number) : "memory", "r8", "r9", "r10", "r11");
    return result;
#else
    (void)number;
    return -ENOSYS;
#endif
}

static void print(const char *command, long result)
{
    if (result < 0 && result > -4096)
        printf("%s: error %ld\n", command, -result);
    else
        printf("%s: %ld\n", command, result);
    fflush(stdout);
}

static void *repeat(void *number)
{
    long none[6] = {0};
    for (;;) call((long)(intptr_t)number, none);
    return NULL;
}

static long run(const char *text)
{
    char *rest;
    long argument[6] = {0}, count = 1, result = 0;
    long number = strtol(text, &rest, 0);
    for (int i = 0; i < 6 && *rest == ','; i++) argument[i] = strtol(rest + 1, &rest, 0);
    if (*rest == '*') count = strtol(rest + 1, &rest, 0);
    for (long i = 0; i < count; i++) result = call(number, argument);
    return result;
}

static long until_input_ends(long number)
{
    long none[6] = {0}, count = 0;
    struct pollfd input = {.fd = 0};
    // A pipe without a writer is hung up; nobody writes.
    while (poll(&input, 1, 0) == 0)
        for (int i = 0; i < 100; i++, count++) call(number, none);
    return count;
}

static void nothing(int signal) { (void)signal; }

static long signals(long microseconds)
{
    struct sigaction action = {.sa_handler = nothing, .sa_flags = SA_RESTART};
    struct itimerval timer = {{0, microseconds}, {0, microseconds}};
    sigaction(SIGALRM, &action, NULL);
    return setitimer(ITIMER_REAL, &timer, NULL);
}

static volatile sig_atomic_t has_died;

static void died(int signal)
{
    (void)signal;
    has_died = 1;
}

// Interrupted calls are made again, or the next wait would last for ever.
static long deaths(long count)
{
    struct sigaction action = {.sa_handler = died};
    sigset_t all, before;
    long interrupted = 0;
    sigaction(SIGCHLD, &action, NULL);
    sigfillset(&all);
    while (count-- > 0) {
        pid_t child[2];
        for (int i = 0; i < 2; i++) {
            while ((child[i] = fork()) < 0) interrupted++;
            if (child[i] == 0)
                for (;;) pause();
        }
        for (int i = 0; i < 2; i++)
            while (kill(child[i], SIGTERM) != 0) interrupted++;
        for (int left = 2; left > 0;) {
            has_died = 0;
            pid_t ended = waitpid(-1, NULL, WNOHANG);
            if (ended > 0) left--;
            if (ended > 0) continue;
            while (sigprocmask(SIG_SETMASK, &all, &before) != 0) interrupted++;
            while (!has_died) sigsuspend(&before);
            while (sigprocmask(SIG_SETMASK, &before, NULL) != 0) interrupted++;
        }
    }
    return interrupted;
}

// Number and arguments stand in the filter's data at 0 and from 16 on.
static int execute_without(int bit, char **command)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 16),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_SET_MODE_FILTER, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 24),
        BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 1u << bit, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0) execvp(command[0], command);
    fprintf(stderr, "syscall-load: %s: %s\n", command[0], strerror(errno));
    return 125;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *word = argv[i], *value = strchr(word, '=');
        if (value) value++;
        if (!strncmp(word, "call=", 5)) {
            print(word, run(value));
        } else if (!strncmp(word, "i386=", 5)) {
            print(word, entry_32(atol(value)));
        } else if (!strncmp(word, "x32=", 4)) {
            long none[6] = {0};
            print(word, call(atol(value) | 0x40000000, none));
        } else if (!strncmp(word, "threads=", 8)) {
            char *rest;
            long count = strtol(value, &rest, 0), number = strtol(rest + 1, NULL, 0);
            pthread_t thread;
            int failed = 0;
            while (count-- > 0 && !failed) failed = pthread_create(&thread, NULL, repeat, (void *)(intptr_t)number);
            print(word, -failed);
        } else if (!strncmp(word, "time=", 5)) {
            char *rest;
            long none[6] = {0}, number = strtol(value, &rest, 0), count = strtol(rest + 1, NULL, 0);
            struct timespec a, b;
            clock_gettime(CLOCK_MONOTONIC, &a);
            for (long n = 0; n < count; n++) call(number, none);
            clock_gettime(CLOCK_MONOTONIC, &b);
            print(word, ((b.tv_sec - a.tv_sec) * 1000000000L + b.tv_nsec - a.tv_nsec) / count);
        } else if (!strncmp(word, "until=", 6)) {
            print(word, until_input_ends(atol(value)));
        } else if (!strncmp(word, "signals=", 8)) {
            print(word, signals(atol(value)));
        } else if (!strncmp(word, "deaths=", 7)) {
            print(word, deaths(atol(value)));
        } else if (!strncmp(word, "without=", 8) && i + 1 < argc) {
            return execute_without(atoi(value), argv + i + 1);
        } else if (!strcmp(word, "pause")) {
            for (;;) pause();
        } else if (!strcmp(word, "input")) {
            char byte;
            while (read(0, &byte, 1) > 0) {}
        } else {
            fprintf(stderr, "syscall-load: '%s' is no command\n", word);
            return 2;
        }
    }
    return 0;
}
