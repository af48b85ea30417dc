// berth-init: PID 1 of a container that asked for one (`--init`), and the process that holds a pod's namespaces or a
// scope of systemd.
//
//   berth-init [--] COMMAND [ARGUMENT…]   runs COMMAND as its child, passes signals on, reaps what is orphaned,
//                                         and ends with the child's code, or 128 + signal
//   berth-init pause                      holds its namespaces and reaps, until SIGTERM, SIGINT or SIGQUIT
//   berth-init keep                       holds its cgroup; ends when standard input does, unless a byte came before: then it
//                                         stays until it is killed
//
// Built by tools/lib.sh with the C compiler alone: through SwiftPM it would carry 9 MB of Swift runtime.

#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CANNOT_RUN = 126, NOT_FOUND = 127 };

// The child gets its own process group, and the terminal where there is one, so that a ^C reaches it once:
// from the terminal, and not a second time through us.
static int run(char **command, const sigset_t *inherited)
{
    setpgid(0, 0);
    tcsetpgrp(STDIN_FILENO, getpid());
    signal(SIGTTIN, SIG_DFL);
    signal(SIGTTOU, SIG_DFL);
    sigprocmask(SIG_SETMASK, inherited, NULL);
    execvp(command[0], command);
    fprintf(stderr, "berth-init: %s: %s\n", command[0], strerror(errno));
    _exit(errno == ENOENT ? NOT_FOUND : CANNOT_RUN);
}

// Reaps every child that has ended. Returns the main child's code once it is among them, else -1.
static int reap(pid_t main_child)
{
    int status, code = -1;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        if (pid != main_child)
            continue;
        code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    }
    return code;
}

static int ends_pause(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT;
}

// One place waits for every signal. main_child is 0 for `pause`.
static int supervise(pid_t main_child, const sigset_t *all)
{
    for (;;) {
        siginfo_t info;
        int signal = sigwaitinfo(all, &info);
        if (signal < 0)
            continue;
        if (signal == SIGCHLD) {
            int code = reap(main_child);
            if (code >= 0)
                return code;
        } else if (main_child > 0) {
            kill(main_child, signal);
        } else if (ends_pause(signal)) {
            return 0;
        }
    }
}

static int keep(void)
{
    prctl(PR_SET_NAME, "berth-keeper");
    char byte;
    ssize_t result;
    do
        result = read(STDIN_FILENO, &byte, 1);
    while (result < 0 && errno == EINTR);
    if (result != 1)
        return 0;
    close(STDIN_FILENO);
    for (;;)
        pause();
}

int main(int argc, char **argv)
{
    sigset_t all, inherited;
    char **command = argv + 1;
    if (argc > 1 && strcmp(*command, "--") == 0)
        command++;
    if (*command == NULL) {
        fprintf(stderr, "usage: berth-init [--] COMMAND [ARGUMENT...] | berth-init pause|keep\n");
        return CANNOT_RUN;
    }
    if (strcmp(argv[1], "keep") == 0)
        return keep();
    // SIGTTIN and SIGTTOU are ignored: this process must not be stopped when its child takes the terminal.
    signal(SIGTTIN, SIG_IGN);
    signal(SIGTTOU, SIG_IGN);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &inherited);
    prctl(PR_SET_CHILD_SUBREAPER, 1); // for a container that shares its pid namespace, where this is not PID 1
    if (strcmp(argv[1], "pause") == 0)
        return supervise(0, &all);

    pid_t child = fork();
    if (child < 0) {
        fprintf(stderr, "berth-init: fork: %s\n", strerror(errno));
        return CANNOT_RUN;
    }
    if (child == 0)
        run(command, &inherited);
    return supervise(child, &all);
}
