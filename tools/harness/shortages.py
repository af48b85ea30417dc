"""What there is not enough of: space, descriptors, memory; for a time, and for one at a time."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from .ledger import Ledger
from .node import Node, memory_limit

if TYPE_CHECKING:
    from .faults import Fault

# What a shim may take beyond what it has, in bytes: less than the kernel charges at a time would end it at its next breath.
SHIM_MEMORY = 512 << 10


class Shortages:
    """The faults of this kind; who carries them out says whom they meet, and when they are over."""

    _node: Node
    _ledger: Ledger
    _limited: set[int]
    _pressed: float
    _full_until: float
    _later: Callable[[float, Callable[[], None]], None]
    _count: Callable[[str], None]
    _shim: Callable[[Fault], tuple[int, str] | None]
    _are_held: Callable[[str], bool]
    _is_full: Callable[[], bool]

    def _fill_disk(self, fault: Fault) -> str | None:
        """Takes all space of the file system that the root directory is on; only of one that is the harness's own."""
        if not os.path.ismount(self._node.root):
            return "no file system of its own"
        ballast = self._node.root / "ballast"
        if ballast.exists():
            return "full already"
        self._full_until = float("inf")
        has_room = self._ledger.witnesses.disk_full()
        with open(ballast, "wb", buffering=0) as file:
            for size in (1 << 20, 1 << 16, 4096):
                try:
                    while file.write(b"\0" * size) == size:
                        pass
                except OSError:
                    continue

        def empty() -> None:
            ballast.unlink(missing_ok=True)
            self._full_until = time.monotonic()
            has_room()

        self._later(fault.seconds, empty)
        return None

    def _take_descriptors(self, fault: Fault) -> str | None:
        """Leaves the manager three descriptors more than it has."""
        return self._limit_descriptors(self._node.pid, 3, fault.seconds, "no manager")

    def _take_shim_descriptors(self, fault: Fault) -> str | None:
        """Leaves a shim the descriptors that it has, and none beside."""
        if (shim := self._shim(fault)) is None:
            return "no shim"
        if made := self._ledger.by_id(shim[1]):
            made.starved += 1
        return self._limit_descriptors(shim[0], 0, fault.seconds, "no shim")

    def _limit_descriptors(self, pid: int, more: int, seconds: float, nobody: str) -> str | None:
        """Lowers the soft limit alone: who may lower the other one may not always raise it again."""
        if pid in self._limited:
            return "limited already"
        try:
            used = len(os.listdir(f"/proc/{pid}/fd"))
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (min(used + more, soft), hard))
        except OSError:
            return nobody
        self._limited.add(pid)

        def restore() -> None:
            self._limited.discard(pid)
            _restore_descriptors(pid, soft, hard)

        self._later(seconds, restore)
        return None

    def _take_shim_memory(self, fault: Fault) -> str | None:
        """Leaves a shim little more memory than it has, in a cgroup of its own; the kernel may kill it for that.

        What it had before is charged elsewhere, so the limit is what it may take in addition. A process that it starts is there
        for a moment, too: what is killed is noted for the container as a shim's death is.
        """
        limit = self._node.shim_limit()
        if limit is None:
            return "no memory controller"
        group = limit.parent
        if (group / "cgroup.procs").read_text():
            return "one is short already"
        if (shim := self._shim(fault)) is None:
            return "no shim"
        if self._ledger.witnesses.is_spared(fault.target):
            return "spared"
        pid, container = shim
        kills = _kills(group)
        _write(limit, str(int(_usage(limit).read_text()) + SHIM_MEMORY))
        take_back = self._ledger.shim_killed(container, self._are_held(fault.target), self._is_full(), fault.seconds)
        try:
            home = _memory_cgroup(pid, group)
            (group / "cgroup.procs").write_text(str(pid))
        except OSError:
            take_back()
            return "no shim"

        def restore() -> None:
            _write(limit, "max" if limit.name == "memory.max" else "-1")
            for each in (group / "cgroup.procs").read_text().split():
                _write(home / "cgroup.procs", each)
            if _kills(group) == kills:
                take_back()
            else:
                self._count("shims ended for want of memory")

        self._later(fault.seconds, restore)
        return None

    def _take_memory(self, fault: Fault) -> str | None:
        """Leaves the manager's cgroup 2 MiB more than it uses."""
        limit = memory_limit(self._node.cgroup)
        if limit is None:
            return "no memory controller"
        used = int(_usage(limit).read_text())
        self._pressed = time.monotonic() + fault.seconds
        try:
            limit.write_text(str(used + (2 << 20)))
        except OSError:
            return "refused by the kernel"
        self._later(fault.seconds, lambda: _write(limit, "max" if limit.name == "memory.max" else "-1"))
        return None


def _usage(limit: Path) -> Path:
    return limit.parent / limit.name.replace("limit", "usage").replace("max", "current")


def _kills(group: Path) -> int:
    """How many processes of a memory cgroup the kernel has killed."""
    for name in ("memory.events", "memory.oom_control"):
        if (group / name).exists():
            words = (group / name).read_text().split()
            return int(words[words.index("oom_kill") + 1])
    return 0


def _memory_cgroup(pid: int, beside: Path) -> Path:
    """Where a process is in the hierarchy of `beside`, which is at its top."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers in ("memory", ""):
            return beside.parent / path.strip("/")
    raise FileNotFoundError(pid)


def _restore_descriptors(pid: int, soft: int, hard: int) -> None:
    try:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
    except OSError:
        return


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError:
        return
