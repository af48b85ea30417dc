// What runs in the containers of the harness: a program that keeps books of its own in /h, a directory of the host.
//
//   worker NAME exit CODE MILLISECONDS [CHILDREN]      leaves CHILDREN that ignore every signal, and ends with CODE
//   worker NAME signal NUMBER MILLISECONDS             ends by a signal of its own
//   worker NAME write CODE BYTES-A-SECOND SEPARATOR [SIZE]
//                                                      numbered records until SIGTERM, then ends with CODE
//   worker NAME serve CODE                             answers each line on the socket /h/NAME.sock with its number
//   worker NAME echo CODE                              answers each line of its input with its number, until the end
//   worker NAME talk CODE                              the same without books: for additional processes
//   worker NAME hold CODE                              waits for SIGTERM
//   worker NAME probe                                  a health check: counts itself, fails while /h/NAME.sick is there
//   worker NAME also CODE                              notes its start and its end, and ends with CODE: for additional processes
//
// The books are NAME.lock (held as long as anything of the instance lives), NAME.double (somebody else held it),
// NAME.starts and NAME.ends (one byte for each start, and for each end that was the worker's own) and NAME.book: numbers of
// 64 bits, the count of runs and what each run wrote.

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 4095, BLOCK = 4096, CLIENTS = 32, LINE = 512, TICK = 20 };

static volatile sig_atomic_t ended;
static uint64_t *book;
static uint64_t run;

static void on_end(int number) {
    (void)number;
    ended = 1;
}

static void fail(const char *what) {
    perror(what);
    _exit(98);
}

static int open_book(const char *name, const char *suffix, int flags) {
    char path[256];
    snprintf(path, sizeof path, "/h/%s.%s", name, suffix);
    int fd = open(path, flags | O_CLOEXEC, 0666);
    if (fd < 0) fail(path);
    return fd;
}

static void append_byte(const char *name, const char *suffix) {
    int fd = open_book(name, suffix, O_WRONLY | O_APPEND | O_CREAT);
    if (write(fd, "x", 1) != 1) fail("write");
    close(fd);
}

// The lock is never closed: children keep it, so that a next instance beside any of them is noticed.
static void begin(const char *name) {
    append_byte(name, "starts");
    int lock = open_book(name, "lock", O_RDWR | O_CREAT);
    if (flock(lock, LOCK_EX | LOCK_NB) != 0) {
        append_byte(name, "double");
        _exit(99);
    }
    int fd = open_book(name, "book", O_RDWR | O_CREAT);
    if (ftruncate(fd, (RUNS + 1) * sizeof *book) != 0) fail("ftruncate");
    book = mmap(NULL, (RUNS + 1) * sizeof *book, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (book == MAP_FAILED) fail("mmap");
    close(fd);
    run = ++book[0];
    if (run > RUNS) _exit(97);
}

static void wait_milliseconds(long milliseconds) {
    struct timespec rest = {milliseconds / 1000, milliseconds % 1000 * 1000000};
    while (!ended && nanosleep(&rest, &rest) != 0) {
    }
}

static void leave_children(int count) {
    for (int index = 0; index < count; index++) {
        if (fork() != 0) continue;
        setsid();
        for (int number = 1; number < 32; number++) signal(number, SIG_IGN);
        for (;;) pause();
    }
}

// A record says which one it is; what fills it depends on its number.
static void fill(char *record, int size, uint64_t number, char separator) {
    char head[32];
    snprintf(head, sizeof head, "%06llu.%012llu ", (unsigned long long)run, (unsigned long long)number);
    memcpy(record, head, 20);
    memset(record + 20, 'a' + (int)(number % 26), (size_t)size - 21);
    record[size - 1] = separator;
}

// A block is at most what a pipe takes whole or not at all, so the book is behind the pipe by one block at most.
static void write_records(long rate, char separator, int record) {
    char block[BLOCK];
    uint64_t number = 0;
    struct timespec due;
    clock_gettime(CLOCK_MONOTONIC, &due);
    long owed = 0;
    while (!ended) {
        for (owed += rate * TICK / 1000; owed >= record && !ended;) {
            int size = 0;
            for (; size + record <= BLOCK && owed >= record; size += record, owed -= record)
                fill(block + size, record, ++number, separator);
            ssize_t done = write(STDOUT_FILENO, block, (size_t)size);
            if (done < 0 && errno == EINTR) return;
            if (done != size) fail("write");
            book[run] += (uint64_t)done;
        }
        due.tv_nsec += TICK * 1000000;
        if (due.tv_nsec >= 1000000000) due.tv_sec++, due.tv_nsec -= 1000000000;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
    }
}

static int answer(int out, uint64_t *count, const char *line, size_t size) {
    char text[LINE + 32];
    int length = snprintf(text, sizeof text, "%llu %.*s\n", (unsigned long long)++*count, (int)size, line);
    return write(out, text, (size_t)length) == length;
}

struct client {
    int fd;
    uint64_t count;
    size_t held;
    char line[LINE];
};

// 0 when the other side has gone.
static int serve_client(struct client *client, int out) {
    ssize_t got = read(client->fd, client->line + client->held, LINE - client->held);
    if (got < 0 && errno == EINTR) return 1;
    if (got <= 0) return 0;
    client->held += (size_t)got;
    for (char *end; (end = memchr(client->line, '\n', client->held)) != NULL;) {
        size_t size = (size_t)(end - client->line);
        if (!answer(out, &client->count, client->line, size)) return 0;
        client->held -= size + 1;
        memmove(client->line, end + 1, client->held);
    }
    return client->held < LINE;
}

static void serve(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "/h/%s.sock", name);
    unlink(address.sun_path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0) fail("listen");
    static struct client clients[CLIENTS];
    struct pollfd polled[CLIENTS + 1];
    int count = 0;
    while (!ended) {
        polled[0] = (struct pollfd){listener, POLLIN, 0};
        for (int index = 0; index < count; index++) polled[index + 1] = (struct pollfd){clients[index].fd, POLLIN, 0};
        if (poll(polled, (nfds_t)count + 1, -1) < 0) continue;
        for (int index = count - 1; index >= 0; index--) {
            if (!polled[index + 1].revents || serve_client(&clients[index], clients[index].fd)) continue;
            close(clients[index].fd);
            clients[index] = clients[--count];
        }
        if (!polled[0].revents || count == CLIENTS) continue;
        int fd = accept(listener, NULL, NULL);
        if (fd >= 0) clients[count++] = (struct client){.fd = fd};
    }
}

