/* Where the process is: namespaces, files, mounts, cgroups, network. */
#include "probe.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

static void say_link(const char *key, const char *path)
{
    char text[4096];
    ssize_t length = readlink(path, text, sizeof text - 1);
    if (length < 0) {
        say(key, "error %s", errno_name(errno));
        return;
    }
    text[length] = 0;
    say_text(key, text);
}

void report_namespaces(void)
{
    static const char *const kinds[] = {
        "mnt", "pid", "net", "ipc", "uts", "user", "cgroup", "time", "pid_for_children", "time_for_children", 0,
    };
    for (int i = 0; kinds[i]; i++) {
        char key[64], path[64];
        snprintf(key, sizeof key, "ns.%s", kinds[i]);
        snprintf(path, sizeof path, "/proc/self/ns/%s", kinds[i]);
        say_link(key, path);
    }
    struct utsname name;
    uname(&name);
    say("hostname", "%s", name.nodename);
    say("domainname", "%s", name.domainname);
    say("machine", "%s", name.machine);
}

static void say_lines(const char *key, const char *path)
{
    static char text[1 << 20];
    if (slurp(path, text, sizeof text) < 0) {
        say(key, "error %s", errno_name(errno));
        return;
    }
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line) say_text(key, line);
}

void report_files(void)
{
    DIR *directory = opendir("/proc/self/fd");
    if (directory) {
        for (struct dirent *entry; (entry = readdir(directory));) {
            if (*entry->d_name == '.' || atoi(entry->d_name) == dirfd(directory)) continue;
            char key[64], path[300];
            snprintf(key, sizeof key, "fd.%.16s", entry->d_name);
            snprintf(path, sizeof path, "/proc/self/fd/%s", entry->d_name);
            say_link(key, path);
        }
        closedir(directory);
    } else {
        say("fd", "error %s", errno_name(errno));
    }
    say_link("root", "/proc/self/root");
    say_lines("mount", "/proc/self/mountinfo");
    say_lines("cgroup", "/proc/self/cgroup");
}

void report_network(void)
{
    /* Without a descriptor of the netlink kind left open: if_nameindex and getifaddrs close theirs. */
    struct if_nameindex *names = if_nameindex();
    for (struct if_nameindex *at = names; at && at->if_index; at++) {
        char key[64];
        snprintf(key, sizeof key, "net.%s", at->if_name);
        struct ifreq request = {0};
        strncpy(request.ifr_name, at->if_name, IFNAMSIZ - 1);
        int file = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        ioctl(file, SIOCGIFFLAGS, &request);
        close(file);
        say(key, "%s", request.ifr_flags & IFF_UP ? "up" : "down");
    }
    if (names) if_freenameindex(names);
    struct ifaddrs *addresses;
    if (getifaddrs(&addresses)) return;
    for (struct ifaddrs *at = addresses; at; at = at->ifa_next) {
        char text[INET6_ADDRSTRLEN];
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET) continue;
        inet_ntop(AF_INET, &((struct sockaddr_in *)at->ifa_addr)->sin_addr, text, sizeof text);
        say("address", "%s %s", at->ifa_name, text);
    }
    freeifaddrs(addresses);
}
