// Signals, wait statuses, clone and spawn.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int ck_wait_exited(int status) { return WIFEXITED(status); }
int ck_wait_exit_status(int status) { return WEXITSTATUS(status); }
int ck_wait_term_signal(int status) { return WTERMSIG(status); }
int ck_wait_core_dumped(int status) { return WCOREDUMP(status) != 0; }

int ck_waitid_pidfd(int pidfd, int options, int *status)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(3 /* P_PIDFD */, (id_t)pidfd, &info, options | WEXITED | __WALL) != 0)
        return -1;
    if (info.si_pid == 0)
        return 0;
    *status = info.si_code == CLD_EXITED ? (info.si_status & 0xff) << 8
                                         : info.si_status | (info.si_code == CLD_DUMPED ? 0x80 : 0);
    return 1;
}

int ck_ended_child(void)
{
    siginfo_t info = {.si_pid = 0};
    if (waitid(P_ALL, 0, &info, WNOHANG | WNOWAIT | WEXITED | __WALL) != 0)
        return errno == ECHILD ? 0 : -1;
    return info.si_pid;
}

static int child_ends = -1;

static void child_ended(int number)
{
    (void)number;
    int saved = errno;
    uint64_t one = 1;
    // A counter that is full has woken its reader all the same.
    if (write(child_ends, &one, sizeof one) < 0)
        (void)0;
    errno = saved;
}

int ck_notify_child_ends(int event)
{
    struct sigaction action = {.sa_handler = child_ended, .sa_flags = SA_RESTART | SA_NOCLDSTOP};
    child_ends = event;
    return sigaction(SIGCHLD, &action, NULL);
}

int ck_pidfd_info(int pidfd, struct ck_pidfd_info *info)
{
    _Static_assert(sizeof *info == 64, "first published size of struct pidfd_info");
    memset(info, 0, sizeof *info);
    info->mask = 1 << 3; // PIDFD_INFO_EXIT
    return ioctl(pidfd, _IOWR(0xFF, 11, struct ck_pidfd_info), info);
}

int ck_sigmask(int how, uint64_t set, uint64_t *old)
{
    return (int)syscall(SYS_rt_sigprocmask, how, &set, old, sizeof set);
}
int ck_signalfd(int fd, uint64_t set, int flags) { return (int)syscall(SYS_signalfd4, fd, &set, sizeof set, flags); }
int ck_signal_ignore(int signal) { return sigaction(signal, &(struct sigaction){.sa_handler = SIG_IGN}, NULL); }
int ck_signal_default(int signal) { return sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL); }

struct kernel_sigaction { void *handler; unsigned long flags; void *restorer; uint64_t mask; };

// Also ignored signals: an ignored SIGPIPE or SIGCHLD would otherwise reach the new program.
void ck_reset_signals(void)
{
    struct kernel_sigaction fresh = {0};
    for (int n = 1; n <= 64; n++)
        if (n != SIGKILL && n != SIGSTOP)
            syscall(SYS_rt_sigaction, n, &fresh, NULL, sizeof fresh.mask);
}

struct clone_arguments {
    uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};
enum { PIDFD = 0x1000, VM = 0x100, VFORK = 0x4000 };
static const uint64_t CLEAR_SIGHAND = 0x100000000ULL, INTO_CGROUP = 0x200000000ULL;

pid_t ck_clone3(uint64_t flags, int exit_signal, int cgroup, int *pidfd)
{
    struct clone_arguments a = {.flags = flags | PIDFD | (cgroup >= 0 ? INTO_CGROUP : 0),
                                .pidfd = (uint64_t)(uintptr_t)pidfd,
                                .exit_signal = (uint64_t)exit_signal,
                                .cgroup = cgroup >= 0 ? (uint64_t)cgroup : 0};
    pid_t pid = (pid_t)syscall(SYS_clone3, &a, sizeof a);
    if (pid != -1 || errno != ENOSYS || cgroup >= 0 || flags & 0xff)
        return pid;
    // Filters hide clone3, whose flags they cannot see, also from who wants none of what they forbid. The older call stores the pidfd as its
    // third argument, and has no flag for handlers: a copy resets its signals anyway.
    return (pid_t)syscall(SYS_clone, (flags & ~CLEAR_SIGHAND) | PIDFD | (uint64_t)exit_signal, 0, pidfd, 0, 0);
}

// clone3 onto another stack. Returns a pid or -errno; the child calls entry(argument), which must not return.
static long clone3_on_stack(struct clone_arguments *a, void (*entry)(void *), void *argument)
{
#if defined(__x86_64__)
    long result = SYS_clone3;
    register void (*function)(void *) __asm__("r8") = entry;
    register void *value __asm__("r9") = argument;
    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\txor %%ebp, %%ebp\n\tmov %%r9, %%rdi\n\tcall *%%r8\n\thlt\n1:"
                     : "+a"(result)
                     : "D"(a), "S"(sizeof *a), "r"(function), "r"(value)
                     : "rcx", "r11", "memory");
    return result;