static void echo(void) {
    struct termios terminal;
    if (tcgetattr(STDIN_FILENO, &terminal) == 0) {
        cfmakeraw(&terminal);
        tcsetattr(STDIN_FILENO, TCSANOW, &terminal);
    }
    if (write(STDOUT_FILENO, "ready\n", 6) != 6) fail("write");
    static struct client input;
    input.fd = STDIN_FILENO;
    while (!ended && serve_client(&input, STDOUT_FILENO)) {
    }
}

// All in one place of the file, so that a reader sees the count grow.
static int probe(const char *name) {
    char path[256];
    append_byte(name, "probes");
    snprintf(path, sizeof path, "/h/%s.sick", name);
    return access(path, F_OK) == 0;
}

int main(int count, char **words) {
    if (count < 3) return 96;
    const char *name = words[1], *mode = words[2];
    int code = count > 3 ? atoi(words[3]) : 0;
    if (strcmp(mode, "probe") == 0) return probe(name);
    if (strcmp(mode, "also") == 0) {
        append_byte(name, "starts");
        append_byte(name, "ends");
        return code;
    }
    struct sigaction action = {.sa_handler = on_end};
    sigaction(SIGTERM, &action, NULL);
    if (strcmp(mode, "talk") == 0) {
        echo();
        return code;
    }
    begin(name);
    long number = count > 4 ? atol(words[4]) : 0;
    if (strcmp(mode, "exit") == 0) {
        printf("begin %s\n", name);
        fflush(stdout);
        wait_milliseconds(number);
        leave_children(count > 5 ? atoi(words[5]) : 0);
        printf("end %s\n", name);
    } else if (strcmp(mode, "signal") == 0) {
        wait_milliseconds(number);
        append_byte(name, "ends");
        signal(code, SIG_DFL);
        kill(getpid(), code);
        for (;;) pause();
    } else if (strcmp(mode, "write") == 0) {
        write_records(number, count > 5 && *words[5] == 'n' ? '\n' : ',', count > 6 ? atoi(words[6]) : 128);
    } else if (strcmp(mode, "serve") == 0) {
        serve(name);
    } else if (strcmp(mode, "echo") == 0) {
        echo();
    } else {
        while (!ended) pause();
    }
    append_byte(name, "ends");
    return code;
}
