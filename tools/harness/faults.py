"""What is done to managers and shims: planned from a seed, carried out at its time, undone at the end, and logged.

A fault's time is told by the run that had begun last before it, so that it is found again on a machine of another speed.
"""

from __future__ import annotations

import heapq
import json
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass

from .ledger import Ledger
from .node import Died, Node
from .place import Trouble
from .shortages import Shortages

# How often each kind is chosen, and for how many seconds its effect lasts at most.
KINDS: dict[str, tuple[int, float]] = {
    "manager-kill": (30, 1.5),
    "manager-restart": (6, 0.5),
    "manager-stop": (8, 1.5),
    "shim-kill": (24, 0.0),
    "shim-stop": (14, 2.0),
    "disk-full": (6, 1.5),
    "descriptors": (6, 1.5),
    "memory": (6, 1.5),
    "shim-descriptors": (8, 3.0),
    "shim-memory": (8, 3.0),
    "manager-freeze": (3, 20.0),
    "shim-freeze": (8, 20.0),
}
# How long it lasts at least: longer than a manager believes in a shim that is silent.
AT_LEAST = {"manager-freeze": 2.0, "shim-freeze": 2.0}


@dataclass
class Fault:
    """One fault: planned with `pick`, and with `target` once it is known whom it meets."""

    kind: str
    pause: float
    seconds: float
    pick: float
    target: str = ""
    # When it came: seconds since the beginning, the run that began last, and seconds since then.
    at: float = 0.0
    run: int = -1
    since: float = 0.0
    outcome: str = ""


def plan(seed: str, kinds: list[str], pause: float) -> Iterable[Fault]:
    """Faults without end, the same for the same seed; `pause` is the mean time between two."""
    dice = random.Random(f"{seed}/faults")
    weights = [KINDS[kind][0] for kind in kinds]
    while True:
        kind = dice.choices(kinds, weights)[0]
        wait = min(dice.expovariate(1 / pause), 5 * pause)
        least, most = AT_LEAST.get(kind, 0.0), KINDS[kind][1]
        yield Fault(kind, round(wait, 3), round(least + dice.random() * (most - least), 3), round(dice.random(), 6))


def recorded(lines: Iterable[str]) -> list[Fault]:
    """The faults of a log."""
    return [Fault(**{key: value for key, value in json.loads(line).items() if key != "type"})
            for line in lines if json.loads(line).get("type") == "fault"]


