// Asks the kernel for what no workload needs and attackers want. For each it prints a line:
//
//   NAME NUMBER RESULT
//
// where the result is what the call returned, an error as a negative number. NAME says what a report of its refusal has to name.
//
//   hostile-calls           one after the other
//   hostile-calls NAME…     only these, for a refusal that ends the process
//
// It needs no C library and no other call than write and exit_group, so that it runs under a filter that was made for any
// program. Where a call could succeed, it harms nobody but this process.
#if !defined(__x86_64__)
#error "the calls are those of x86_64, and its 32-bit and x32 ways in"
#endif
#include <asm/unistd_64.h>

enum {
    CLONE_NEWUSER = 0x10000000,
    CLONE_NEWNS = 0x20000,
    SIGCHLD = 17,
    AF_ALG = 38,
    AF_VSOCK = 40,
    AF_PACKET = 17,
    SOCK_STREAM = 1,
    SOCK_SEQPACKET = 5,
    SOCK_RAW = 3,
    PTRACE_TRACEME = 0,
    KEYCTL_GET_KEYRING_ID = 0,
    KEY_SPEC_SESSION_KEYRING = -3,
    USER_MODE_ONLY = 1,
    X32 = 0x40000000,
    I386_GETPID = 20,
    // Of calls for which x86_64 has no number, so that none is ever made by it.
    NO_FILE = -1,
};

static long call(long number, long a, long b, long c, long d, long e) {
    long result;
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : "rcx", "r11", "memory");
    return result;
}

// The 32-bit way in, which 64-bit programs may use too.
static long call32(long number) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(0L), "c"(0L), "d"(0L) : "r8", "r9", "r10", "r11", "memory");
    return (int)result;
}

static unsigned long length(const char *text) {
    unsigned long n = 0;
    while (text[n]) n++;
    return n;
}

static int equal(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

struct line {
    char text[128];
    unsigned long used;
};

static void add(struct line *line, const char *text) {
    while (*text && line->used < sizeof line->text) line->text[line->used++] = *text++;
}

static void addNumber(struct line *line, long number) {
    char digits[24];
    int at = sizeof digits - 1;
    unsigned long rest = number < 0 ? -(unsigned long)number : (unsigned long)number;
    digits[at] = 0;
    do digits[--at] = '0' + rest % 10; while (rest /= 10);
    if (number < 0) digits[--at] = '-';
    add(line, digits + at);
}

// perf_event_attr and bpf_attr: all zero but their first members.
static unsigned int attributes[32];
static unsigned int parameters[32];

struct attempt {
    const char *name;
    long number, a, b, c, d, e;
    int through32;
};

static const struct attempt attempts[] = {
    {"unshare", __NR_unshare, CLONE_NEWUSER, 0, 0, 0, 0, 0},
    {"unshare-mount", __NR_unshare, CLONE_NEWNS, 0, 0, 0, 0, 0},
    {"mount", __NR_mount, (long)"none", (long)"/", (long)"tmpfs", 0, 0, 0},
    {"pivot_root", __NR_pivot_root, (long)"/", (long)"/", 0, 0, 0, 0},
    {"ptrace", __NR_ptrace, PTRACE_TRACEME, 0, 0, 0, 0, 0},
    {"process_vm_readv", __NR_process_vm_readv, 1, 0, 0, 0, 0, 0},
    {"bpf", __NR_bpf, 0, (long)attributes, sizeof attributes, 0, 0, 0},
    {"keyctl", __NR_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0, 0, 0, 0},
    {"add_key", __NR_add_key, (long)"user", (long)"berth", (long)"x", 1, KEY_SPEC_SESSION_KEYRING, 0},
    {"io_uring_setup", __NR_io_uring_setup, 4, (long)parameters, 0, 0, 0, 0},
    {"userfaultfd", __NR_userfaultfd, USER_MODE_ONLY, 0, 0, 0, 0, 0},
    {"socket-alg", __NR_socket, AF_ALG, SOCK_SEQPACKET, 0, 0, 0, 0},
    {"socket-vsock", __NR_socket, AF_VSOCK, SOCK_STREAM, 0, 0, 0, 0},
    {"socket-packet", __NR_socket, AF_PACKET, SOCK_RAW, 0, 0, 0, 0},
    {"perf_event_open", __NR_perf_event_open, (long)attributes, 0, -1, -1, 0, 0},
    {"init_module", __NR_init_module, (long)attributes, sizeof attributes, (long)"", 0, 0, 0},
    {"finit_module", __NR_finit_module, NO_FILE, (long)"", 0, 0, 0, 0},
    {"kexec_load", __NR_kexec_load, 0, 0, 0, 0, 0, 0},
    {"kexec_file_load", __NR_kexec_file_load, NO_FILE, NO_FILE, 0, 0, 0, 0},
    {"open_by_handle_at", __NR_open_by_handle_at, NO_FILE, (long)parameters, 0, 0, 0, 0},
    {"unknown", 999, 0, 0, 0, 0, 0, 0},
    {"x32", __NR_getpid | X32, 0, 0, 0, 0, 0, 0},
    {"int80", I386_GETPID, 0, 0, 0, 0, 0, 1},
};

static void try(const struct attempt *it) {
    struct line line = {.used = 0};
    long result = it->through32 ? call32(it->number) : call(it->number, it->a, it->b, it->c, it->d, it->e);
    add(&line, it->name);
    add(&line, " ");
    addNumber(&line, it->number);
    add(&line, " ");
    addNumber(&line, result);
    add(&line, "\n");
    call(__NR_write, 1, (long)line.text, line.used, 0, 0);
}

static int is_wanted(const struct attempt *it, char **names) {
    if (!*names) return 1;
    while (*names) if (equal(*names++, it->name)) return 1;
    return 0;
}

// Gets the stack as the kernel made it: the number of arguments, then they.
__attribute__((used)) static void begin(long *stack) {
    char **names = (char **)(stack + 1) + (stack[0] > 0);
    // Type and size: software, clock of processors.
    attributes[0] = 1;
    attributes[1] = 64;
    for (unsigned long i = 0; i < sizeof attempts / sizeof *attempts; i++)
        if (is_wanted(&attempts[i], names)) try(&attempts[i]);
    const char end[] = "end\n";
    call(__NR_write, 1, (long)end, length(end), 0, 0);
    call(__NR_exit_group, 0, 0, 0, 0, 0);
    __builtin_unreachable();
}

__attribute__((naked, used)) void _start(void) {
    __asm__ volatile("mov %rsp, %rdi\n\tand $-16, %rsp\n\tcall begin\n\thlt");
}
