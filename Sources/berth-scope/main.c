// berth-scope: asks systemd for a transient scope. A program of its own, because libsystemd cannot be linked into static shims.
//
//   berth-scope start UNIT [PROPERTY…]   a scope with a process in it that keeps it, for an empty scope is gone at once; prints
//                                        "scope KEEPER PATH". The keeper ends when standard input does, unless a byte came
//                                        before: then it stays until it is killed or the scope is stopped
//   berth-scope set UNIT [PROPERTY…]     changes properties until the next boot
//   berth-scope stop UNIT                stops the scope and forgets that it failed; one that is gone is fine
//
// PROPERTY is NAME TYPE VALUE, each an argument of its own. TYPE is the D-Bus signature: b (yes, no), s, t and u (decimal),
// ay (hexadecimal), or a(ss) with the number of pairs and then the pairs.
//
// A failure prints "error NAME MESSAGE", where NAME is the bus error's, and the exit code says what kind it is.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>
#include <time.h>
#include <unistd.h>

enum { USAGE = 2, NO_BUS = 3, REFUSED = 4, JOB_FAILED = 5, TIMED_OUT = 6 };

static const char DESTINATION[] = "org.freedesktop.systemd1";
static const char OBJECT[] = "/org/freedesktop/systemd1";
static const char MANAGER[] = "org.freedesktop.systemd1.Manager";
static const uint64_t PATIENCE_USEC = 30 * 1000000ULL;

__attribute__((noreturn, format(printf, 3, 4)))
static void fail(int code, const char *name, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    printf("error %s ", name);
    vprintf(format, values);
    printf("\n");
    va_end(values);
    exit(code);
}

__attribute__((noreturn)) static void refused(const sd_bus_error *error, int result)
{
    if (sd_bus_error_is_set(error))
        fail(REFUSED, error->name, "%s", error->message ? error->message : "");
    fail(result == -ETIMEDOUT ? TIMED_OUT : NO_BUS, "none", "%s", strerror(-result));
}

static void check(int result)
{
    if (result < 0)
        fail(NO_BUS, "none", "%s", strerror(-result));
}

// Root speaks to systemd itself, as systemctl does, so that no bus daemon has to run; the bus is for those who may not.
static sd_bus *connect_manager(void)
{
    sd_bus *bus = NULL;
    check(sd_bus_new(&bus));
    check(sd_bus_set_address(bus, "unix:path=/run/systemd/private"));
    int result = sd_bus_start(bus);
    if (result < 0) {
        sd_bus_unref(bus);
        bus = NULL;
        result = sd_bus_open_system(&bus);
    }
    if (result < 0)
        fail(NO_BUS, "none", "connect to systemd: %s", strerror(-result));
    check(sd_bus_set_method_call_timeout(bus, PATIENCE_USEC));
    return bus;
}

static uint64_t number(const char *text)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    if (errno != 0 || *text < '0' || *text > '9' || *end != '\0')
        fail(USAGE, "none", "'%s' is not a number", text);
    return value;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    fail(USAGE, "none", "'%c' is not a hexadecimal digit", c);
}

static void append_bytes(sd_bus_message *message, const char *text)
{
    uint8_t bytes[1024];
    size_t count = strlen(text) / 2;
    if (strlen(text) % 2 != 0 || count > sizeof bytes)
        fail(USAGE, "none", "'%s' is not a list of bytes", text);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
    check(sd_bus_message_append_array(message, 'y', bytes, count));
}

