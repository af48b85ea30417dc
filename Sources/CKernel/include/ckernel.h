// CKernel: what Swift cannot see, cannot call, or must not run between clone and exec.
//
// Wrappers follow libc: -1 and errno on failure unless said otherwise. None allocates and none decides anything.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Headers that Swift's Glibc module leaves out.
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>

// version.c: what this build calls itself; an end and at most 39 bytes.
const char *ck_version(void);

// Variadic calls ------------------------------------------------------------------------------------------------------

int ck_openat(int dir, const char *path, int flags, mode_t mode);
int ck_fcntl(int fd, int command, long argument);
int ck_ioctl(int fd, unsigned long request, void *argument);
int ck_ioctl_value(int fd, unsigned long request, unsigned long argument);
int ck_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);

// Calls that libc lacks, hides behind _GNU_SOURCE or wraps for all threads ---------------------------------------------

int ck_pipe2(int ends[2], int flags);
int ck_accept4(int socket, int flags);
int ck_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve);
int ck_close_range(unsigned first, unsigned last, unsigned flags);
int ck_pidfd_open(pid_t pid, unsigned flags);
int ck_pidfd_send_signal(int pidfd, int signal);
int ck_pidfd_getfd(int pidfd, int fd);
int ck_execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags);
int ck_fchmodat2(int dir, const char *path, mode_t mode, int flags);
int ck_pivot_root(const char *new_root, const char *put_old);
int ck_memfd_create(const char *name, unsigned flags);
// Takes the process's lock of the whole file, or asks who holds it (0: nobody).
int ck_record_lock(int fd, int asks, pid_t *holder);
// Takes or gives back the open file's lock of a range: 0 none, 1 shared, 2 exclusive.
int ck_range_lock(int fd, int kind, off_t start, off_t length);
int ck_syncfs(int fd);
long ck_getdents64(int fd, void *buffer, size_t size);
int ck_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int ck_mknodat(int dir, const char *path, mode_t mode, unsigned major, unsigned minor);
int ck_setresuid(uid_t id);
int ck_setresgid(gid_t id);
// Real, effective and saved user, then the same of the group.
int ck_getresids(uid_t ids[6]);
int ck_setgroups(size_t count, const gid_t *ids);
int ck_new_session_keyring(void);
int ck_setns(int fd, int flags);
int ck_unshare(int flags);
int ck_prlimit(pid_t pid, int resource, const uint64_t set[2], uint64_t get[2]);
int ck_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable);
int ck_capget(uint64_t sets[3]);
int ck_sethostname(const char *name, size_t length);
int ck_setdomainname(const char *name, size_t length);
ssize_t ck_getrandom(void *buffer, size_t size);
pid_t ck_gettid(void);
int ck_chroot(const char *path);
int ck_seccomp(unsigned operation, unsigned flags, void *argument);
int ck_bpf(int command, void *attributes, unsigned size);
// Landlock: the newest version of its interface (-1 without it), an empty set of rules for what is handled, a rule for a file or what lies
// beneath a directory, and the end of all that a set does not allow.
int ck_landlock_version(void);
int ck_landlock_create(uint64_t filesystem, uint64_t scopes);
int ck_landlock_allow(int rules, uint64_t access, int beneath);
int ck_landlock_restrict(int rules);
int ck_mallopt_trim(void);
int ck_mallopt_arenas(int count);
void ck_release_stack(void);

// New mount API -------------------------------------------------------------------------------------------------------

int ck_fsopen(const char *type, unsigned flags);
int ck_fspick(int dir, const char *path, unsigned flags);
int ck_fsconfig(int fs, unsigned command, const char *key, const void *value, int aux);
int ck_fsmount(int fs, unsigned flags, unsigned attributes);
int ck_open_tree(int dir, const char *path, unsigned flags);
int ck_move_mount(int from_dir, const char *from, int to_dir, const char *to, unsigned flags);
int ck_mount_setattr(int dir, const char *path, unsigned flags, uint64_t set, uint64_t clear, uint64_t propagation,
                     uint64_t userns);

// The facts of statx that Berth uses.
struct ck_statx {
    uint64_t ino, size, blocks, mnt_id;
    int64_t atime_sec, mtime_sec, ctime_sec;
    uint32_t atime_nsec, mtime_nsec, ctime_nsec;
    uint32_t mode, uid, gid, nlink, dev_major, dev_minor, rdev_major, rdev_minor;
    uint32_t is_mount_root;
};
int ck_statx(int dir, const char *path, int flags, struct ck_statx *out);

