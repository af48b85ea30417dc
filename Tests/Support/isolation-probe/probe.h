/* What the parts of isolation-probe share: output is lines of a key, a tab and a value with \n and \\ escaped. */
#ifndef PROBE_H
#define PROBE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

void say(const char *key, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The value is written as it is, escaped. */
void say_text(const char *key, const char *value);
/* A number, or `error NAME` when it is -1. */
void say_result(const char *key, long result);
/* A symbolic name for an errno such as ENOENT. */
const char *errno_name(int number);
/* Up to size - 1 bytes of a file, zero-terminated; -1 when it cannot be read. */
long slurp(const char *path, char *buffer, long size);

void report_ids(void);
void report_status(void);
void report_process(void);
void report_scheduling(void);
void report_namespaces(void);
void report_files(void);
void report_network(void);

int serve_agent(const char *key, const char *path, int error);

/* Runs one command `name`, `name=argument` or `name=argument:argument`; 0 when there is none of that name. */
int act(const char *command);

#endif
