/* Who the process is and how it runs. */
#include "probe.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void say_file(const char *key, const char *path)
{
    char text[4096];
    if (slurp(path, text, sizeof text) < 0) {
        say(key, "error %s", errno_name(errno));
        return;
    }
    size_t length = strlen(text);
    if (length && text[length - 1] == '\n') text[length - 1] = 0;
    say_text(key, text);
}

void report_ids(void)
{
    uid_t ruid, euid, suid;
    gid_t rgid, egid, sgid, groups[256];
    getresuid(&ruid, &euid, &suid);
    getresgid(&rgid, &egid, &sgid);
    say("uid", "%u %u %u", ruid, euid, suid);
    say("gid", "%u %u %u", rgid, egid, sgid);
    int count = getgroups(256, groups);
    char text[4096] = "";
    for (int i = 0, at = 0; i < count; i++) at += snprintf(text + at, sizeof text - at, "%s%u", i ? " " : "", groups[i]);
    say("groups", "%s", text);
    say_file("uid_map", "/proc/self/uid_map");
    say_file("gid_map", "/proc/self/gid_map");
    say_file("setgroups", "/proc/self/setgroups");
}

/* Lines of /proc/self/status that say what no call does. */
void report_status(void)
{
    static const char *const wanted[] = {
        "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp", "Seccomp_filters", "SigBlk", "SigIgn",
        "SigCgt", "Umask", "NSpid", "Speculation_Store_Bypass", 0,
    };
    char text[16384];
    if (slurp("/proc/self/status", text, sizeof text) < 0) {
        say("status", "error %s", errno_name(errno));
        return;
    }
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));) {
        char *colon = strchr(line, ':');
        if (!colon) continue;
        *colon = 0;
        for (int i = 0; wanted[i]; i++) {
            if (!strcmp(line, wanted[i])) say_text(line, colon + 1 + strspn(colon + 1, " \t"));
        }
    }
}

static void report_limits(void)
{
    static const struct { const char *key; int number; } limits[] = {
        {"rlimit.AS", RLIMIT_AS}, {"rlimit.CORE", RLIMIT_CORE}, {"rlimit.CPU", RLIMIT_CPU}, {"rlimit.DATA", RLIMIT_DATA},
        {"rlimit.FSIZE", RLIMIT_FSIZE}, {"rlimit.LOCKS", RLIMIT_LOCKS}, {"rlimit.MEMLOCK", RLIMIT_MEMLOCK},
        {"rlimit.MSGQUEUE", RLIMIT_MSGQUEUE}, {"rlimit.NICE", RLIMIT_NICE}, {"rlimit.NOFILE", RLIMIT_NOFILE},
        {"rlimit.NPROC", RLIMIT_NPROC}, {"rlimit.RSS", RLIMIT_RSS}, {"rlimit.RTPRIO", RLIMIT_RTPRIO},
        {"rlimit.RTTIME", RLIMIT_RTTIME}, {"rlimit.SIGPENDING", RLIMIT_SIGPENDING}, {"rlimit.STACK", RLIMIT_STACK},
    };
    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit limit;
        getrlimit(limits[i].number, &limit);
        say(limits[i].key, "%lld %lld", (long long)limit.rlim_cur, (long long)limit.rlim_max);
    }
}

static void report_terminal(void)
{
    char name[256];
    say("tty", "%s", ttyname_r(0, name, sizeof name) ? "none" : name);
    struct winsize size;
    if (!ioctl(0, TIOCGWINSZ, &size)) say("winsize", "%u %u", size.ws_row, size.ws_col);
    pid_t session;
    say("controlling", "%d", !ioctl(0, TIOCGSID, &session) && session == getsid(0));
}

static void report_keyring(void)
{
    char text[256];
    long session = syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* session */, 0);
    say_result("keyring", session);
    if (session != -1 && syscall(SYS_keyctl, 6 /* KEYCTL_DESCRIBE */, session, text, sizeof text) != -1)
        say_text("keyring.name", text);
}

void report_process(void)
{
    char text[4096];
    say("pid", "%d", getpid());
    say("ppid", "%d", getppid());
    say("sid", "%d", getsid(0));
    say("pgid", "%d", getpgid(0));
    mode_t mask = umask(0);
    umask(mask);
    say("umask", "%o", mask);
    say("cwd", "%s", getcwd(text, sizeof text) ? text : errno_name(errno));
    say("securebits", "%d", prctl(PR_GET_SECUREBITS));
    say("dumpable", "%d", prctl(PR_GET_DUMPABLE));
    say("pdeathsig", "%d", (prctl(PR_GET_PDEATHSIG, &text), *(int *)text));
    say("personality", "%#lx", (unsigned long)personality(0xffffffff));
    say_file("oom_score_adj", "/proc/self/oom_score_adj");
    say_file("label", "/proc/self/attr/current");
    report_limits();
    report_terminal();
    report_keyring();
}

/* The structure as the kernel knows it in its second version. */
struct attributes {
    unsigned size, policy;
    unsigned long long flags;
    int nice;
    unsigned priority;
    unsigned long long runtime, deadline, period;
    unsigned util_min, util_max;
};

void report_scheduling(void)
{
    struct attributes attributes = {0};
    if (!syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0)) {
        say("sched.policy", "%u", attributes.policy);
        say("sched.flags", "%llu", attributes.flags);
        say("sched.nice", "%d", attributes.nice);
        say("sched.priority", "%u", attributes.priority);
        say("sched.deadline", "%llu %llu %llu", attributes.runtime, attributes.deadline, attributes.period);
    }
    long priority = syscall(SYS_ioprio_get, 1, 0);
    say("ioprio", "%ld %ld", priority >> 13, priority & 0x1fff);
    cpu_set_t set;
    char text[4096] = "";
    if (!sched_getaffinity(0, sizeof set, &set)) {
        for (int i = 0, at = 0; i < CPU_SETSIZE; i++)
            if (CPU_ISSET(i, &set)) at += snprintf(text + at, sizeof text - at, "%s%d", at ? "," : "", i);
    }
    say("affinity", "%s", text);
    int mode = -1;
    unsigned long nodes[16] = {0};
    long result = syscall(SYS_get_mempolicy, &mode, nodes, sizeof nodes * 8, 0, 0);
    if (result) say("mempolicy", "error %s", errno_name(errno));
    else say("mempolicy", "%#x %#lx", mode, nodes[0]);
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    say("monotonic", "%lld", now.tv_sec * 1000000000LL + now.tv_nsec);
    clock_gettime(CLOCK_BOOTTIME, &now);
    say("boottime", "%lld", now.tv_sec * 1000000000LL + now.tv_nsec);
}
