"""What is tried with each program, in order."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from harness.node import Node

from . import attacks
from .catalogue import Program
from .profiles import Profiles, Surface
from .runs import AS_RESTRICTED, Containers

NATIVE, LEARNING, ENFORCED = "native", "learning", "enforced"


@dataclass
class Trial:
    """What was seen of one program."""

    program: Program
    problems: list[str] = field(default_factory=list)
    # Seconds of each acceptance, by how it was confined.
    seconds: dict[str, list[float]] = field(default_factory=dict)
    # What became of each attempt of the hostile program, by how it was confined.
    attacks: dict[str, dict[str, str]] = field(default_factory=dict)
    surface: Surface | None = None
    # How often the program itself was denied something under its profile that it was not denied while it was learned.
    denials: int | None = None
    # What it was denied both times: calls that Docker's default profile refuses too, which it can do without.
    known: list[str] = field(default_factory=list)
    # Attempts under the profile that were refused, and whose refusal a denial names.
    named: int | None = None

    def let_through(self, confinement: str) -> list[str]:
        """Attempts that a filter did not refuse."""
        return [name for name, result in self.attacks.get(confinement, {}).items() if not attacks.is_refused(result)]


class Judge:
    """Tries programs with one manager."""

    def __init__(self, node: Node, runs: int, is_plain: bool) -> None:
        self._containers = Containers(node)
        self._profiles = Profiles(node)
        self._runs = runs
        self._is_plain = is_plain

    def judge(self, program: Program) -> Trial:
        trial = Trial(program)
        if self._accept(trial, NATIVE, AS_RESTRICTED):
            self._attack(trial, NATIVE, [])
            if not self._is_plain and self._learn(trial):
                self._enforce(trial)
                self._be_attacked(trial)
        return trial

    def _learn(self, trial: Trial) -> bool:
        options = self._profiles.learning(trial.program)
        if not all(self._accept(trial, LEARNING, options) for _ in range(self._runs)):
            return False
        self._profiles.promote(trial.program)
        trial.surface = self._profiles.surface(trial.program)
        if trial.surface.added and set(trial.surface.added) - set(trial.program.named_calls):
            trial.problems.append(f"the profile allows more than Docker's: {', '.join(trial.surface.added)}")
        return True

    def _enforce(self, trial: Trial) -> None:
        self._accept(trial, ENFORCED, self._profiles.enforcing(trial.program))
        denials = self._profiles.denials(trial.program)
        trial.known = [str(each) for each in denials if each.is_known]
        trial.denials = sum(each.count for each in denials if not each.is_known)
        trial.problems += [f"denied under its own profile: {each}" for each in denials if not each.is_known]

    def _be_attacked(self, trial: Trial) -> None:
        before = set(self._profiles.denials(trial.program))
        self._attack(trial, ENFORCED, self._profiles.enforcing(trial.program))
        named = [each for each in self._profiles.denials(trial.program) if each not in before]
        trial.named = 0
        for attempt in attacks.ATTEMPTS:
            result = trial.attacks[ENFORCED][attempt.name]
            if not attacks.is_refused(result):
                trial.problems.append(f"{attempt.name} was not refused: {result}")
            elif not any(attempt.is_named_by(each, result) for each in named):
                trial.problems.append(f"no denial names {attempt.name} ({result})")
            else:
                trial.named += 1

    def _accept(self, trial: Trial, confinement: str, options: list[str]) -> bool:
        began = time.monotonic()
        outcome = self._containers.accept(trial.program, options)
        trial.seconds.setdefault(confinement, []).append(round(time.monotonic() - began, 2))
        if not outcome.accepted:
            trial.problems.append(f"{confinement}: {outcome.why}")
        return outcome.accepted

    def _attack(self, trial: Trial, confinement: str, options: list[str]) -> None:
        found = attacks.results(self._containers.attack(trial.program, options, attacks.TOGETHER), attacks.TOGETHER)
        for name in attacks.ALONE:
            found |= attacks.results(self._containers.attack(trial.program, options, [name]), [name])
        trial.attacks[confinement] = found
