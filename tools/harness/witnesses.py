"""Who could have seen how a process ended: when managers and shims were there, and could act.

With the policy `adopt` the end of a process is known as long as its shim lives, or a manager that holds what the shim held; so
"unknown" is true only where both were away, and this is what decides it. Times are those of the clock of files and events.
"""

from __future__ import annotations

import ctypes
import fcntl
import math
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

# Seconds after its first answer until a manager holds every descriptor of the shims that answer.
HOLD_AFTER = 1.0
# Seconds in which a manager that is there has learned and written down an end.
LEARN = 1.0
# Seconds in which a shim that is there has written the record of an end: it waits for the rest of the output, 2 s at most.
RECORD = 3.0
# Seconds in which a manager that is there has put another shim in a dead one's place.
SUCCEED = 5.0
# Seconds until a manager holds a session that has begun.
MOMENT = 0.5

# After more deaths of shims than that within 60 seconds no other one is started; a manager that was frozen learns of some later.
DEATHS = 4
DEATHS_WITHIN = 90.0

PIDFD_GET_INFO = 0xC040FF0B
PIDFD_INFO_EXIT = 1 << 3


@dataclass
class Span:
    """From one time to another; without an end as long as it goes on."""

    begin: float
    end: float = math.inf

    def holds(self, at: float) -> bool:
        return self.begin <= at < self.end


@dataclass
class Life:
    """One manager, from its first answer until nothing of it acts any more."""

    ready: float
    down: float = math.inf
    frozen: list[Span] = field(default_factory=list)

    @property
    def acted_until(self) -> float:
        """When it acted last: one that was frozen until its end had ended before."""
        last = self.frozen[-1] if self.frozen else None
        return last.begin if last and last.end >= self.down else self.down


@dataclass
class Shims:
    """What was done to the shims of one container."""

    kills: list[Span] = field(default_factory=list)
    frozen: list[Span] = field(default_factory=list)


