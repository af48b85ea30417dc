// Tries what access rules are about, one word each, and prints each with `ok` or the name of its error. Static: it runs in any root.
//
//   read=PATH write=PATH create=PATH truncate=PATH   opens the file so, or cuts it off
//   at=PATH               opens PATH below what standard input is
//   again=NUMBER          opens again for writing what a descriptor stands for, through /proc/self/fd
//   mkdir=PATH fifo=PATH socket=PATH whiteout=PATH null=PATH     makes such a file; whiteout is the device 0:0, null is 1:3
//   rename=PATH,PATH link=PATH,PATH
//   remount=PATH          makes a mount writable by mount(2)
//   rw=PATH               makes a mount writable by mount_setattr(2)
//   mount=PATH            mounts a tmpfs there
//   control=PATH          opens a device and makes a request that none knows: ENOTTY is the device's own answer
//   signal=PID            asks whether it may be signalled
//   peek=PID              opens what it has open as 1
//   connect=NAME          connects to an abstract socket
//   serve=NAME            is one, until standard input ends
//   root=N                goes up N times from the root and counts what it sees there
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

static int opened(int directory, const char *path, int flags) {
    int file = openat(directory, path, flags | O_NOCTTY | O_NONBLOCK, 0644);
    if (file >= 0) close(file);
    return file;
}

static int unix_socket(const char *name, int abstract, int listens) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path + abstract, name, sizeof address.sun_path - 2);
    socklen_t size = offsetof(struct sockaddr_un, sun_path) + abstract + strlen(name);
    int number = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listens) return bind(number, (void *)&address, size) ?: abstract ? listen(number, 5) : 0;
    return connect(number, (void *)&address, size);
}

static int writable_by_attributes(const char *path) {
    uint64_t attributes[4] = {0, 1 /* MOUNT_ATTR_RDONLY */, 0, 0};
    return syscall(442 /* mount_setattr */, AT_FDCWD, path, 0, attributes, sizeof attributes);
}

static int controlled(const char *path) {
    int device = open(path, O_RDONLY | O_NOCTTY | O_NONBLOCK);
    return device < 0 ? device : ioctl(device, 0x1260 /* BLKGETSIZE */, 0);
}

static int served(const char *name) {
    char byte;
    if (unix_socket(name, 1, 1)) return -1;
    puts("serving");
    fflush(stdout);
    return read(0, &byte, 1);
}

static int try(const char *word, char *value) {
    char text[64], *second = strchr(value, ',');
    if (second) *second++ = 0;
    int number = atoi(value);
    if (!strcmp(word, "read")) return opened(AT_FDCWD, value, O_RDONLY);
    if (!strcmp(word, "write")) return opened(AT_FDCWD, value, O_WRONLY);
    if (!strcmp(word, "create")) return opened(AT_FDCWD, value, O_WRONLY | O_CREAT | O_EXCL);
    if (!strcmp(word, "truncate")) return truncate(value, 0);
    if (!strcmp(word, "at")) return opened(0, value, O_RDONLY);
    snprintf(text, sizeof text, "/proc/self/fd/%d", number);
    if (!strcmp(word, "again")) return opened(AT_FDCWD, text, O_WRONLY);
    if (!strcmp(word, "mkdir")) return mkdir(value, 0755);
    if (!strcmp(word, "fifo")) return mkfifo(value, 0644);
    if (!strcmp(word, "socket")) return unix_socket(value, 0, 1);
    if (!strcmp(word, "whiteout")) return mknod(value, S_IFCHR | 0644, 0);
    if (!strcmp(word, "null")) return mknod(value, S_IFCHR | 0644, makedev(1, 3));
    if (!strcmp(word, "rename") && second) return rename(value, second);
    if (!strcmp(word, "link") && second) return link(value, second);
    if (!strcmp(word, "remount")) return mount(0, value, 0, MS_REMOUNT | MS_BIND, 0);
    if (!strcmp(word, "rw")) return writable_by_attributes(value);
    if (!strcmp(word, "mount")) return mount("tmpfs", value, "tmpfs", 0, 0);
    if (!strcmp(word, "control")) return controlled(value);
    if (!strcmp(word, "signal")) return kill(number, 0);
    snprintf(text, sizeof text, "/proc/%d/fd/1", number);
    if (!strcmp(word, "peek")) return opened(AT_FDCWD, text, O_WRONLY);
    if (!strcmp(word, "connect")) return unix_socket(value, 1, 0);
    if (!strcmp(word, "serve")) return served(value);
    exit(64);
}

static int outside(int steps) {
    char path[4096] = "/";
    for (int i = 0; i < steps && i < 1000; i++) strcat(path, "../");
    struct stat root, above;
    return stat("/", &root) || stat(path, &above) || root.st_ino != above.st_ino || root.st_dev != above.st_dev;
}

int main(int count, char **words) {
    for (int i = 1; i < count; i++) {
        char *value = strchr(words[i], '=');
        if (!value) return 64;
        char *text = strdup(words[i]);
        *value++ = 0;
        errno = 0;
        int result = !strcmp(words[i], "root") ? (outside(atoi(value)) ? (errno = EXDEV, -1) : 0) : try(words[i], value);
        printf("%s: %s\n", text, result < 0 ? strerrorname_np(errno) : "ok");
    }
    return 0;
}
