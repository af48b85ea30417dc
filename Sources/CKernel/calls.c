// Thin system call wrappers, in the order of ckernel.h.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

int ck_openat(int dir, const char *path, int flags, mode_t mode) { return openat(dir, path, flags, mode); }
int ck_fcntl(int fd, int command, long argument) { return fcntl(fd, command, argument); }
int ck_ioctl(int fd, unsigned long request, void *argument) { return ioctl(fd, request, argument); }
int ck_ioctl_value(int fd, unsigned long request, unsigned long argument) { return ioctl(fd, request, argument); }
int ck_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)
{
    return prctl(option, a, b, c, d);
}

int ck_pipe2(int ends[2], int flags) { return pipe2(ends, flags); }
int ck_accept4(int socket, int flags) { return accept4(socket, NULL, NULL, flags); }
int ck_openat2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
    struct { uint64_t flags, mode, resolve; } how = {flags, mode, resolve};
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}
int ck_close_range(unsigned first, unsigned last, unsigned flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}
int ck_pidfd_open(pid_t pid, unsigned flags) { return (int)syscall(SYS_pidfd_open, pid, flags); }
int ck_pidfd_send_signal(int pidfd, int signal) { return (int)syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0); }
int ck_pidfd_getfd(int pidfd, int fd) { return (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0); }
int ck_execveat(int dir, const char *path, char *const argv[], char *const envp[], int flags)
{
    return (int)syscall(SYS_execveat, dir, path, argv, envp, flags);
}
int ck_fchmodat2(int dir, const char *path, mode_t mode, int flags)
{
    return (int)syscall(452 /* fchmodat2, Linux 6.6 */, dir, path, mode, flags);
}
int ck_pivot_root(const char *new_root, const char *put_old) { return (int)syscall(SYS_pivot_root, new_root, put_old); }
int ck_memfd_create(const char *name, unsigned flags) { return (int)syscall(SYS_memfd_create, name, flags); }
int ck_record_lock(int fd, int asks, pid_t *holder)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd, asks ? F_GETLK : F_SETLK, &lock) == -1) return -1;
    if (holder) *holder = asks && lock.l_type != F_UNLCK ? lock.l_pid : 0;
    return 0;
}
int ck_range_lock(int fd, int kind, off_t start, off_t length)
{
    short kinds[] = {F_UNLCK, F_RDLCK, F_WRLCK};
    struct flock lock = {.l_type = kinds[kind], .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(fd, F_OFD_SETLK, &lock);
}
int ck_syncfs(int fd) { return syncfs(fd); }
long ck_getdents64(int fd, void *buffer, size_t size) { return syscall(SYS_getdents64, fd, buffer, size); }
int ck_renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return (int)syscall(SYS_renameat2, from_dir, from, to_dir, to, flags);
}
int ck_mknodat(int dir, const char *path, mode_t mode, unsigned major, unsigned minor)
{
    return mknodat(dir, path, mode, makedev(major, minor));
}

// Raw system calls: libc's wrappers signal every other thread, and a forked child has none.
int ck_setresuid(uid_t id) { return (int)syscall(SYS_setresuid, id, id, id); }
int ck_setresgid(gid_t id) { return (int)syscall(SYS_setresgid, id, id, id); }
int ck_getresids(uid_t ids[6])
{
    return getresuid(&ids[0], &ids[1], &ids[2]) != 0 ? -1 : getresgid(&ids[3], &ids[4], &ids[5]);
}
int ck_setgroups(size_t count, const gid_t *ids) { return (int)syscall(SYS_setgroups, count, ids); }
// KEYCTL_JOIN_SESSION_KEYRING with a keyring of its own, without a name.
int ck_new_session_keyring(void) { return syscall(SYS_keyctl, 1, (char *)0) < 0 ? -1 : 0; }
int ck_setns(int fd, int flags) { return (int)syscall(SYS_setns, fd, flags); }
int ck_unshare(int flags) { return (int)syscall(SYS_unshare, flags); }
int ck_prlimit(pid_t pid, int resource, const uint64_t set[2], uint64_t get[2])
{
    return (int)syscall(SYS_prlimit64, pid, resource, set, get);
}

int ck_capset(uint64_t effective, uint64_t permitted, uint64_t inheritable)
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {
        {(uint32_t)effective, (uint32_t)permitted, (uint32_t)inheritable},
        {(uint32_t)(effective >> 32), (uint32_t)(permitted >> 32), (uint32_t)(inheritable >> 32)},
    };
    return (int)syscall(SYS_capset, &header, data);
}
int ck_capget(uint64_t sets[3])
{
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2] = {{0}};
    if (syscall(SYS_capget, &header, data) != 0)
        return -1;
    sets[0] = data[0].effective | (uint64_t)data[1].effective << 32;
    sets[1] = data[0].permitted | (uint64_t)data[1].permitted << 32;
    sets[2] = data[0].inheritable | (uint64_t)data[1].inheritable << 32;
    return 0;
}

int ck_sethostname(const char *name, size_t length) { return sethostname(name, length); }
int ck_setdomainname(const char *name, size_t length) { return setdomainname(name, length); }
ssize_t ck_getrandom(void *buffer, size_t size) { return getrandom(buffer, size, 0); }
int ck_chroot(const char *path) { return chroot(path); }
pid_t ck_gettid(void) { return (pid_t)syscall(SYS_gettid); }
int ck_seccomp(unsigned operation, unsigned flags, void *argument)
{
    return (int)syscall(SYS_seccomp, operation, flags, argument);
}
int ck_bpf(int command, void *attributes, unsigned size) { return (int)syscall(SYS_bpf, command, attributes, size); }