// Appends the variant; returns how many arguments it took.
static int append_value(sd_bus_message *message, const char *type, int count, char **values)
{
    if (count < 1)
        fail(USAGE, "none", "a value of type '%s' is missing", type);
    if (strcmp(type, "b") == 0) {
        if (strcmp(values[0], "yes") != 0 && strcmp(values[0], "no") != 0)
            fail(USAGE, "none", "'%s' is neither yes nor no", values[0]);
        check(sd_bus_message_append(message, "b", values[0][0] == 'y'));
    } else if (strcmp(type, "s") == 0) {
        check(sd_bus_message_append(message, "s", values[0]));
    } else if (strcmp(type, "t") == 0) {
        check(sd_bus_message_append(message, "t", number(values[0])));
    } else if (strcmp(type, "u") == 0) {
        uint64_t value = number(values[0]);
        if (value > UINT32_MAX)
            fail(USAGE, "none", "'%s' is too large", values[0]);
        check(sd_bus_message_append(message, "u", (uint32_t)value));
    } else if (strcmp(type, "ay") == 0) {
        append_bytes(message, values[0]);
    } else if (strcmp(type, "a(ss)") == 0) {
        uint64_t pairs = number(values[0]);
        if (pairs > 4096 || (uint64_t)count < 1 + 2 * pairs)
            fail(USAGE, "none", "%" PRIu64 " pairs do not follow", pairs);
        check(sd_bus_message_open_container(message, 'a', "(ss)"));
        for (uint64_t i = 0; i < pairs; i++)
            check(sd_bus_message_append(message, "(ss)", values[1 + 2 * i], values[2 + 2 * i]));
        check(sd_bus_message_close_container(message));
        return (int)(1 + 2 * pairs);
    } else {
        fail(USAGE, "none", "type '%s'", type);
    }
    return 1;
}

static void append_properties(sd_bus_message *message, int count, char **words)
{
    while (count > 0) {
        if (count < 3)
            fail(USAGE, "none", "property '%s' has no value", words[0]);
        check(sd_bus_message_open_container(message, 'r', "sv"));
        check(sd_bus_message_append(message, "s", words[0]));
        check(sd_bus_message_open_container(message, 'v', words[1]));
        int taken = 2 + append_value(message, words[1], count - 2, words + 2);
        check(sd_bus_message_close_container(message));
        check(sd_bus_message_close_container(message));
        count -= taken;
        words += taken;
    }
}

struct job { char path[256]; char result[64]; };

static int job_removed(sd_bus_message *message, void *data, sd_bus_error *error)
{
    (void)error;
    struct job *job = data;
    const char *path, *unit, *result;
    uint32_t id;
    // Jobs that end before ours is known are of no interest: the reply comes before the signal.
    if (sd_bus_message_read(message, "uoss", &id, &path, &unit, &result) >= 0 && strcmp(path, job->path) == 0)
        snprintf(job->result, sizeof job->result, "%s", result);
    return 0;
}

static void subscribe(sd_bus *bus, struct job *job)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    check(sd_bus_match_signal(bus, NULL, NULL, OBJECT, MANAGER, "JobRemoved", job_removed, job));
    int result = sd_bus_call_method(bus, DESTINATION, OBJECT, MANAGER, "Subscribe", &error, NULL, "");
    if (result < 0)
        refused(&error, result);
}

