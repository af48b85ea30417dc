// A clone that has nothing of its maker but the few pages in which its last steps are written down.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

enum { PAGE = 4096, STACK = 16384 };

// Everything that the clone reads, its stack included, lies in one mapping with this at its start.
struct ck_last_steps {
    _Alignas(64) uint8_t registers[576]; // what XRSTOR reads when all components are to be empty
    uint64_t components;
    size_t size, used;
    char **candidates, **argv, **envp;
    struct { uint64_t count; void *records; } filter;
    struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; } clone;
    struct iovec parts[CK_LAST_FAILURES], announcement, answer;
    struct msghdr message;
    struct { size_t length; int level, type, descriptors[2]; } passed; // a struct cmsghdr and what it carries
    uint32_t *words;
    long pid;
    int pidfd, channel, memory, terminal, older;
    unsigned filter_flags;
    uint8_t proceed, announce, received[2];
};

static size_t room_of(char *const *texts)
{
    size_t room = sizeof(char *) * 2;
    for (; *texts != NULL; texts++) room += strlen(*texts) + 16 + sizeof(char *);
    return room;
}

static void *put(struct ck_last_steps *steps, const void *bytes, size_t size)
{
    void *place = (char *)steps + steps->used;
    memcpy(place, bytes, size);
    steps->used += (size + 7) & ~(size_t)7;
    return place;
}

static char **put_texts(struct ck_last_steps *steps, char *const *texts)
{
    size_t count = 0;
    while (texts[count] != NULL) count++;
    char **copies = put(steps, texts, (count + 1) * sizeof *copies);
    for (size_t i = 0; i < count; i++) copies[i] = put(steps, texts[i], strlen(texts[i]) + 1);
    return copies;
}

// Which parts of the registers XRSTOR can empty. Protection keys stay as they are, and tiles, which take a permission that nobody here
// has asked for, are empty.
static uint64_t components(void)
{
#if defined(__x86_64__)
    unsigned a, b, c = 0, d;
    if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return 0;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return ((uint64_t)d << 32 | a) & ~(1ULL << 9 | 3ULL << 17);
#else
    return 0;
#endif
}

struct ck_last_steps *ck_last_steps_new(const struct ck_last_steps_plan *plan)
{
    size_t failures = 0, filter = plan->filter_count * sizeof *plan->filter;
    for (int i = 0; i < CK_LAST_FAILURES; i++) failures += plan->failure_sizes[i] + 8;
    size_t size = sizeof(struct ck_last_steps) + STACK + room_of(plan->candidates) + room_of(plan->argv) +
                  room_of(plan->envp) + failures + filter + 64;
    size = (size + PAGE - 1) & ~(size_t)(PAGE - 1);
    struct ck_last_steps *steps = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (steps == MAP_FAILED)
        return NULL;
    steps->size = size;
    steps->used = sizeof *steps + STACK;
    steps->registers[24] = 0x80; // MXCSR: all exceptions masked
    steps->registers[25] = 0x1f;
    steps->components = components();
    steps->candidates = put_texts(steps, plan->candidates);
    steps->argv = put_texts(steps, plan->argv);
    steps->envp = put_texts(steps, plan->envp);
    steps->channel = plan->channel;
    steps->proceed = plan->proceed;
    steps->announce = plan->announce;
    steps->announcement = (struct iovec){&steps->announce, 1};
    steps->answer = (struct iovec){steps->received, sizeof steps->received};
    steps->terminal = plan->terminal;
    if (filter > 0) {
        steps->filter.records = put(steps, plan->filter, filter);
        steps->filter.count = plan->filter_count;
        steps->filter_flags = plan->filter_flags;
        steps->words = plan->words;
        steps->memory = plan->memory;
    }
    const uint8_t *next = plan->failures;
    for (int i = 0; i < CK_LAST_FAILURES; next += plan->failure_sizes[i++])
        steps->parts[i] = (struct iovec){put(steps, next, plan->failure_sizes[i]), plan->failure_sizes[i]};
    return steps;
}

void ck_last_steps_free(struct ck_last_steps *steps) { munmap(steps, steps->size); }

// The clone's code --------------------------------------------------------------------------------------------------------

