// User namespaces that are made only to be tried or to map ids: their first process must not run Swift, because its parent has
// threads whose locks it would inherit.
#define _GNU_SOURCE
#include "ckernel.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

// The parent's end of the pipe is the child's life: it goes with the parent, however that ends.
static int wait_for_parent(const int ends[2])
{
    char go;
    close(ends[1]);
    return read(ends[0], &go, 1) == 1 ? 0 : -1;
}

pid_t ck_hold_namespaces(uint64_t flags, const int ends[2], int *pidfd)
{
    pid_t pid = ck_clone3(flags, 0, -1, pidfd);
    if (pid != 0)
        return pid;
    wait_for_parent(ends);
    _exit(0);
}

static int attach(int mount, const char *path) { return ck_move_mount(mount, "", AT_FDCWD, path, 4); }

static int become_root(void) { return ck_setresgid(0) != 0 ? -1 : ck_setresuid(0); }

// A place of the namespace's own, because nothing of the host is known to be there but /dev.
static int mount_places(void)
{
    int context = ck_fsopen("tmpfs", 1), mount;
    if (context < 0 || ck_fsconfig(context, 6, NULL, NULL, 0) != 0 || (mount = ck_fsmount(context, 1, 0)) < 0)
        return -1;
    return attach(mount, "/dev") != 0 || mkdir("/dev/lower", 0755) != 0 ? -1 : mkdir("/dev/state", 0755);
}

static int mount_overlay(int *mount)
{
    int context = ck_fsopen("overlay", 1);
    // Nothing of the probe has to survive: without this its end would wait until the whole file system below is on disk.
    (void)ck_fsconfig(context, 0, "volatile", NULL, 0);
    if (context < 0 || ck_fsconfig(context, 1, "lowerdir", "/dev/lower", 0) != 0 ||
        ck_fsconfig(context, 1, "upperdir", "/dev/state/upper", 0) != 0 ||
        ck_fsconfig(context, 1, "workdir", "/dev/state/work", 0) != 0 ||
        ck_fsconfig(context, 0, "userxattr", NULL, 0) != 0 || ck_fsconfig(context, 6, NULL, NULL, 0) != 0)
        return -1;
    return (*mount = ck_fsmount(context, 1, 0)) < 0 ? -1 : 0;
}

static int make_file(int mount)
{
    int file = openat(mount, "probe", O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);
    return file < 0 ? -1 : close(file);
}

// The step that failed, or 0.
static int try_overlay(const struct ck_overlay_probe *probe)
{
    int mount = -1;
    if (become_root() != 0) return 1;
    // 1 << 18 is MS_PRIVATE: what is mounted here must not be looked for by anybody else.
    if (ck_mount_setattr(AT_FDCWD, "/", 0x8000, 0, 0, 1 << 18, 0) != 0 || mount_places() != 0) return 2;
    if (attach(probe->lower, "/dev/lower") != 0 || attach(probe->state, "/dev/state") != 0) return 3;
    if (mount_overlay(&mount) != 0) return 4;
    return make_file(mount) != 0 ? 5 : 0;
}

pid_t ck_probe_overlay(uint64_t flags, const struct ck_overlay_probe *probe, int *pidfd)
{
    int report[2];
    pid_t pid = ck_clone3(flags, 0, -1, pidfd);
    if (pid != 0)
        return pid;
    if (wait_for_parent(probe->ends) != 0)
        _exit(1);
    errno = 0;
    report[0] = try_overlay(probe);
    report[1] = errno;
    _exit(write(probe->report, report, sizeof report) == (ssize_t)sizeof report ? 0 : 1);
}