// Extended attributes through a path; the callers pass /proc/self/fd/N.
ssize_t ck_getxattr(const char *path, const char *name, void *value, size_t size);
ssize_t ck_listxattr(const char *path, char *list, size_t size);
int ck_setxattr(const char *path, const char *name, const void *value, size_t size, int flags);
int ck_removexattr(const char *path, const char *name);
ssize_t ck_lgetxattr(const char *path, const char *name, void *value, size_t size);
ssize_t ck_llistxattr(const char *path, char *list, size_t size);
int ck_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags);

// Wait statuses ---------------------------------------------------------------------------------------------------------

int ck_wait_exited(int status);
int ck_wait_exit_status(int status);
int ck_wait_term_signal(int status);
int ck_wait_core_dumped(int status);
// waitid(P_PIDFD): 1 and *status when the process ended, 0 when WNOHANG found it alive.
int ck_waitid_pidfd(int pidfd, int options, int *status);
// Number of a child that has ended and was not reaped, which stays its own until it is; 0 when there is none.
int ck_ended_child(void);
// From now on every end of a child adds one to the eventfd, whatever the thread.
int ck_notify_child_ends(int event);
// PIDFD_GET_INFO with PIDFD_INFO_EXIT.
struct ck_pidfd_info {
    uint64_t mask, cgroup_id;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_code;
};
int ck_pidfd_info(int pidfd, struct ck_pidfd_info *info);

// Sockets ---------------------------------------------------------------------------------------------------------------

enum { CK_MAX_PASSED = 64 };
// One message with count descriptors (0...CK_MAX_PASSED).
ssize_t ck_send_fds(int socket, const void *bytes, size_t size, const int *fds, size_t count, int flags);
// One message; *count gets the number of received descriptors, *truncated whether any were lost, *sender who sent it if
// the socket asks for that, else 0.
ssize_t ck_recv_fds(int socket, void *bytes, size_t size, int *fds, size_t capacity, size_t *count, int *truncated,
                    pid_t *sender, int flags);
// SO_PASSCRED.
int ck_ask_for_senders(int socket);
// How long connecting and sending may wait; EAGAIN after that.
int ck_limit_sending(int socket, int64_t seconds);
// Room for bytes that the peer has not read; the system's limit holds only for who may not pass it.
int ck_make_room(int socket, int bytes);
int ck_unix_bind(int socket, const char *path);
int ck_unix_connect(int socket, const char *path);
// A name that is in no directory: a NUL byte and these.
int ck_unix_connect_abstract(int socket, const void *text, size_t length);
int ck_peer_credentials(int socket, pid_t *pid, uid_t *uid, gid_t *gid);
// A pidfd of the process that connected; ENOPROTOOPT before Linux 6.5.
int ck_peer_pidfd(int socket);

// Terminals ---------------------------------------------------------------------------------------------------------------

int ck_pty_open(int flags);
int ck_pty_unlock(int fd);
int ck_pty_peer(int fd, int flags);
int ck_pty_number(int fd);
int ck_winsize_set(int fd, uint16_t rows, uint16_t columns);
int ck_winsize_get(int fd, uint16_t *rows, uint16_t *columns);
int ck_set_controlling_terminal(int fd);

// Signals -----------------------------------------------------------------------------------------------------------------

// Replaces the mask by the set of bits (bit n-1 is signal n) and returns the old one through old (may be null).
int ck_sigmask(int how, uint64_t set, uint64_t *old);
int ck_signalfd(int fd, uint64_t set, int flags);
int ck_signal_ignore(int signal);
int ck_signal_default(int signal);
void ck_reset_signals(void);

// Process attributes ------------------------------------------------------------------------------------------------------

// struct sched_attr without the clamps of utilisation.
struct ck_scheduler {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};
int ck_sched_setattr(pid_t pid, const struct ck_scheduler *attributes);
int ck_ioprio_set(int which, int who, int value);
int ck_sched_setaffinity(pid_t pid, size_t size, const void *mask);
// Returns the number of bytes that the kernel filled.
int ck_sched_getaffinity(pid_t pid, size_t size, void *mask);
int ck_personality(unsigned long persona);
int ck_set_mempolicy(int mode, const unsigned long *nodes, unsigned long bits);

