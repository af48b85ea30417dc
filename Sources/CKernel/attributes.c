// What the kernel knows of a process beside its ids: scheduling, execution domain, memory policy; and the filter with a
// listener, which must hand its descriptor over without a system call.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int ck_sched_setattr(pid_t pid, const struct ck_scheduler *attributes)
{
    _Static_assert(sizeof *attributes == 48, "first published size of struct sched_attr");
    return (int)syscall(SYS_sched_setattr, pid, attributes, 0);
}
int ck_ioprio_set(int which, int who, int value) { return (int)syscall(SYS_ioprio_set, which, who, value); }
int ck_sched_setaffinity(pid_t pid, size_t size, const void *mask)
{
    return (int)syscall(SYS_sched_setaffinity, pid, size, mask);
}
int ck_sched_getaffinity(pid_t pid, size_t size, void *mask)
{
    return (int)syscall(SYS_sched_getaffinity, pid, size, mask);
}
int ck_personality(unsigned long persona) { return (int)syscall(SYS_personality, persona); }
int ck_set_mempolicy(int mode, const unsigned long *nodes, unsigned long bits)
{
    return (int)syscall(SYS_set_mempolicy, mode, nodes, bits);
}

uint32_t *ck_shared_words(int memory)
{
    void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    return page == MAP_FAILED ? NULL : page;
}
void ck_shared_words_free(uint32_t *words) { munmap(words, 4096); }
uint32_t ck_shared_load(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
void ck_shared_store(uint32_t *word, uint32_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }
const char *ck_errno_name(int number) { return strerrorname_np(number); }
uint64_t ck_shared_load_wide(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
void ck_shared_store_wide(uint64_t *word, uint64_t value) { __atomic_store_n(word, value, __ATOMIC_RELEASE); }

static inline void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

int ck_seccomp_listen(unsigned flags, void *program, uint32_t *words)
{
    int fd = (int)syscall(SYS_seccomp, 1, flags | 8 /* NEW_LISTENER */, program);
    if (fd < 0)
        return -1;
    // From here on the filter decides about every system call, and nobody answers its questions yet.
    ck_shared_store(&words[0], (uint32_t)fd + 1);
    while (ck_shared_load(&words[1]) == 0)
        relax();
    return fd;
}
