// kill-at WHERE PROGRAM WORDS…: runs a program that the kernel kills at its first system call of a kind, as if somebody had
// killed it at that moment.
//
//   send      sendmsg
//   remove    unlink, unlinkat
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SYS_unlink
enum { OTHER_REMOVAL = SYS_unlink };
#else
enum { OTHER_REMOVAL = SYS_unlinkat };
#endif

int main(int count, char **words)
{
    int sends = count > 2 && strcmp(words[1], "send") == 0;
    if (!sends && (count < 3 || strcmp(words[1], "remove") != 0)) {
        fprintf(stderr, "usage: kill-at send|remove PROGRAM [WORD]...\n");
        return 64;
    }
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, sends ? SYS_sendmsg : SYS_unlinkat, 2, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, sends ? SYS_sendmsg : OTHER_REMOVAL, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof code / sizeof *code, code};
    // As root this takes no promise about privileges, which the program might show.
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        perror("kill-at: load filter");
        return 70;
    }
    execv(words[2], words + 2);
    perror("kill-at: execute");
    return 71;
}