#elif defined(__aarch64__)
    register long result __asm__("x0") = (long)a;
    register unsigned long size __asm__("x1") = sizeof *a;
    register long number __asm__("x8") = SYS_clone3;
    register void (*function)(void *) __asm__("x10") = entry;
    register void *value __asm__("x11") = argument;
    __asm__ volatile("svc #0\n\tcbnz x0, 1f\n\tmov x29, #0\n\tmov x0, x11\n\tblr x10\n\tbrk #1\n1:"
                     : "+r"(result)
                     : "r"(size), "r"(number), "r"(function), "r"(value)
                     : "memory");
    return result;
#else
#error "clone3_on_stack: write the entry for this architecture"
#endif
}

enum { SPAWN_OOM = 1, SPAWN_SESSION, SPAWN_MAP, SPAWN_CLOSE, SPAWN_DIRECTORY, SPAWN_EXEC };

// The child's memory is the parent's, so the failed step and errno are simply stored.
struct spawn_state { struct ck_spawn_args *args; volatile int error; };

// Sources move above every target first, so that no dup3 overwrites a source that is still needed.
static int map_descriptors(struct ck_spawn_args *a, int *executable)
{
    int lifted[CK_MAX_PASSED], floor = 3;
    for (size_t i = 0; i < a->count; i++)
        if (a->targets[i] >= floor) floor = a->targets[i] + 1;
    *executable = fcntl(a->executable, F_DUPFD_CLOEXEC, floor);
    if (*executable < 0)
        return -1;
    for (size_t i = 0; i < a->count; i++)
        if ((lifted[i] = fcntl(a->sources[i], F_DUPFD_CLOEXEC, floor)) < 0)
            return -1;
    // Without CLONE_FILES the table is the child's own. Close-on-exec for all, then the map's targets get through.
    if (syscall(SYS_close_range, 3, ~0U, 4 /* CLOSE_RANGE_CLOEXEC */) != 0)
        return -1;
    for (size_t i = 0; i < a->count; i++)
        if (dup2(lifted[i], a->targets[i]) < 0)
            return -1;
    return 0;
}

static int write_own_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd < 0 || write(fd, text, strlen(text)) < 0 ? -1 : close(fd);
}

static void spawn_child(void *opaque)
{
    struct spawn_state *state = opaque;
    struct ck_spawn_args *a = state->args;
    int executable;
    a->stage = SPAWN_OOM;
    if (a->oom_score_adj != NULL && write_own_file("/proc/self/oom_score_adj", a->oom_score_adj) != 0)
        goto failed;
    a->stage = SPAWN_SESSION;
    if (a->new_session && setsid() < 0)
        goto failed;
    a->stage = SPAWN_DIRECTORY;
    if (a->directory >= 0 && fchdir(a->directory) != 0)
        goto failed;
    a->stage = SPAWN_MAP;
    if (map_descriptors(a, &executable) != 0)
        goto failed;
    umask(a->umask);
    ck_reset_signals();
    a->stage = SPAWN_EXEC;
    ck_sigmask(SIG_SETMASK, a->signal_mask, NULL);
    if (a->path != NULL)
        syscall(SYS_execve, a->path, a->argv, a->envp);
    else
        syscall(SYS_execveat, executable, "", a->argv, a->envp, AT_EMPTY_PATH);
failed:
    state->error = errno;
    _exit(127);
}

pid_t ck_spawn(struct ck_spawn_args *args)
{
    _Alignas(16) char stack[32768];
    struct spawn_state state = {.args = args, .error = 0};
    struct clone_arguments a = {.flags = args->flags | VM | VFORK | PIDFD | CLEAR_SIGHAND |
                                         (args->cgroup >= 0 ? INTO_CGROUP : 0),
                                .pidfd = (uint64_t)(uintptr_t)&args->pidfd,
                                .exit_signal = (uint64_t)args->exit_signal,
                                .stack = (uint64_t)(uintptr_t)stack, .stack_size = sizeof stack,
                                .cgroup = args->cgroup >= 0 ? (uint64_t)args->cgroup : 0};
    uint64_t old;
    if (args->count > CK_MAX_PASSED) { errno = EINVAL; return -1; }
    args->pidfd = -1;
    args->stage = 0;
    // No signal handler of this process may run in the child while it shares our memory.
    ck_sigmask(SIG_SETMASK, ~0ULL, &old);
    long pid = clone3_on_stack(&a, spawn_child, &state);
    ck_sigmask(SIG_SETMASK, old, NULL);
    if (pid < 0) { errno = (int)-pid; return -1; }
    if (state.error != 0) {
        siginfo_t info;
        while (waitid(3 /* P_PIDFD */, (id_t)args->pidfd, &info, WEXITED | __WALL) != 0 && errno == EINTR) {}
        close(args->pidfd);
        args->pidfd = -1;
        errno = state.error;
        return -1;
    }
    return (pid_t)pid;
}
