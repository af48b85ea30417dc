// Sockets with ancillary data, and terminals: macros that Swift cannot see.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

ssize_t ck_send_fds(int socket, const void *bytes, size_t size, const int *fds, size_t count, int flags)
{
    union { char space[CMSG_SPACE(CK_MAX_PASSED * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec part = {(void *)bytes, size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count > CK_MAX_PASSED) { errno = EINVAL; return -1; }
    if (count > 0) {
        memset(&control, 0, sizeof control);
        message.msg_control = control.space;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&message);
        *header = (struct cmsghdr){.cmsg_len = CMSG_LEN(count * sizeof(int)), .cmsg_level = SOL_SOCKET,
                                   .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(header), fds, count * sizeof(int));
    }
    return sendmsg(socket, &message, flags | MSG_NOSIGNAL);
}

ssize_t ck_recv_fds(int socket, void *bytes, size_t size, int *fds, size_t capacity, size_t *count, int *truncated,
                    pid_t *sender, int flags)
{
    enum { SENDER = CMSG_SPACE(sizeof(struct ucred)) };
    union { char space[CMSG_SPACE(CK_MAX_PASSED * sizeof(int)) + SENDER]; struct cmsghdr align; } control;
    struct iovec part = {bytes, size};
    if (capacity > CK_MAX_PASSED) { errno = EINVAL; return -1; }
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = capacity ? control.space : NULL,
                             .msg_controllen = capacity ? CMSG_SPACE(capacity * sizeof(int)) + SENDER : 0};
    *count = 0;
    *sender = 0;
    ssize_t received = recvmsg(socket, &message, flags | MSG_CMSG_CLOEXEC);
    if (received < 0)
        return -1;
    *truncated = (message.msg_flags & MSG_CTRUNC) != 0;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h != NULL; h = CMSG_NXTHDR(&message, h)) {
        struct ucred credentials;
        if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_CREDENTIALS) {
            memcpy(&credentials, CMSG_DATA(h), sizeof credentials);
            *sender = credentials.pid;
        }
        if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
            continue;
        size_t passed = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < passed; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof fd);
            // CMSG_SPACE rounds up, and a sender need not come: the kernel may deliver more than was asked for.
            if (*count < capacity) fds[(*count)++] = fd;
            else { close(fd); *truncated = 1; }
        }
    }
    return received;
}

int ck_limit_sending(int socket, int64_t seconds)
{
    struct timeval limit = {.tv_sec = seconds};
    return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

int ck_make_room(int socket, int bytes)
{
    if (setsockopt(socket, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes) == 0) return 0;
    return setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
}

int ck_ask_for_senders(int socket)
{
    int on = 1;
    return setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
}

static int address(const char *path, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length == 0 || length >= sizeof out->sun_path) { errno = ENAMETOOLONG; return -1; }
    memcpy(out->sun_path, path, length + 1);
    return 0;
}
int ck_unix_bind(int socket, const char *path)
{
    struct sockaddr_un name;
    return address(path, &name) != 0 ? -1 : bind(socket, (struct sockaddr *)&name, sizeof name);
}
int ck_unix_connect(int socket, const char *path)
{
    struct sockaddr_un name;
    return address(path, &name) != 0 ? -1 : connect(socket, (struct sockaddr *)&name, sizeof name);
}
int ck_unix_connect_abstract(int socket, const void *text, size_t length)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    if (length == 0 || length >= sizeof name.sun_path) { errno = ENAMETOOLONG; return -1; }
    memcpy(name.sun_path + 1, text, length);
    return connect(socket, (struct sockaddr *)&name, (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length));
}
int ck_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return -1;
    *pid = peer.pid; *uid = peer.uid; *gid = peer.gid;
    return 0;
}

int ck_peer_pidfd(int socket)
{
    int pidfd = -1;
    socklen_t size = sizeof pidfd;
    return getsockopt(socket, SOL_SOCKET, 77 /* SO_PEERPIDFD */, &pidfd, &size) != 0 ? -1 : pidfd;
}

int ck_pty_open(int flags) { return posix_openpt(flags | O_CLOEXEC); }
int ck_pty_unlock(int fd) { int no = 0; return ioctl(fd, TIOCSPTLCK, &no); }
int ck_pty_peer(int fd, int flags) { return ioctl(fd, TIOCGPTPEER, flags | O_CLOEXEC); }
int ck_pty_number(int fd) { unsigned n; return ioctl(fd, TIOCGPTN, &n) != 0 ? -1 : (int)n; }
int ck_winsize_set(int fd, uint16_t rows, uint16_t columns)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};
    return ioctl(fd, TIOCSWINSZ, &size);
}
int ck_winsize_get(int fd, uint16_t *rows, uint16_t *columns)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) != 0)
        return -1;
    *rows = size.ws_row; *columns = size.ws_col;
    return 0;
}
int ck_set_controlling_terminal(int fd) { return ioctl(fd, TIOCSCTTY, 0); }