class Faults(Shortages):
    """Carries faults out, in a thread of its own, and keeps the manager alive in between."""

    def __init__(self, node: Node, ledger: Ledger, faults: Iterable[Fault], replays: bool) -> None:
        self.done: list[Fault] = []
        self.problems: list[str] = []
        self.counts: dict[str, int] = {}
        self._node = node
        self._ledger = ledger
        self._faults = iter(faults)
        self._replays = replays
        self._began = time.monotonic()
        self._over = threading.Event()
        self._undo: list[tuple[float, int, Callable[[], None]]] = []
        self._order = 0
        self._stopped: set[int] = set()
        self._limited: set[int] = set()
        self._down_until: float | None = None
        self._pressed = 0.0
        # When the disk was full last.
        self._full_until = 0.0
        # When the manager was last seen alive, on the clock of the witnesses.
        self._seen = time.time()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._began = time.monotonic()
        self._ledger.witnesses.manager_up()
        self._thread.start()

    def finish(self) -> None:
        """No more faults; everything is undone and the manager runs."""
        self._over.set()
        self._thread.join()
        while self._undo:
            heapq.heappop(self._undo)[2]()
        if self._down_until is not None or not self._node.runs:
            self._bring_up()

    # The thread

    def _run(self) -> None:
        try:
            fault = next(self._faults, None)
            due = time.monotonic() + (fault.pause if fault else 0)
            while not self._over.wait(0.005):
                self._tend()
                if fault is None or not (self._is_anchored(fault) if self._replays else time.monotonic() >= due):
                    continue
                self._carry_out(fault)
                fault = next(self._faults, None)
                due = time.monotonic() + (fault.pause if fault else 0)
        except Exception as error:  # noqa: BLE001: whatever it is, the run shows nothing any more
            self.problems.append(f"the faults ended: {type(error).__name__} {error}")

    def _is_anchored(self, fault: Fault) -> bool:
        if fault.run < 0:
            return time.monotonic() - self._began >= fault.at
        begun = self._ledger.begun(fault.run)
        if begun is None:
            return (self._ledger.anchor()[0] > fault.run)
        return time.monotonic() - begun >= fault.since

    def _tend(self) -> None:
        """Undoes what is due, and starts a manager that has ended."""
        self._undo_due()
        now = time.monotonic()
        if self._down_until is not None:
            if now >= self._down_until:
                self._bring_up()
        elif self._node.runs:
            self._seen = time.time()
        else:
            self._ledger.witnesses.manager_down(self._seen)
            code = self._node.reap()
            if code == -signal.SIGKILL and now < self._pressed + 5:
                self._count("managers ended for want of memory")
            else:
                self.problems.append(f"the manager ended with {code}: {self._node.last_words()}")
            self._bring_up()

    def _undo_due(self) -> None:
        while self._undo and self._undo[0][0] <= time.monotonic():
            heapq.heappop(self._undo)[2]()

    def _bring_up(self) -> None:
        self._down_until = None
        try:
            self._count("managers started")
            self._node.start(60)
            self._ledger.witnesses.manager_up()
        except Died as error:
            # Under pressure it may not come up; it is tried again, as an init system would.
            if time.monotonic() < self._pressed + 5:
                self._count("managers that did not come up under pressure")
            else:
                self.problems.append(str(error))
            self._node.kill()
            self._down_until = time.monotonic() + 0.5

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._order += 1
        heapq.heappush(self._undo, (time.monotonic() + seconds, self._order, act))

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

    def _carry_out(self, fault: Fault) -> None:
        fault.at = round(time.monotonic() - self._began, 3)
        fault.run, fault.since = self._ledger.anchor()
        fault.since = round(fault.since, 3)
        act = {"manager-kill": self._kill_manager, "manager-restart": self._restart_manager,
               "manager-stop": self._stop_manager, "shim-kill": self._kill_shim, "shim-stop": self._stop_shim,
               "disk-full": self._fill_disk, "descriptors": self._take_descriptors, "memory": self._take_memory,
               "shim-descriptors": self._take_shim_descriptors, "shim-memory": self._take_shim_memory,
               "manager-freeze": self._stop_manager, "shim-freeze": self._stop_shim}
        fault.outcome = act[fault.kind](fault) or "done"
        self._count(fault.kind if fault.outcome == "done" else f"{fault.kind}: {fault.outcome}")
        self.done.append(fault)

    # Managers

    def _kill_manager(self, fault: Fault) -> str | None:
        if self._down_until is not None or not self._node.runs:
            return "no manager"
        self._ledger.witnesses.manager_down()
        self._node.kill()
        self._down_until = time.monotonic() + fault.seconds
        return None

    def _restart_manager(self, fault: Fault) -> str | None:
        if self._down_until is not None or not self._node.runs or self._node.pid in self._stopped:
            return "no manager"
        self._ledger.witnesses.manager_down()
        try:
            # What else is going on goes on: nothing that was to be short stays so for the time of the end.
            code = self._node.stop(meanwhile=self._undo_due)
            if code:
                self.problems.append(f"the manager ended with {code} after SIGTERM: {self._node.last_words()}")
        except Died as error:
            self.problems.append(str(error))
        self._down_until = time.monotonic() + fault.seconds
        return None

    def _stop_manager(self, fault: Fault) -> str | None:
        if self._down_until is not None:
            return "no manager"
        return self._freeze(self._node.pid, fault.seconds, self._ledger.witnesses.manager_frozen)

    def _freeze(self, pid: int, seconds: float, note: Callable[[], Callable[[], None]]) -> str | None:
        if pid in self._stopped:
            return "no process"
        goes_on = note()
        if not _send(pid, signal.SIGSTOP):
            goes_on()
            return "no process"
        self._stopped.add(pid)

        def thaw() -> None:
            self._stopped.discard(pid)
            _send(pid, signal.SIGCONT)
            goes_on()

        self._later(seconds, thaw)
        return None

    # Shims

    def _shim(self, fault: Fault) -> tuple[int, str] | None:
        """The shim that a fault meets: that of its target, or one by its number among all, oldest first."""
        found = []
        for pid, container in self._node.shim_processes():
            made = self._ledger.by_id(container)
            if made:
                found.append((pid, made.name, container))
        found.sort()
        if fault.target:
            found = [each for each in found if each[1] == fault.target]
        if not found:
            return None
        pid, fault.target, container = found[int(fault.pick * len(found))]
        return pid, container

    def _kill_shim(self, fault: Fault) -> str | None:
        if (shim := self._shim(fault)) is None:
            return "no shim"
        if self._ledger.witnesses.is_spared(fault.target):
            return "spared"
        held = self._are_held(fault.target)
        self._ledger.shim_killed(shim[1], held, self._is_full())
        self._count("shim-kill, descriptors held" if held else "shim-kill, nobody held its descriptors")
        _send(shim[0], signal.SIGKILL)
        return None

    def _stop_shim(self, fault: Fault) -> str | None:
        shim = self._shim(fault)
        if shim is None:
            return "no shim"
        return self._freeze(shim[0], fault.seconds, lambda: self._ledger.witnesses.shim_frozen(fault.target))

    def _are_held(self, name: str) -> bool:
        """Whether a manager holds what the shim of a container holds; one that has just come needs a moment for it."""
        return self._ledger.witnesses.holds(name)

    def _is_full(self) -> bool:
        """Whether the disk is full, or was a moment ago, so that what was dropped is not yet written down."""
        return time.monotonic() < self._full_until + 1


def choose(names: str | None) -> list[str]:
    """The kinds of a comma-separated list; all without one."""
    if not names:
        return list(KINDS)
    kinds = [name.strip() for name in names.split(",")]
    if unknown := [name for name in kinds if name not in KINDS]:
        raise Trouble(f"no fault is called {', '.join(unknown)}: there are {', '.join(KINDS)}")
    return kinds


def log_lines(header: dict[str, object], faults: list[Fault]) -> list[str]:
    """A log that `recorded` reads."""
    return [json.dumps({"type": "run", **header})] + [json.dumps({"type": "fault", **asdict(fault)}) for fault in faults]


def _send(pid: int, number: int) -> bool:
    """Signals a process of this machine; it may be gone."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False
