"""Short-lived containers whose end is known beforehand, made by a client that survives the manager."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from .api import API, Answer, Cut, Refused
from .ledger import KILLED, LAST_BREATH, Books, Ending, Ledger, Made
from .node import Node
from .workloads import document

# How long one step may take while managers die and come back.
PATIENCE = 120.0
SIGNALS = (3, 6, 9, 11, 15)
# Codes of sessions whose program was not started.
NOT_STARTED = (125, 126, 127)
UNKNOWN = "exit status unknown: "


@dataclass(frozen=True)
class Plan:
    """One run, as the seed says it; the same for the same seed, whatever happens around it."""

    index: int
    way: str
    number: int
    milliseconds: int
    children: int
    automatic_removal: bool

    @staticmethod
    def of(seed: str, index: int) -> Plan:
        dice = random.Random(f"{seed}/run/{index}")
        way = dice.choices(("exit", "signal", "killed", "exec"), (60, 15, 10, 15))[0]
        number = dice.choice(SIGNALS) if way == "signal" else dice.choice((0, 1, 2, 42, 125, 126, 127, 137, 255))
        return Plan(index, way, number, dice.choice((0, 0, 5, 30, 100, 300)), dice.choice((0, 0, 0, 2)),
                    dice.random() < 0.3)

    @property
    def ending(self) -> Ending:
        if self.way == "signal":
            return Ending(signal=self.number)
        return Ending(signal=9) if self.way == "killed" else Ending(code=self.number)


@dataclass(frozen=True)
class Truth:
    """What the books say of an additional process."""

    starts: int
    ends: int
    has_container_ended: bool = False
    # Its own end and that of its container are so close that either may have come first.
    ended_together: bool = False
    was_shim_killed: bool = False
    may_be_unknown: bool = False
    was_shim_killed_then: bool = False


@dataclass(frozen=True)
class Session:
    """What Berth says of an additional process that was to end with `wanted`."""

    wanted: int
    # How its start was answered: "done", "refused" or "unsure".
    outcome: str
    code: int | None
    problem: str

    @property
    def is_unknown(self) -> bool:
        return self.code == 255 and self.problem.startswith(UNKNOWN)

    def contradiction(self, truth: Truth) -> str | None:
        """What the books do not bear out; None when they do."""
        told = f"ended with {self.code} instead of {self.wanted}" + (f" ('{self.problem}')" if self.problem else "")
        if self.code is None:
            return None if self.outcome != "done" and not truth.starts else "is said to have never begun"
        if self.is_unknown:
            return None if truth.may_be_unknown or truth.was_shim_killed_then else f"{told}, although somebody was there who could know"
        if self.problem:
            # A start that failed; the program may have run all the same when nobody answered in time.
            return None if self.outcome != "done" and self.code in NOT_STARTED else told
        if self.code == self.wanted:
            return None if truth.ends else f"{told}, which it did not live to say"
        if self.code == KILLED.number and not truth.ends and (
                truth.has_container_ended or (truth.was_shim_killed and not truth.starts)):
            return None
        if self.code == KILLED.number and truth.ended_together:
            return None
        return told


class Runner:
    """Runs plans; what does not come out as planned is in the ledger."""

    def __init__(self, node: Node, ledger: Ledger, seed: str) -> None:
        self._node = node
        self._api: API = node.api
        self._ledger = ledger
        self._seed = seed

    def run(self, index: int) -> None:
        """One container from its creation to its removal."""
        plan = Plan.of(self._seed, index)
        made = Made(f"run-{index}", "run", plan.ending, automatic_removal=plan.automatic_removal)
        self._ledger.count("runs")
        self._ledger.begin(index)
        self._create(made, plan)
        if not self._start(made):
            self._ledger.count("runs that could not be started")
        elif plan.way == "killed":
            self._kill(made)
        elif plan.way == "exec":
            self._execute(made, plan)
        if made.started:
            self._wait(made)
        self._remove(made)

    def _create(self, made: Made, plan: Plan) -> None:
        life = {"exit": ["exit", str(plan.number), str(plan.milliseconds), str(plan.children)],
                "signal": ["signal", str(plan.number), str(plan.milliseconds)],
                "killed": ["hold", "77"],
                "exec": ["exit", str(plan.number), str(plan.milliseconds + 200)]}[plan.way]
        # A first process in a namespace of its own cannot end itself by a signal.
        host: dict[str, Any] = {"PidMode": "host"} if plan.way == "signal" else {}
        self._ledger.add(made)
        request = document(self._node, made, life, **host)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                made.id = self._api.call("POST", "/containers/create", {"name": made.name}, request)["Id"]
                return
            except (Refused, Cut):
                pass
            except Answer as error:
                # An earlier try was carried out, and its answer got lost.
                if error.status == 409 and (found := self._find(made)):
                    made.id = found
                    return
                if error.status not in (409, 500, 503):
                    raise
                self._ledger.count(f"creates answered with {error.status}")
            _pause(deadline, f"create {made.name}")

    def _find(self, made: Made) -> str:
        try:
            return self._api.patiently("GET", f"/containers/{made.name}/json")["Id"]
        except Answer as error:
            if error.status == 404:
                return ""
            raise

    def _start(self, made: Made) -> bool:
        """False when the container could not be started at all."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self._api.call("POST", f"/containers/{made.id}/start", timeout=60)
                made.started = True
                return True
            except (Refused, Cut):
                made.started = made.started or self._has_run(made)
                if made.started:
                    return True
            except Answer as error:
                if error.status == 304:
                    made.started = True
                    return True
                if made.shim_kills and self._ledger.books(made).starts > made.failed_starts:
                    made.failed_starts += 1
                    self._ledger.count("starts undone because the shim was killed")
                elif self._has_run(made):
                    made.started = True
                    return True
                # With automatic removal a start that failed removes the container.
                if error.status == 404 and made.automatic_removal:
                    made.removed = True
                    return False
                self._ledger.count(f"starts answered with {error.status}")
                made.notes["start"] = str(error)
                if error.status == 404:
                    self._ledger.wrong.append(f"{made.name}: cannot be started: {error}")
                    made.removed = True
                    return False
            _pause(deadline, f"start {made.name}: {made.notes.get('start', 'no answer')}")

    def _has_run(self, made: Made) -> bool:
        if self._ledger.books(made).starts > made.failed_starts:
            return True
        try:
            state = self._api.patiently("GET", f"/containers/{made.id}/json")["State"]
        except Answer as error:
            if error.status == 404:
                return False
            raise
        return state["Running"] or not (made.failed_starts or state["StartedAt"].startswith("0001"))

    def _kill(self, made: Made) -> None:
        deadline = time.monotonic() + PATIENCE
        made.notes["killed"] = time.time()
        while True:
            try:
                self._api.call("POST", f"/containers/{made.id}/kill", {"signal": "KILL"})
                return
            except (Refused, Cut):
                pass
            except Answer as error:
                if error.status in (404, 409):
                    return
                self._ledger.count(f"kills answered with {error.status}")
            _pause(deadline, f"kill {made.name}")

    def _execute(self, made: Made, plan: Plan) -> None:
        """An additional process, whose own books say how it really ended; the container may have ended before it."""
        code = (plan.number + 1) % 256
        request = {"Cmd": ["/bin/worker", made.name + "-exec", "also", str(code)]}
        try:
            session = self._api.patiently("POST", f"/containers/{made.id}/exec", body=request)["Id"]
        except Answer as error:
            self._ledger.count(f"execs answered with {error.status}")
            return
        outcome = self._start_session(made, session)
        self._ledger.count(f"execs, start {outcome}")
        found = self._session_end(made, session)
        if found is None:
            self._ledger.count("execs forgotten with their container")
            return
        if problem := self._judge_session(made, Session(code, outcome, *found)):
            self._ledger.wrong.append(problem)

    def _start_session(self, made: Made, session: str) -> str:
        """How its start was answered: "done", "refused", or "unsure" when an answer got lost."""
        deadline = time.monotonic() + PATIENCE
        refused = "refused"
        while True:
            try:
                self._api.call("POST", f"/exec/{session}/start", body={"Detach": True}, timeout=60)
                return "done"
            except (Refused, Cut):
                refused = "unsure"
            except Answer as error:
                if error.status != 503:
                    return refused
                refused = "unsure"
            _pause(deadline, f"start a session of {made.name}")

    def _session_end(self, made: Made, session: str) -> tuple[int | None, str] | None:
        """Its code and what is said beside; no code when it was never started, nothing when nobody knows of it any more."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                found = self._api.patiently("GET", f"/exec/{session}/json")
            except Answer as error:
                if error.status != 404:
                    raise
                return None
            if not found["Running"]:
                return found.get("ExitCode"), (found.get("Berth") or {}).get("Problem", "")
            _pause(deadline, f"the end of a session of {made.name}")

    def _judge_session(self, made: Made, session: Session) -> str | None:
        books, container = Books(self._node.place.shared, made.name + "-exec"), self._ledger.books(made)
        at = books.time("ends") if books.ends else container.time("ends")
        window = (at, at + LAST_BREATH) if at else (books.time("starts"), time.time())
        truth = Truth(
            books.starts, books.ends,
            has_container_ended=container.ends > 0,
            ended_together=books.ends > 0 and container.ends > 0 and abs(at - container.time("ends")) < LAST_BREATH,
            was_shim_killed=bool(made.shim_kills),
            may_be_unknown=self._ledger.witnesses.may_be_unknown(made.name, *window),
            was_shim_killed_then=bool(at) and self._ledger.witnesses.was_killed_at(made.name, at))
        problem = session.contradiction(truth)
        if problem:
            return f"{made.name}: exec {problem}; {books}; {self._ledger.witnesses.told(made.name, *window)}"
        if session.is_unknown:
            cause = "neither shim nor manager was there" if truth.may_be_unknown else "shim killed when a session had just ended"
            self._ledger.note_unknown(made.name + "-exec", session.problem, cause)
        if session.outcome == "refused" and books.starts:
            self._ledger.count("execs that ran although their start was refused")
        return None

    def _wait(self, made: Made) -> None:
        """Learns the exit code; that of a container that is removed by itself stands in its events."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                answer = self._api.call("POST", f"/containers/{made.id}/wait", timeout=30)
                if answer is None:
                    # The manager ended in order, and the stream with it.
                    self._ledger.count("waits that ended without an answer")
                    continue
                reason = (answer.get("Error") or {}).get("Message", "")
                if reason and not reason.startswith(UNKNOWN):
                    self._ledger.wrong.append(f"{made.name} (wait): answered with the error '{reason}'")
                self._ledger.judge(made, answer["StatusCode"], reason, "wait")
                return
            except Answer as error:
                if error.status == 404 and made.automatic_removal:
                    return
                if error.status == 404:
                    self._ledger.wrong.append(f"{made.name}: is gone although nobody removed it")
                    made.removed = True
                    return
                self._ledger.count(f"waits answered with {error.status}")
            except (Refused, Cut):
                pass
            _pause(deadline, f"wait for {made.name}")

    def _remove(self, made: Made) -> None:
        deadline = time.monotonic() + PATIENCE
        if not made.removed and not made.automatic_removal and made.started:
            self._compare(made)
        while not made.removed:
            try:
                self._api.call("DELETE", f"/containers/{made.id}", {"force": "1"}, timeout=60)
                made.removed = True
            except Answer as error:
                if error.status == 404:
                    made.removed = True
                    return
                self._ledger.count(f"removals answered with {error.status}")
            except (Refused, Cut):
                pass
            if not made.removed:
                _pause(deadline, f"remove {made.name}")

    def _compare(self, made: Made) -> None:
        """What inspect says is what wait said."""
        try:
            state = self._api.patiently("GET", f"/containers/{made.id}/json")["State"]
        except Answer as error:
            self._ledger.wrong.append(f"{made.name}: cannot be inspected after its end: {error}")
            return
        self._ledger.judge(made, state["ExitCode"], unknown_reason(state), "inspect")


def unknown_reason(state: dict[str, Any]) -> str:
    """Why an exit code is not known; empty when it is."""
    return state["Error"][len(UNKNOWN):] if state.get("Error", "").startswith(UNKNOWN) else ""


def _pause(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"{what}: not done in {PATIENCE:.0f} s")
    time.sleep(0.03)
