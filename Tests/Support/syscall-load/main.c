// syscall-load: makes exactly the system calls that it is told to, one command after the other.
//
//   call=NUMBER[,ARGUMENT…][*COUNT]  calls of the machine's own convention
//   i386=NUMBER                      the 32-bit entry
//   x32=NUMBER                       the x32 convention
//   threads=COUNT*NUMBER             threads that call it until the end, beside what follows
//   pause                            waits for ever
//   until=NUMBER                     calls until standard input ends, and prints how often
//   input                            waits for the end of standard input
//   time=NUMBER*COUNT                prints how many nanoseconds one of so many calls takes
//
// Each prints "command: result" with the result of the last call, or "error NUMBER".
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
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