// Numbers that are the same on every architecture; older headers have not got them.
enum { CREATE_RULESET = 444, ADD_RULE = 445, RESTRICT_SELF = 446 };
int ck_landlock_version(void) { return (int)syscall(CREATE_RULESET, NULL, 0, 1 /* LANDLOCK_CREATE_RULESET_VERSION */); }
int ck_landlock_create(uint64_t filesystem, uint64_t scopes)
{
    // struct landlock_ruleset_attr with its network in the middle. A kernel that knows less of it takes what is 0 beyond.
    uint64_t attributes[3] = {filesystem, 0, scopes};
    return (int)syscall(CREATE_RULESET, attributes, sizeof attributes, 0);
}
int ck_landlock_allow(int rules, uint64_t access, int beneath)
{
    struct __attribute__((packed)) { uint64_t access; int32_t parent; } rule = {access, beneath};
    return (int)syscall(ADD_RULE, rules, 1 /* LANDLOCK_RULE_PATH_BENEATH */, &rule, 0);
}
int ck_landlock_restrict(int rules) { return (int)syscall(RESTRICT_SELF, rules, 0); }
int ck_mallopt_trim(void) { return malloc_trim(0); }
int ck_mallopt_arenas(int count) { return mallopt(M_ARENA_MAX, count); }

// Below the frames in use the stack holds nothing, and mmap keeps far away from it. The part of the range that was never mapped makes the call fail after
// it has done the rest.
void ck_release_stack(void)
{
    // Another thread's stack may lie right below that of a thread which is not the first.
    if (ck_gettid() != getpid())
        return;
    const uintptr_t page = 4096, reach = 1 << 20;
    uintptr_t here = ((uintptr_t)__builtin_frame_address(0) & ~(page - 1)) - 2 * page;
    (void)madvise((void *)(here - reach), reach, MADV_DONTNEED);
}

int ck_fsopen(const char *type, unsigned flags) { return (int)syscall(SYS_fsopen, type, flags); }
int ck_fspick(int dir, const char *path, unsigned flags) { return (int)syscall(SYS_fspick, dir, path, flags); }
int ck_fsconfig(int fs, unsigned command, const char *key, const void *value, int aux)
{
    return (int)syscall(SYS_fsconfig, fs, command, key, value, aux);
}
int ck_fsmount(int fs, unsigned flags, unsigned attributes) { return (int)syscall(SYS_fsmount, fs, flags, attributes); }
int ck_open_tree(int dir, const char *path, unsigned flags) { return (int)syscall(SYS_open_tree, dir, path, flags); }
int ck_move_mount(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    return (int)syscall(SYS_move_mount, from_dir, from, to_dir, to, flags);
}
int ck_mount_setattr(int dir, const char *path, unsigned flags, uint64_t set, uint64_t clear, uint64_t propagation,
                     uint64_t userns)
{
    uint64_t attributes[4] = {set, clear, propagation, userns};
    return (int)syscall(SYS_mount_setattr, dir, path, flags, attributes, sizeof attributes);
}

int ck_statx(int dir, const char *path, int flags, struct ck_statx *out)
{
    struct statx s;
    if (statx(dir, path, flags, STATX_BASIC_STATS | 0x1000 /* STATX_MNT_ID */, &s) != 0)
        return -1;
    *out = (struct ck_statx){
        .ino = s.stx_ino, .size = s.stx_size, .blocks = s.stx_blocks, .mnt_id = s.stx_mnt_id,
        .atime_sec = s.stx_atime.tv_sec, .mtime_sec = s.stx_mtime.tv_sec, .ctime_sec = s.stx_ctime.tv_sec,
        .atime_nsec = s.stx_atime.tv_nsec, .mtime_nsec = s.stx_mtime.tv_nsec, .ctime_nsec = s.stx_ctime.tv_nsec,
        .mode = s.stx_mode, .uid = s.stx_uid, .gid = s.stx_gid, .nlink = s.stx_nlink,
        .dev_major = s.stx_dev_major, .dev_minor = s.stx_dev_minor,
        .rdev_major = s.stx_rdev_major, .rdev_minor = s.stx_rdev_minor,
        .is_mount_root = (s.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0,
    };
    return 0;
}

ssize_t ck_getxattr(const char *path, const char *name, void *value, size_t size)
{
    return getxattr(path, name, value, size);
}
ssize_t ck_listxattr(const char *path, char *list, size_t size) { return listxattr(path, list, size); }
int ck_setxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    return setxattr(path, name, value, size, flags);
}
int ck_removexattr(const char *path, const char *name) { return removexattr(path, name); }
ssize_t ck_lgetxattr(const char *path, const char *name, void *value, size_t size)
{
    return lgetxattr(path, name, value, size);
}
ssize_t ck_llistxattr(const char *path, char *list, size_t size) { return llistxattr(path, list, size); }
int ck_lsetxattr(const char *path, const char *name, const void *value, size_t size, int flags)
{
    return lsetxattr(path, name, value, size, flags);
}
