/* agent=PATH:ERRNO: the other side of a filter's notifications. Takes one container process state from a socket, says what
 * came, and answers every call with the error until nobody asks any more. */
#include "probe.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int take_listener(int socket, const char *key)
{
    static char text[65536];
    union { char bytes[CMSG_SPACE(8 * sizeof(int))]; struct cmsghdr align; } control;
    struct iovec part = {text, sizeof text - 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    ssize_t length = recvmsg(socket, &message, MSG_CMSG_CLOEXEC), more = 0;
    int listener = -1, count = 0;
    for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); at; at = CMSG_NXTHDR(&message, at)) {
        if (at->cmsg_type != SCM_RIGHTS) continue;
        count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(&listener, CMSG_DATA(at), sizeof listener);
    }
    /* One state a connection: whatever else comes belongs to it, until the end. */
    while (length > 0 && (more = read(socket, text + length, sizeof text - 1 - length)) > 0) length += more;
    text[length < 0 ? 0 : length] = 0;
    say("descriptors", "%d", count);
    say_text("state", text);
    say(key, "%ld", (long)length);
    fflush(stdout);
    return listener;
}

int serve_agent(const char *key, const char *path, int error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, path, sizeof address.sun_path - 1);
    int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(server, (struct sockaddr *)&address, sizeof address) || listen(server, 5)) return -1;
    say("ready", "%d", getpid());
    fflush(stdout);
    int listener = take_listener(accept4(server, 0, 0, SOCK_CLOEXEC), key), answered = 0;
    struct pollfd asked = {listener, POLLIN, 0};
    while (listener >= 0 && poll(&asked, 1, -1) > 0 && !(asked.revents & POLLHUP)) {
        struct seccomp_notif request = {0};
        struct seccomp_notif_resp answer = {0};
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &request)) continue;
        answer.id = request.id;
        answer.error = -error;
        if (!ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer)) say("answered", "%d", ++answered);
        fflush(stdout);
    }
    return 0;
}
