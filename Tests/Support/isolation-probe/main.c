/* isolation-probe COMMAND...: says from inside of a container what it sees and may do, one line for each fact: a key, a tab, a value.
 *
 * It is linked statically, so that it runs in an empty root, and knows nothing of who made the container. `report` prints
 * everything; the other commands, in act.c, try one thing each. The exit status is 0 unless `exit=N` or an unknown command. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern char **environ;

void say_text(const char *key, const char *value)
{
    printf("%s\t", key);
    for (const char *at = value; *at; at++) {
        if (*at == '\n') fputs("\\n", stdout);
        else if (*at == '\\') fputs("\\\\", stdout);
        else putchar(*at);
    }
    putchar('\n');
}

void say(const char *key, const char *format, ...)
{
    char text[65536];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    say_text(key, text);
}

const char *errno_name(int number)
{
    const char *name = strerrorname_np(number);
    return name ? name : "unknown";
}

void say_result(const char *key, long result)
{
    if (result == -1) say(key, "error %s", errno_name(errno));
    else say(key, "%ld", result);
}

long slurp(const char *path, char *buffer, long size)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -1;
    long length = 0, count;
    while (length < size - 1 && (count = read(file, buffer + length, size - 1 - length)) > 0) length += count;
    int problem = count < 0 ? errno : 0;
    close(file);
    errno = problem;
    buffer[length] = 0;
    return problem ? -1 : length;
}

static void report(char **arguments)
{
    char key[32];
    for (int i = 0; arguments[i]; i++) {
        snprintf(key, sizeof key, "arg.%d", i);
        say_text(key, arguments[i]);
    }
    for (int i = 0; environ[i]; i++) {
        snprintf(key, sizeof key, "env.%d", i);
        say_text(key, environ[i]);
    }
    report_ids();
    report_status();
    report_process();
    report_scheduling();
    report_namespaces();
    report_files();
    report_network();
}

int main(int count, char **arguments)
{
    setvbuf(stdout, 0, _IOFBF, 1 << 16);
    for (int i = 1; i < count; i++) {
        if (!strcmp(arguments[i], "report")) {
            report(arguments);
        } else if (!act(arguments[i])) {
            say("unknown", "%s", arguments[i]);
            fflush(stdout);
            return 2;
        }
        fflush(stdout);
    }
    return 0;
}