// Its pages are all that the clone has of the program. So it calls nothing outside, has no constants in other sections, and nothing may
// be woven into it.
#if defined(__clang__)
#define ONLY_ITSELF __attribute__((no_profile_instrument_function, disable_sanitizer_instrumentation, no_stack_protector))
#else
#define ONLY_ITSELF __attribute__((no_profile_instrument_function, no_stack_protector))
#endif
#define LAST __attribute__((section("ck_last_steps"), noinline)) ONLY_ITSELF
#define WITHIN static inline __attribute__((always_inline)) ONLY_ITSELF

extern char __start_ck_last_steps[] __attribute__((visibility("hidden")));
extern char __stop_ck_last_steps[] __attribute__((visibility("hidden")));

#if defined(__x86_64__)
WITHIN long call(long number, long a, long b, long c, long d, long e)
{
    register long fourth __asm__("r10") = d;
    register long fifth __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth)
                     : "rcx", "r11", "memory");
    return number;
}

#define VECTORS "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
                "xmm13", "xmm14", "xmm15"

WITHIN void clear_registers(struct ck_last_steps *steps)
{
    if (steps->components != 0)
        __asm__ volatile("xrstor64 (%0)"
                         :
                         : "r"(steps->registers), "a"((uint32_t)steps->components),
                           "d"((uint32_t)(steps->components >> 32))
                         : VECTORS, "memory");
    else
        __asm__ volatile("fninit\n\tpxor %%xmm0, %%xmm0\n\tpxor %%xmm1, %%xmm1\n\tpxor %%xmm2, %%xmm2\n\tpxor %%xmm3, %%xmm3\n\t"
                         "pxor %%xmm4, %%xmm4\n\tpxor %%xmm5, %%xmm5\n\tpxor %%xmm6, %%xmm6\n\tpxor %%xmm7, %%xmm7\n\t"
                         "pxor %%xmm8, %%xmm8\n\tpxor %%xmm9, %%xmm9\n\tpxor %%xmm10, %%xmm10\n\tpxor %%xmm11, %%xmm11\n\t"
                         "pxor %%xmm12, %%xmm12\n\tpxor %%xmm13, %%xmm13\n\tpxor %%xmm14, %%xmm14\n\tpxor %%xmm15, %%xmm15" ::
                             : VECTORS);
}

// Calls function(value) with its stack below `top` and nothing in the registers.
void ck_call_on_stack(void (*function)(struct ck_last_steps *), struct ck_last_steps *value, void *top);
__asm__(".pushsection ck_last_steps,\"ax\",@progbits\n"
        ".globl ck_call_on_stack\n.hidden ck_call_on_stack\n.type ck_call_on_stack, @function\n"
        "ck_call_on_stack:\n"
        "push %rbx\n push %rbp\n push %r12\n push %r13\n push %r14\n push %r15\n"
        "mov %rsp, %rax\n mov %rdx, %rsp\n push %rax\n push %rax\n"
        "mov %rdi, %rdx\n mov %rsi, %rdi\n"
        "xor %eax, %eax\n xor %ebx, %ebx\n xor %ecx, %ecx\n xor %esi, %esi\n xor %ebp, %ebp\n xor %r8d, %r8d\n"
        "xor %r9d, %r9d\n xor %r10d, %r10d\n xor %r11d, %r11d\n xor %r12d, %r12d\n xor %r13d, %r13d\n"
        "xor %r14d, %r14d\n xor %r15d, %r15d\n"
        "call *%rdx\n"
        "pop %rsp\n pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbp\n pop %rbx\n ret\n"
        ".size ck_call_on_stack, .-ck_call_on_stack\n.popsection\n");
#elif defined(__aarch64__)
WITHIN long call(long number, long a, long b, long c, long d, long e)
{
    register long which __asm__("x8") = number;
    register long first __asm__("x0") = a;
    register long second __asm__("x1") = b;
    register long third __asm__("x2") = c;
    register long fourth __asm__("x3") = d;
    register long fifth __asm__("x4") = e;
    __asm__ volatile("svc #0"
                     : "+r"(first)
                     : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth)
                     : "memory");
    return first;
}

WITHIN void clear_registers(struct ck_last_steps *steps)
{
    (void)steps;
#define CLEAR(n) __asm__ volatile("movi v" #n ".2d, #0" ::: "v" #n)
    CLEAR(0); CLEAR(1); CLEAR(2); CLEAR(3); CLEAR(4); CLEAR(5); CLEAR(6); CLEAR(7);
    CLEAR(8); CLEAR(9); CLEAR(10); CLEAR(11); CLEAR(12); CLEAR(13); CLEAR(14); CLEAR(15);
    CLEAR(16); CLEAR(17); CLEAR(18); CLEAR(19); CLEAR(20); CLEAR(21); CLEAR(22); CLEAR(23);
    CLEAR(24); CLEAR(25); CLEAR(26); CLEAR(27); CLEAR(28); CLEAR(29); CLEAR(30); CLEAR(31);
#undef CLEAR
}

