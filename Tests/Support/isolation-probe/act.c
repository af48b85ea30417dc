/* Commands that try one thing: `name=argument:argument`. The line that says how it went repeats the command as its key. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

/* open=FLAGS:PATH with the letters r, w, c (create), d (directory), n (non-blocking). */
static void try_open(const char *key, char *flags, char *path)
{
    int mode = strchr(flags, 'w') ? (strchr(flags, 'r') ? O_RDWR : O_WRONLY) : O_RDONLY;
    if (strchr(flags, 'c')) mode |= O_CREAT;
    if (strchr(flags, 'd')) mode |= O_DIRECTORY;
    if (strchr(flags, 'n')) mode |= O_NONBLOCK;
    int file = open(path, mode | O_CLOEXEC | O_NOCTTY, 0666);
    say_result(key, file < 0 ? -1 : 0);
    if (file >= 0) close(file);
}

static void try_read(const char *key, char *path)
{
    static char text[60000];
    if (slurp(path, text, sizeof text) < 0) {
        say(key, "error %s", errno_name(errno));
        return;
    }
    size_t length = strlen(text);
    if (length && text[length - 1] == '\n') text[length - 1] = 0;
    say_text(key, text);
}

static void try_write(const char *key, char *path, char *value)
{
    int file = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    long result = file < 0 ? -1 : write(file, value, strlen(value));
    say_result(key, result);
    if (file >= 0) close(file);
}

/* stat=PATH: kind, device numbers, mode, owner; links are not followed. */
static void try_stat(const char *key, char *path)
{
    static const char kinds[] = "?pc?d?b?-?l?s???";
    struct stat facts;
    if (lstat(path, &facts)) say_result(key, -1);
    else
        say(key, "%c %u:%u %o %u %u", kinds[facts.st_mode >> 12 & 15], major(facts.st_rdev), minor(facts.st_rdev),
            facts.st_mode & 07777, facts.st_uid, facts.st_gid);
}

static void try_list(const char *key, char *path)
{
    DIR *directory = opendir(path);
    if (!directory) {
        say_result(key, -1);
        return;
    }
    char text[8192] = "";
    int at = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
            at += snprintf(text + at, sizeof text - at, "%s%s", at ? " " : "", entry->d_name);
    closedir(directory);
    say_text(key, text);
}

static void try_link(const char *key, char *path)
{
    char text[4096];
    ssize_t length = readlink(path, text, sizeof text - 1);
    if (length < 0) {
        say_result(key, -1);
        return;
    }
    text[length] = 0;
    say_text(key, text);
}

/* call=NUMBER:ARGUMENT...: a system call with numbers as arguments. */
static void try_call(const char *key, char *number, char **arguments)
{
    long values[6] = {0};
    for (int i = 0; i < 6 && arguments[i]; i++) values[i] = strtol(arguments[i], 0, 0);
    say_result(key, syscall(strtol(number, 0, 0), values[0], values[1], values[2], values[3], values[4], values[5]));
}

/* child=NUMBER:ARGUMENT...: the same in a child; says how the child ended. */
static void try_call_in_child(const char *key, char *number, char **arguments)
{
    pid_t child = fork();
    if (!child) {
        long values[6] = {0};
        for (int i = 0; i < 6 && arguments[i]; i++) values[i] = strtol(arguments[i], 0, 0);
        long result = syscall(strtol(number, 0, 0), values[0], values[1], values[2], values[3], values[4], values[5]);
        _exit(result == -1 ? errno : 0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) say(key, "signal %d", WTERMSIG(status));
    else if (WEXITSTATUS(status)) say(key, "error %s", errno_name(WEXITSTATUS(status)));
    else say(key, "0");
}

static void try_flags(const char *key, char *path)
{
    struct statvfs facts;
    if (statvfs(path, &facts)) say_result(key, -1);
    else say(key, "%#lx", facts.f_flag);
}

/* children=: what a child of this process says of the namespaces that only children enter. */
static void tell_of_child(const char *key)
{
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        report_namespaces();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, 0, 0);
    say(key, "0");
}

static volatile sig_atomic_t received;
static void note(int signal) { received = signal; }

/* hold=: waits for a signal that ends it, or for SIGUSR1, and says which. */
static void hold(const char *key)
{
    struct sigaction action = {.sa_handler = note};
    sigaction(SIGUSR1, &action, 0);
    sigaction(SIGTERM, &action, 0);
    say("ready", "%d", getpid());
    fflush(stdout);
    while (!received) pause();
    say(key, "%d", (int)received);
}

static int act_on_files(const char *key, const char *name, char **words)
{
    if (!strcmp(name, "open")) try_open(key, words[0], words[1]);
    else if (!strcmp(name, "read")) try_read(key, words[0]);
    else if (!strcmp(name, "write")) try_write(key, words[0], words[1] ? words[1] : "");
    else if (!strcmp(name, "stat")) try_stat(key, words[0]);
    else if (!strcmp(name, "list")) try_list(key, words[0]);
    else if (!strcmp(name, "link")) try_link(key, words[0]);
    else if (!strcmp(name, "flags")) try_flags(key, words[0]);
    else if (!strcmp(name, "mkdir")) say_result(key, mkdir(words[0], 0777));
    else if (!strcmp(name, "mknod")) say_result(key, mknod(words[0], S_IFCHR | 0666, makedev(1, 3)));
    else if (!strcmp(name, "chown")) say_result(key, chown(words[0], atoi(words[1]), atoi(words[1])));
    else if (!strcmp(name, "mount-at")) say_result(key, mount(words[0], words[1], words[2], 0, 0));
    else if (!strcmp(name, "umount")) say_result(key, umount(words[0]));
    else if (!strcmp(name, "remount")) say_result(key, mount(0, words[0], 0, MS_REMOUNT | MS_BIND, 0));
    else return 0;
    return 1;
}

int act(const char *command)
{
    char text[8192], *words[8] = {0}, *rest = text;
    snprintf(text, sizeof text, "%s", command);
    char *name = strsep(&rest, "=");
    for (int i = 0; i < 7 && rest; i++) words[i] = strsep(&rest, ":");
    if (words[0] && act_on_files(command, name, words)) return 1;
    if (!strcmp(name, "call")) try_call(command, words[0], words + 1);
    else if (!strcmp(name, "child")) try_call_in_child(command, words[0], words + 1);
    else if (!strcmp(name, "children")) tell_of_child(command);
    else if (!strcmp(name, "hold")) hold(command);
    else if (!strcmp(name, "agent") && words[1]) say_result("end", serve_agent(command, words[0], atoi(words[1])));
    else if (!strcmp(name, "exit")) {
        fflush(stdout);
        _exit(atoi(words[0]));
    } else if (!strcmp(name, "status")) report_status();
    else return 0;
    return 1;
}
