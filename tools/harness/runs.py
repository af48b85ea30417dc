"""Short-lived containers whose end is known beforehand, made by a client that survives the manager."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass
from typing import Any

from .api import API, Answer, Cut, Refused
from .ledger import Ending, Ledger, Made
from .node import Node
from .workloads import document

# How long one step may take while managers die and come back.
PATIENCE = 120.0
SIGNALS = (3, 6, 9, 11, 15)


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
        if self._ledger.books(made).starts:
            return True
        try:
            state = self._api.patiently("GET", f"/containers/{made.id}/json")["State"]
        except Answer as error:
            if error.status == 404:
                return False
            raise
        return state["Running"] or not state["StartedAt"].startswith("0001")

    def _kill(self, made: Made) -> None:
        deadline = time.monotonic() + PATIENCE
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
        """An additional process; the container may have ended before it, then there is none."""
        code = (plan.number + 1) % 256
        try:
            request = {"Cmd": ["/bin/worker", made.name + "-exec", "nothing", str(code)]}
            session = self._api.call("POST", f"/containers/{made.id}/exec", body=request)["Id"]
            self._api.call("POST", f"/exec/{session}/start", body={"Detach": True})
            self._ledger.count("execs")
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                found = self._api.call("GET", f"/exec/{session}/json")
                if not found["Running"]:
                    # 137: the container has ended meanwhile and has taken it along.
                    if found["ExitCode"] not in (code, 137, None) and not made.shim_kills:
                        self._ledger.wrong.append(f"{made.name}: exec ended with {found['ExitCode']} instead of {code}")
                    return
                time.sleep(0.02)
        except (Refused, Cut, Answer):
            self._ledger.count("execs cut off")

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
    prefix = "exit status unknown: "
    return state["Error"][len(prefix):] if state.get("Error", "").startswith(prefix) else ""


def _pause(deadline: float, what: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(f"{what}: not done in {PATIENCE:.0f} s")
    time.sleep(0.03)
