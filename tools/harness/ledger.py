"""Everything that was asked for: what the invariants are held against."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .witnesses import Witnesses

# Seconds by which a process may outlive the last line of its books.
LAST_BREATH = 0.5


@dataclass(frozen=True)
class Ending:
    """How a process ends: by its own code, or by a signal."""

    code: int | None = None
    signal: int | None = None

    @property
    def number(self) -> int:
        """As a status of wait calls."""
        return 128 + self.signal if self.signal is not None else self.code or 0

    def __str__(self) -> str:
        return f"signal {self.signal}" if self.signal is not None else f"code {self.code}"


KILLED = Ending(signal=9)
# How a worker ends whose terminal is gone: by the write that fails, or by the signal.
BROKEN = Ending(code=98)
HUNG_UP = Ending(signal=1)


@dataclass
class Made:
    """One container as the harness knows it."""

    name: str
    kind: str
    ending: Ending
    id: str = ""
    automatic_removal: bool = False
    restarts: bool = False
    # Starts that were answered with success, or whose answer was lost.
    started: bool = False
    # Starts that were answered with an error although the program ran: its shim died in the middle, and it was undone.
    failed_starts: int = 0
    # Told to end by somebody who may kill it: then both endings are true.
    told_to_end: bool = False
    may_be_killed: bool = False
    removed: bool = False
    # When its shim was killed, by the clock of events.
    shim_kills: list[float] = field(default_factory=list)
    # Its shim was killed while no manager held its descriptors: then its sessions are gone, and a terminal is hung up. Output goes
    # on, for the process has the pipe's other end as well.
    unheld: bool = False
    # How often its shim was killed while the disk was full: with it goes the count of what was dropped since the last mark.
    untold: int = 0
    # How often its shim could not open anything for a time.
    starved: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    def accepts(self, code: int, was_killed: bool = False, began: bool = True) -> bool:
        """Whether an exit code is one of those that may be true; `was_killed` when its own books have no end, `began` when they have a
        beginning: a program whose shim was killed in the middle of its start may never run, and its process is killed."""
        if not began and self.shim_kills and code == KILLED.number:
            return True
        return (code == self.ending.number or (self.may_be_killed and code == KILLED.number)
                or (self.unheld and self.kind == "terminal"
                    and (code == BROKEN.number or (was_killed and code in (KILLED.number, HUNG_UP.number)))))


class Books:
    """What the worker of a container has written down in the shared directory."""

    def __init__(self, shared: Path, name: str) -> None:
        self._shared = shared
        self._name = name

    def file(self, suffix: str) -> Path:
        return self._shared / f"{self._name}.{suffix}"

    def size(self, suffix: str) -> int:
        try:
            return self.file(suffix).stat().st_size
        except FileNotFoundError:
            return 0

    def time(self, suffix: str) -> float:
        """When a file was written last; 0 without it."""
        try:
            return self.file(suffix).stat().st_mtime
        except FileNotFoundError:
            return 0.0

    @property
    def starts(self) -> int:
        return self.size("starts")

    @property
    def ends(self) -> int:
        return self.size("ends")

    @property
    def was_killed(self) -> bool:
        """Whether the last instance did not come to an end of its own."""
        return self.size("ends") < self.starts

    def __str__(self) -> str:
        return f"its own books: {self.starts} starts, {self.size('ends')} ends"

    @property
    def doubles(self) -> int:
        return self.size("double")

    @property
    def probes(self) -> int:
        return self.size("probes")

    def written(self) -> list[int]:
        """Bytes that each run has written, the first run first."""
        try:
            data = self.file("book").read_bytes()
        except FileNotFoundError:
            return []
        runs = struct.unpack_from("<Q", data)[0] if len(data) >= 8 else 0
        return list(struct.unpack_from(f"<{runs}Q", data, 8))


class Ledger:
    """All containers, by name, and all faults."""

    def __init__(self, shared: Path) -> None:
        self._lock = threading.Lock()
        self._shared = shared
        self._made: dict[str, Made] = {}
        self.counts: dict[str, int] = {}
        self.wrong: list[str] = []
        # Why nobody knew how a process ended, by whose end it was: the reason that was told, and the cause that the faults give.
        self.unknown: dict[str, tuple[str, str]] = {}
        self.witnesses = Witnesses()
        # When each run of a plan began, by its index.
        self._begun: dict[int, float] = {}

    def add(self, made: Made) -> Made:
        with self._lock:
            self._made[made.name] = made
        return made

    def all(self) -> list[Made]:
        with self._lock:
            return list(self._made.values())

    def by_id(self, container: str) -> Made | None:
        return next((made for made in self.all() if made.id == container), None)

    def books(self, made: Made) -> Books:
        return Books(self._shared, made.name)

    def count(self, what: str, more: int = 1) -> None:
        with self._lock:
            self.counts[what] = self.counts.get(what, 0) + more

    def begin(self, index: int) -> None:
        """A run of a plan begins."""
        with self._lock:
            self._begun[index] = time.monotonic()

    def anchor(self) -> tuple[int, float]:
        """The run that began last, and how many seconds ago: a time by which a fault is found again in a replay."""
        with self._lock:
            if not self._begun:
                return -1, 0.0
            index = max(self._begun)
            return index, time.monotonic() - self._begun[index]

    def begun(self, index: int) -> float | None:
        """When a run began, on the monotonic clock."""
        with self._lock:
            return self._begun.get(index)

    def shim_killed(self, container: str, held: bool = True, is_full: bool = False, for_seconds: float = 0) -> Callable[[], None]:
        """Written down before the signal is sent, so that nobody who sees its effect finds no cause.

        `for_seconds`: within how many it dies. What is returned takes it back, for a shim that was not killed after all.
        """
        made = self.by_id(container)
        if made is None:
            return lambda: None
        before, at = made.unheld, time.time()
        made.shim_kills.append(at)
        made.unheld = made.unheld or not held
        made.untold += is_full
        forget = self.witnesses.shim_killed(made.name, for_seconds)

        def take_back() -> None:
            made.shim_kills.remove(at)
            made.unheld = before
            made.untold -= is_full
            forget()

        return take_back

    def judge(self, made: Made, code: int, reason: str, where: str) -> None:
        """Holds an exit code against the known ending; what contradicts it is written down."""
        if problem := self.contradiction(made, code, reason, where):
            with self._lock:
                self.wrong.append(problem)

    def contradiction(self, made: Made, code: int, reason: str, where: str, window: tuple[float, float] | None = None) -> str | None:
        """What is wrong with an exit code and the reason for which it is unknown; None when nothing is.

        `window`: between which times the end was; else that of the container's books.
        """
        books = self.books(made)
        if code == 255 and reason:
            return self._doubt(made, reason, where, window or self.window(made))
        if reason:
            return f"{made.name} ({where}): exit code {code}, and that it is unknown: '{reason}'"
        if made.accepts(code, books.was_killed, books.starts > 0):
            return None
        return f"{made.name} ({where}): exit code {code}, and the truth is {made.ending}; {books}"

    def window(self, made: Made) -> tuple[float, float]:
        """Between which times the last process of a container ended, by its own books: one that was killed wrote no end."""
        books = self.books(made)
        if books.starts and not books.was_killed:
            end = books.time("ends")
            return end, end + LAST_BREATH
        return made.notes.get("killed", books.time("starts")), time.time()

    def _doubt(self, made: Made, reason: str, where: str, window: tuple[float, float]) -> str | None:
        """An unknown end is true only where nobody could know."""
        if not made.shim_kills:
            return f"{made.name} ({where}): unknown ('{reason}') although its shim was never killed"
        if not self.books(made).starts:
            cause = "shim killed in the middle of the start"
        elif self.witnesses.may_be_unknown(made.name, *window):
            cause = "neither shim nor manager was there"
        else:
            return (f"{made.name} ({where}): unknown ('{reason}') although somebody was there who could know, or a new shim; "
                    f"{self.books(made)}; {self.witnesses.told(made.name, *window)}")
        self.note_unknown(made.name, reason, cause)
        return None

    def note_unknown(self, whose: str, reason: str, cause: str) -> None:
        """Counts an end that nobody knows, once."""
        with self._lock:
            self.unknown[whose] = (reason, cause)