// Maps the page of a file in memory, for two processes that share it. NULL and errno on failure.
uint32_t *ck_shared_words(int memory);
void ck_shared_words_free(uint32_t *words);
uint32_t ck_shared_load(const uint32_t *word);
void ck_shared_store(uint32_t *word, uint32_t value);
uint64_t ck_shared_load_wide(const uint64_t *word);
void ck_shared_store_wide(uint64_t *word, uint64_t value);
// Such as "EPERM"; NULL for a number that has none.
const char *ck_errno_name(int number);
// Loads a filter with a listener, stores the listener's number + 1 in words[0] and spins until words[1] is not zero:
// between the two no system call is made, because the filter might stop it for ever. Returns the listener.
int ck_seccomp_listen(unsigned flags, void *program, uint32_t *words);

// Processes ---------------------------------------------------------------------------------------------------------------

// clone3 without CLONE_VM: returns in both processes, 0 in the child. Single-threaded callers only.
pid_t ck_clone3(uint64_t flags, int exit_signal, int cgroup, int *pidfd);

// What a process still has to do before its program, for a clone that has nothing else of its maker's memory.
enum { CK_LAST_CONSOLE, CK_LAST_FILTER, CK_LAST_EXEC, CK_LAST_MISSING, CK_LAST_DENIED, CK_LAST_FAILURES };
struct ck_last_steps_plan {
    char *const *candidates; // tried in order, as execvp does
    char *const *argv;
    char *const *envp;
    int channel; // socket of packets
    uint8_t proceed; // only byte of the packet that the clone waits for; 0: it does not wait
    uint8_t announce; // the same of the packet that goes before a filter with a listener
    int terminal; // whether standard input becomes the controlling terminal
    const uint64_t *filter; // loaded last
    size_t filter_count;
    unsigned filter_flags;
    uint32_t *words; // not null: the filter has a listener, see ck_seccomp_listen; `memory` is the file of this page
    int memory;
    const uint8_t *failures; // one packet behind the other, each ending with four bytes for errno
    const size_t *failure_sizes; // CK_LAST_FAILURES of them
};
struct ck_last_steps;
// Copies the plan into pages of its own. Null and errno on failure.
struct ck_last_steps *ck_last_steps_new(const struct ck_last_steps_plan *plan);
void ck_last_steps_free(struct ck_last_steps *steps);
// Keeps everything that the process has now from further clones, but for the steps. Other clones than that of the steps
// die at once from here on.
int ck_last_steps_forget(struct ck_last_steps *steps);
// Makes the clone, as a child of the caller's parent, which does the steps. By clone3, or by clone if `older` or where a
// filter hides clone3.
pid_t ck_last_steps_clone(struct ck_last_steps *steps, int older, int *pidfd);

// Throw-away user namespaces: the child waits for a byte on ends[0] and ends when the parent's ends[1] is closed.
pid_t ck_hold_namespaces(uint64_t flags, const int ends[2], int *pidfd);

struct ck_overlay_probe {
    int ends[2]; // as above; the byte says that maps and mounts are ready
    int report; // gets two ints: the step that failed (0 for none) and errno
    int lower, state; // detached mounts; state has upper and work
};
pid_t ck_probe_overlay(uint64_t flags, const struct ck_overlay_probe *probe, int *pidfd);

struct ck_spawn_args {
    int executable; // descriptor given to execveat with AT_EMPTY_PATH
    const char *path; // absolute path to execute instead, as scripts need it; or null
    int directory; // descriptor for fchdir, or -1
    const char *oom_score_adj; // decimal text, or null to keep the parent's
    int cgroup; // cgroup v2 directory for CLONE_INTO_CGROUP, or -1
    int new_session;
    mode_t umask;
    uint64_t flags; // further clone flags
    uint64_t signal_mask;
    int exit_signal;
    const int *sources; // descriptor map: sources[i] becomes targets[i]
    const int *targets;
    size_t count; // at most CK_MAX_PASSED
    char *const *argv;
    char *const *envp;
    int pidfd; // out
    int stage; // out on failure: index of the failed step
};
// Starts a program from any process, however many threads it has. Returns the pid, or -1 and errno.
pid_t ck_spawn(struct ck_spawn_args *args);