class Witnesses:
    """The log of faults, as far as it decides what can be known."""

    def __init__(self, kernel_tells: bool | None = None, clock: Callable[[], float] = time.time) -> None:
        # Whether who holds a pidfd learns how a process ended that somebody else has reaped.
        self._kernel_tells = kernel_tells_ends() if kernel_tells is None else kernel_tells
        self._clock = clock
        self._lock = threading.Lock()
        self._lives: list[Life] = []
        self._full: list[Span] = []
        self._shims: dict[str, Shims] = {}

    # What is done

    def manager_up(self, at: float | None = None) -> None:
        """A manager has given its first answer."""
        with self._lock:
            self._lives.append(Life(self._clock() if at is None else at))

    def manager_down(self, at: float | None = None) -> None:
        """It is about to be killed, or was seen for the last time."""
        now = self._clock() if at is None else at
        with self._lock:
            if self._lives and self._lives[-1].down == math.inf:
                self._lives[-1].down = now

    def manager_frozen(self) -> Callable[[], None]:
        """From now until what is returned is called."""
        with self._lock:
            return self._span(self._lives[-1].frozen) if self._lives else lambda: None

    def shim_frozen(self, name: str) -> Callable[[], None]:
        """The shim of a container stands still until what is returned is called."""
        with self._lock:
            return self._span(self._shims.setdefault(name, Shims()).frozen)

    def disk_full(self) -> Callable[[], None]:
        """Nothing can be written down until what is returned is called."""
        with self._lock:
            return self._span(self._full)

    def shim_killed(self, name: str, for_seconds: float = 0) -> Callable[[], None]:
        """The shim of a container dies within so many seconds; what is returned takes it back."""
        now = self._clock()
        kill = Span(now, now + for_seconds)
        with self._lock:
            shims = self._shims.setdefault(name, Shims())
            shims.kills.append(kill)
            if not for_seconds:
                # Whoever takes over does not stand still.
                for span in shims.frozen:
                    span.end = min(span.end, now)
        return lambda: shims.kills.remove(kill)

    def _span(self, spans: list[Span]) -> Callable[[], None]:
        span = Span(self._clock())
        spans.append(span)

        def end() -> None:
            span.end = min(span.end, self._clock())

        return end

    # What follows

    def was_killed_at(self, name: str, end: float) -> bool:
        """Whether the shim of this container was killed in the moment in which a session ended: a manager may not hold one yet that has
        just begun."""
        with self._lock:
            kills = self._shims.get(name, Shims()).kills
            return any(kill.begin - MOMENT <= end <= kill.end + MOMENT for kill in kills)

    def is_spared(self, name: str) -> bool:
        """Whether so many shims of this container were killed lately that after one more nobody would take over."""
        with self._lock:
            kills = self._shims.get(name, Shims()).kills
            return sum(self._clock() - kill.begin < DEATHS_WITHIN for kill in kills) >= DEATHS

    def holds(self, name: str) -> bool:
        """Whether a manager holds now what the shim of this container holds; a frozen manager does."""
        with self._lock:
            shims = self._shims.get(name, Shims())
            return any(life.down == math.inf and self._holds_from(life, shims) <= self._clock() for life in self._lives)

    def may_be_unknown(self, name: str, first: float, last: float) -> bool:
        """Whether nobody needs to know how a process of this container ended, at some time between the two."""
        with self._lock:
            shims = self._shims.get(name, Shims())
            if not shims.kills:
                return False
            # The answer changes with what is done alone: between two of these times it is the same.
            times = {first, last}
            for life in self._lives:
                times |= {life.ready, self._holds_from(life, shims), life.down, life.acted_until - LEARN}
            for span in shims.kills + shims.frozen + self._full:
                times |= {span.begin, span.end, span.begin - RECORD, span.end - RECORD}
            times = {edge + step for edge in times for step in (-1e-6, 0, 1e-6)}
            return any(self._nobody_knows(shims, at) for at in times if first <= at <= last)

    def told(self, name: str, first: float, last: float) -> str:
        """What was done around the time between the two, in seconds from it."""
        def text(spans: list[Span]) -> str:
            near = [span for span in spans if span.end > first - 60 and span.begin < last + 60]
            return " ".join(f"{span.begin - first:+.3f}..{span.end - first:+.3f}" for span in near) or "never"

        with self._lock:
            shims = self._shims.get(name, Shims())
            lives = [Span(life.ready, life.down) for life in self._lives]
            frozen = [span for life in self._lives for span in life.frozen]
            return (f"its end within {last - first:.3f} s; shim killed {text(shims.kills)}, frozen {text(shims.frozen)}; "
                    f"managers {text(lives)}, frozen {text(frozen)}")

    def _nobody_knows(self, shims: Shims, end: float) -> bool:
        if any(self._learns(life, shims, end) for life in self._lives):
            return False
        recorded = self._after(shims.frozen + self._full, end) + RECORD
        return any(kill.begin <= recorded and not self._was_succeeded(shims, kill.end, end) for kill in shims.kills)

    def _learns(self, life: Life, shims: Shims, end: float) -> bool:
        """Whether this manager held the process when it ended, and lived to write that down."""
        if not self._holds_from(life, shims) <= end <= life.acted_until:
            return False
        if not self._kernel_tells and life is not self._lives[0]:
            return False
        return self._after(life.frozen, end) + LEARN <= life.acted_until

    def _holds_from(self, life: Life, shims: Shims) -> float:
        """A frozen shim gives a manager nothing."""
        return self._after(shims.frozen, life.ready) + HOLD_AFTER

    def _was_succeeded(self, shims: Shims, kill: float, end: float) -> bool:
        """Whether a manager had the time to put a living shim in the place of the one that was killed."""
        for life in self._lives:
            begin = self._after(life.frozen, max(kill, self._holds_from(life, shims)))
            if begin + SUCCEED <= min(end, life.acted_until):
                return True
        return False

    @staticmethod
    def _after(spans: list[Span], at: float) -> float:
        """The first time at or after `at` that none of the spans holds."""
        for span in sorted(spans, key=lambda span: span.begin):
            if span.holds(at):
                at = span.end
        return at


def kernel_tells_ends() -> bool:
    """Whether the kernel tells who holds a pidfd how a process ended that was reaped (PIDFD_INFO_EXIT, Linux 6.15)."""
    pid = os.fork()
    if pid == 0:
        os._exit(42)
    held = os.pidfd_open(pid)
    try:
        os.waitpid(pid, 0)
        info = ctypes.create_string_buffer(64)
        info[0:8] = PIDFD_INFO_EXIT.to_bytes(8, "little")
        fcntl.ioctl(held, PIDFD_GET_INFO, info)
        return bool(int.from_bytes(info[0:8], "little") & PIDFD_INFO_EXIT)
    except OSError:
        return False
    finally:
        os.close(held)