void ck_call_on_stack(void (*function)(struct ck_last_steps *), struct ck_last_steps *value, void *top);
__asm__(".pushsection ck_last_steps,\"ax\",@progbits\n"
        ".globl ck_call_on_stack\n.hidden ck_call_on_stack\n.type ck_call_on_stack, @function\n"
        "ck_call_on_stack:\n"
        "stp x29, x30, [sp, #-96]!\n stp x19, x20, [sp, #16]\n stp x21, x22, [sp, #32]\n stp x23, x24, [sp, #48]\n"
        "stp x25, x26, [sp, #64]\n stp x27, x28, [sp, #80]\n"
        "mov x9, sp\n mov sp, x2\n stp x9, xzr, [sp, #-16]!\n"
        "mov x10, x0\n mov x0, x1\n"
        "mov x19, xzr\n mov x20, xzr\n mov x21, xzr\n mov x22, xzr\n mov x23, xzr\n mov x24, xzr\n mov x25, xzr\n"
        "mov x26, xzr\n mov x27, xzr\n mov x28, xzr\n mov x29, xzr\n mov x1, xzr\n mov x2, xzr\n mov x3, xzr\n"
        "mov x4, xzr\n mov x5, xzr\n mov x6, xzr\n mov x7, xzr\n mov x11, xzr\n mov x12, xzr\n mov x13, xzr\n"
        "mov x14, xzr\n mov x15, xzr\n mov x16, xzr\n mov x17, xzr\n"
        "blr x10\n"
        "ldp x9, xzr, [sp]\n mov sp, x9\n"
        "ldp x19, x20, [sp, #16]\n ldp x21, x22, [sp, #32]\n ldp x23, x24, [sp, #48]\n ldp x25, x26, [sp, #64]\n"
        "ldp x27, x28, [sp, #80]\n ldp x29, x30, [sp], #96\n ret\n"
        ".size ck_call_on_stack, .-ck_call_on_stack\n.popsection\n");
#else
#error "laststeps.c: write the calls for this architecture"
#endif

WITHIN long exchange(struct ck_last_steps *steps, long number, struct iovec *part, size_t passed)
{
    long result;
    do {
        steps->message.msg_iov = part;
        steps->message.msg_iovlen = 1;
        steps->message.msg_control = passed > 0 ? &steps->passed : (void *)0;
        steps->message.msg_controllen = passed;
        result = call(number, steps->channel, (long)&steps->message, 0x4000 /* MSG_NOSIGNAL */, 0, 0);
    } while (result == -EINTR);
    return result;
}

WITHIN void end(long code)
{
    for (;;) call(SYS_exit_group, code, 0, 0, 0, 0);
}

// A failure's packet ends with the number of the error, least byte first; zero leaves it as it was written.
WITHIN void fail(struct ck_last_steps *steps, int which, long error)
{
    struct iovec *part = &steps->parts[which];
    if (error != 0)
        for (int i = 0; i < 4; i++) ((volatile uint8_t *)part->iov_base)[part->iov_len - 4 + i] = (uint8_t)(error >> 8 * i);
    exchange(steps, SYS_sendmsg, part, 0);
    end(127);
}

WITHIN void load_filter(struct ck_last_steps *steps)
{
    if (steps->words == (void *)0) {
        long result = call(SYS_seccomp, 1, steps->filter_flags, (long)&steps->filter, 0, 0);
        if (result < 0) fail(steps, CK_LAST_FILTER, -result);
        return;
    }
    long own = call(SYS_pidfd_open, call(SYS_getpid, 0, 0, 0, 0, 0), 0, 0, 0, 0);
    if (own < 0) fail(steps, CK_LAST_FILTER, -own);
    steps->passed.length = sizeof steps->passed;
    steps->passed.level = SOL_SOCKET;
    steps->passed.type = SCM_RIGHTS;
    steps->passed.descriptors[0] = (int)own;
    steps->passed.descriptors[1] = steps->memory;
    long sent = exchange(steps, SYS_sendmsg, &steps->announcement, sizeof steps->passed);
    if (sent < 0) fail(steps, CK_LAST_FILTER, -sent);
    long listener = call(SYS_seccomp, 1, steps->filter_flags | 8, (long)&steps->filter, 0, 0);
    if (listener < 0) fail(steps, CK_LAST_FILTER, -listener);
    // As in ck_seccomp_listen: no call until somebody answers the filter's questions.
    __atomic_store_n(&steps->words[0], (uint32_t)listener + 1, __ATOMIC_RELEASE);
    while (__atomic_load_n(&steps->words[1], __ATOMIC_ACQUIRE) == 0) {}
}