static uint64_t now_usec(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// Remembers the job that a reply names and waits for its end.
static void await_job(sd_bus *bus, sd_bus_message *reply, struct job *job)
{
    const char *path;
    check(sd_bus_message_read(reply, "o", &path));
    snprintf(job->path, sizeof job->path, "%s", path);
    uint64_t deadline = now_usec() + PATIENCE_USEC;
    while (job->result[0] == '\0') {
        int result = sd_bus_process(bus, NULL);
        check(result);
        if (result > 0)
            continue;
        uint64_t now = now_usec();
        if (now >= deadline)
            fail(TIMED_OUT, "none", "job %s did not end", path);
        check(sd_bus_wait(bus, deadline - now));
    }
}

static char *control_group(sd_bus *bus, const char *unit)
{
    sd_bus_error error = SD_BUS_ERROR_NULL;
    char *path, *group;
    check(sd_bus_path_encode("/org/freedesktop/systemd1/unit", unit, &path));
    int result = sd_bus_get_property_string(bus, DESTINATION, path, "org.freedesktop.systemd1.Scope", "ControlGroup",
                                            &error, &group);
    if (result < 0)
        refused(&error, result);
    free(path);
    return group;
}

// The path of berth-init, which is installed beside this program.
static const char *init_path(void)
{
    static char path[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "/berth-init");
    if (length <= 0)
        fail(USAGE, "none", "read the own path: %s", strerror(errno));
    path[length] = '\0';
    strcpy(strrchr(path, '/'), "/berth-init");
    if (access(path, X_OK) != 0)
        fail(USAGE, "none", "'%s', which keeps a scope from being empty: %s", path, strerror(errno));
    return path;
}

// The process that keeps a scope from being empty: another program, for this one's libraries would cost each container more than
// its shim does. It is never chosen when memory runs out: the scope has to outlive its container until somebody has read what
// it says of that.
static pid_t fork_keeper(void)
{
    const char *path = init_path();
    pid_t keeper = fork();
    if (keeper < 0)
        fail(NO_BUS, "none", "fork: %s", strerror(errno));
    if (keeper > 0)
        return keeper;
    int score = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    // Where that is not allowed it is a small process among large ones.
    if (score >= 0 && write(score, "-1000", 5) < 0)
        errno = 0;
    setsid();
    close_range(1, ~0U, 0);
    execl(path, "berth-keeper", "keep", (char *)NULL);
    _exit(127);
}

static int start(const char *unit, int count, char **words)
{
    pid_t keeper = fork_keeper();
    sd_bus *bus = connect_manager();
    struct job job = {0};
    subscribe(bus, &job);
    sd_bus_message *message, *reply;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    check(sd_bus_message_new_method_call(bus, &message, DESTINATION, OBJECT, MANAGER, "StartTransientUnit"));
    check(sd_bus_message_append(message, "ss", unit, "fail"));
    check(sd_bus_message_open_container(message, 'a', "(sv)"));
    check(sd_bus_message_append(message, "(sv)", "PIDs", "au", 1, (uint32_t)keeper));
    append_properties(message, count, words);
    check(sd_bus_message_close_container(message));
    check(sd_bus_message_append(message, "a(sa(sv))", 0));
    int result = sd_bus_call(bus, message, 0, &error, &reply);
    if (result < 0)
        refused(&error, result);
    await_job(bus, reply, &job);
    if (strcmp(job.result, "done") != 0)
        fail(JOB_FAILED, "none", "job to start %s: %s", unit, job.result);
    char *group = control_group(bus, unit);
    printf("scope %d %s\n", (int)keeper, group);
    return 0;
}

static int set(const char *unit, int count, char **words)
{
    sd_bus *bus = connect_manager();
    sd_bus_message *message;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    check(sd_bus_message_new_method_call(bus, &message, DESTINATION, OBJECT, MANAGER, "SetUnitProperties"));
    check(sd_bus_message_append(message, "sb", unit, 1));
    check(sd_bus_message_open_container(message, 'a', "(sv)"));
    append_properties(message, count, words);
    check(sd_bus_message_close_container(message));
    int result = sd_bus_call(bus, message, 0, &error, NULL);
    if (result < 0)
        refused(&error, result);
    return 0;
}

static int stop(const char *unit)
{
    sd_bus *bus = connect_manager();
    struct job job = {0};
    subscribe(bus, &job);
    sd_bus_message *reply;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int result = sd_bus_call_method(bus, DESTINATION, OBJECT, MANAGER, "StopUnit", &error, &reply, "ss", unit, "replace");
    if (result < 0 && !sd_bus_error_has_name(&error, "org.freedesktop.systemd1.NoSuchUnit"))
        refused(&error, result);
    if (result >= 0)
        await_job(bus, reply, &job);
    // A scope whose processes were killed may have failed, and would be remembered; one that did not is not there any more.
    sd_bus_call_method(bus, DESTINATION, OBJECT, MANAGER, "ResetFailedUnit", NULL, NULL, "s", unit);
    return 0;
}

int main(int count, char **words)
{
    if (count >= 3 && strcmp(words[1], "start") == 0)
        return start(words[2], count - 3, words + 3);
    if (count >= 3 && strcmp(words[1], "set") == 0)
        return set(words[2], count - 3, words + 3);
    if (count == 3 && strcmp(words[1], "stop") == 0)
        return stop(words[2]);
    fail(USAGE, "none", "usage: berth-scope start UNIT [PROPERTY TYPE VALUE]..., set UNIT ..., or stop UNIT");
}
