// The kernel's own price of a container: clone3 into six namespaces, the seven mounts of any OCI container,
// pivot_root, exec. No cgroup, no seccomp, no devices, no checks: what no runtime can be faster than.
// Usage: floor ROOTFS COMMAND [ARGUMENT…]; ends with the command's code.

#define _GNU_SOURCE
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void must(int result, const char *what)
{
    if (result < 0) {
        perror(what);
        _exit(125);
    }
}

static void put(const char *type, const char *target, unsigned long flags, const char *data)
{
    mkdir(target, 0755);
    must(mount(type, target, type, flags, data), target);
}

static void contain(const char *rootfs, char **command)
{
    const unsigned long safe = MS_NOSUID | MS_NODEV | MS_NOEXEC;
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    must(mount(rootfs, rootfs, NULL, MS_BIND | MS_REC, NULL), "bind rootfs");
    must(chdir(rootfs), "chdir");
    put("proc", "proc", safe, NULL);
    put("tmpfs", "dev", MS_NOSUID, "mode=755,size=65536k");
    put("devpts", "dev/pts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620");
    put("tmpfs", "dev/shm", safe, "mode=1777,size=65536k");
    put("mqueue", "dev/mqueue", safe, NULL);
    put("sysfs", "sys", safe | MS_RDONLY, NULL);
    put("tmpfs", "sys/fs/cgroup", safe, "mode=755");
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "umount");
    must(chdir("/"), "chdir /");
    must(sethostname("floor", 5), "sethostname");
    execv(command[0], command);
    must(-1, command[0]);
}

int main(int argc, char **argv)
{
    if (argc < 3)
        return fprintf(stderr, "usage: floor ROOTFS COMMAND [ARGUMENT...]\n"), 125;
    struct clone_args args = {
        .flags = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP,
        .exit_signal = SIGCHLD,
    };
    pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof args);
    must(child, "clone3");
    if (child == 0)
        contain(argv[1], argv + 2);
    int status;
    must(waitpid(child, &status, 0), "waitpid");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