LAST static void inside(struct ck_last_steps *steps)
{
    if (steps->proceed != 0) {
        long size = exchange(steps, SYS_recvmsg, &steps->answer, 0);
        if (size != 1 || steps->received[0] != steps->proceed) end(0);
    }
    long result = call(SYS_setsid, 0, 0, 0, 0, 0);
    if (steps->terminal) {
        if (result >= 0) result = call(SYS_ioctl, 0, 0x540e /* TIOCSCTTY */, 0, 0, 0);
        if (result < 0) fail(steps, CK_LAST_CONSOLE, -result);
    }
    if (steps->filter.records != (void *)0) load_filter(steps);
    int denied = 0;
    for (char **candidate = steps->candidates; *candidate != (void *)0; candidate++) {
        result = call(SYS_execve, (long)*candidate, (long)steps->argv, (long)steps->envp, 0, 0);
        if (result == -EACCES) denied = 1;
        else if (result != -ENOENT && result != -ENOTDIR) fail(steps, CK_LAST_EXEC, -result);
    }
    fail(steps, denied ? CK_LAST_DENIED : CK_LAST_MISSING, 0);
}

LAST static void divide(struct ck_last_steps *steps)
{
    enum { PIDFD = 0x1000, PARENT = 0x8000 };
    steps->clone.flags = PARENT | PIDFD;
    steps->clone.pidfd = (uint64_t)&steps->pidfd;
    clear_registers(steps);
    long pid = -ENOSYS;
    if (!steps->older) pid = call(SYS_clone3, (long)&steps->clone, sizeof steps->clone, 0, 0, 0);
    if (pid == -ENOSYS || pid == -EPERM)
        pid = call(SYS_clone, PARENT | PIDFD | SIGCHLD, 0, (long)&steps->pidfd, 0, 0);
    if (pid == 0) inside(steps);
    steps->pid = pid;
}

// The maker's side --------------------------------------------------------------------------------------------------------

// The kernel writes where the thread's rseq area was, which the clone has not got, and kills it for that.
static int leave_rseq(void)
{
    if (__rseq_size == 0)
        return 0;
    char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
    // The size that libc has registered is that of the first version or what the kernel has since.
    for (unsigned size = 32; size <= 256; size += 32)
        if (syscall(SYS_rseq, area, size, 1 /* RSEQ_FLAG_UNREGISTER */, RSEQ_SIG) == 0)
            return 0;
    return -1;
}

int ck_last_steps_forget(struct ck_last_steps *steps)
{
    static const uintptr_t page = PAGE;
    uintptr_t code = (uintptr_t)__start_ck_last_steps & ~(page - 1);
    uintptr_t code_end = ((uintptr_t)__stop_ck_last_steps + page - 1) & ~(page - 1);
    // What is allocated until the clone is made comes out of this, not out of memory that is not marked.
    free(malloc(1 << 16));
    if (leave_rseq() != 0)
        return -1;
    // Gaps between mappings are an error that is told after all is done.
    if (madvise(NULL, ((uintptr_t)1 << 56) - page, MADV_DONTFORK) != 0 && errno != ENOMEM)
        return -1;
    if (madvise((void *)code, code_end - code, MADV_DOFORK) != 0 || madvise(steps, steps->size, MADV_DOFORK) != 0)
        return -1;
    return steps->words == NULL ? 0 : madvise(steps->words, page, MADV_DOFORK);
}

pid_t ck_last_steps_clone(struct ck_last_steps *steps, int older, int *pidfd)
{
    steps->older = older;
    ck_call_on_stack(divide, steps, (char *)steps + sizeof *steps + STACK);
    if (steps->pid < 0) {
        errno = (int)-steps->pid;
        return -1;
    }
    *pidfd = steps->pidfd;
    return (pid_t)steps->pid;
}
