"""A private machine: namespaces of network, mounts and processes, cgroups and a scratch directory.

The script runs itself again inside. Its process 1 is the last to go, and takes everything with it; outside, somebody
waits who then removes cgroups and files. So nothing is left, also after ^C, a failure or SIGKILL of any part.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

INSIDE = "BERTH_HARNESS_PLACE"
CGROUPS = Path("/sys/fs/cgroup")
REPOSITORY = Path(__file__).resolve().parents[2]
UNSHARE = ["unshare", "--net", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--propagation",
           "private"]


class Trouble(Exception):
    """What the user has to change; its text says what is wrong with which thing, and what would be right."""


def enter(main: Callable[[Place], int]) -> int:
    """Runs `main` in a place of its own and returns its exit code."""
    try:
        if INSIDE in os.environ:
            return _inside(main)
        return _outside()
    except Trouble as trouble:
        print(f"error: {trouble}", file=sys.stderr)
        return 2


def _outside() -> int:
    if os.geteuid():
        raise Trouble(f"{Path(sys.argv[0]).name} needs root: it makes namespaces, mounts and cgroups")
    scratch = Path(tempfile.mkdtemp(prefix="berth-harness.", dir="/tmp"))
    environment = {**os.environ, INSIDE: str(scratch)}
    # The terminal sends ^C to all: the process inside ends in its own order, and this one stays until then.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    process = subprocess.Popen([*UNSHARE, sys.executable, *sys.argv], env=environment)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: _pass_on(process.pid, number))
    try:
        return _code(process.wait())
    finally:
        _remove_cgroups(scratch.name)
        # A file system of the place went with its mount namespace; what is left are ordinary files.
        shutil.rmtree(scratch, ignore_errors=True)


def _pass_on(unshare: int, number: int) -> None:
    """Signals process 1 of the place, the only child of unshare: unshare itself would kill it without a word."""
    try:
        children = Path(f"/proc/{unshare}/task/{unshare}/children").read_text().split()
    except OSError:
        return
    for child in children:
        os.kill(int(child), number)


def _code(status: int) -> int:
    return 128 - status if status < 0 else status


def _remove_cgroups(prefix: str) -> None:
    """Removes the cgroups of the place; nobody is in them any more, but the kernel takes a moment to notice."""
    deadline = time.monotonic() + 5
    for top in [path for hierarchy in hierarchies() for path in hierarchy.glob(prefix + "*")]:
        for folder, _, _ in os.walk(top, topdown=False):
            while True:
                try:
                    os.rmdir(folder)
                    break
                except FileNotFoundError:
                    break
                except OSError as error:
                    if time.monotonic() > deadline:
                        print(f"error: cgroup {folder} cannot be removed: {error.strerror}", file=sys.stderr)
                        break
                    time.sleep(0.01)


def hierarchies() -> list[Path]:
    """The unified cgroup hierarchy, or each of version 1."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [path for path in CGROUPS.iterdir() if path.is_dir() and not path.is_symlink()]


def _inside(main: Callable[[Place], int]) -> int:
    """Process 1: reaps what nobody else does, and hands signals on."""
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupt)
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        code = 1
        try:
            code = main(Place(Path(os.environ[INSIDE])))
        except KeyboardInterrupt:
            print("interrupted: everything that was started is being ended", file=sys.stderr)
            code = 130
        except Trouble as trouble:
            print(f"error: {trouble}", file=sys.stderr)
            code = 2
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _, __: os.kill(child, signal.SIGINT))
    while True:
        pid, status = os.wait()
        if pid == child:
            sys.stdout.flush()
            os._exit(_code(os.waitstatus_to_exitcode(status)))


def _interrupt(_: int, __: object) -> None:
    raise KeyboardInterrupt


class Place:
    """The inside, as seen by what runs there."""

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self.shared = scratch / "shared"
        self.shared.mkdir()
        self.shared.chmod(0o777)
        # What containers get as their parent, so that everything of them is found in one place.
        self.cgroup = "/" + scratch.name
        self._image: Path | None = None

    def file_system(self, name: str, size: str) -> Path:
        """A file system of its own, `size` as of mount(8), seen by nobody outside."""
        path = self.scratch / name
        path.mkdir(exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "berth-harness", path], check=True)
        return path

    def image(self) -> Path:
        """An image with busybox and the worker, made once."""
        if self._image is None:
            worker = self.scratch / "worker"
            source = REPOSITORY / "tools" / "harness" / "worker.c"
            run_checked(["gcc", "-std=gnu11", "-O2", "-static", "-s", "-o", str(worker), str(source)],
                        "install gcc and libc6-dev")
            self._image = self.scratch / "image.tar"
            run_checked([str(REPOSITORY / "tools" / "make-image"), "--add", f"{worker}:/bin/worker", str(self._image)],
                        "see what tools/make-image needs")
        return self._image


def run_checked(command: list[str], advice: str) -> str:
    """Output of a command that must succeed."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError:
        raise Trouble(f"{command[0]} is missing: {advice}") from None
    if done.returncode:
        text = done.stdout.decode(errors="replace").strip()
        raise Trouble(f"{' '.join(command)} ended with {done.returncode}: {text}; {advice}")
    return done.stdout.decode(errors="replace")
