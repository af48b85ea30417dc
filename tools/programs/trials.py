"""What is tried with each program, in order."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from harness.node import Node

from . import attacks
from .catalogue import Program
from .runs import AS_RESTRICTED, Containers


@dataclass
class Trial:
    """What was seen of one program."""

    program: Program
    problems: list[str] = field(default_factory=list)
    # Seconds of the acceptance, by how it was confined.
    seconds: dict[str, float] = field(default_factory=dict)
    # What became of each attempt of the hostile program, by how it was confined.
    attacks: dict[str, dict[str, str]] = field(default_factory=dict)

    def let_through(self, confinement: str) -> list[str]:
        """Attempts that a filter did not refuse."""
        return [name for name, result in self.attacks.get(confinement, {}).items() if not attacks.is_refused(result)]


class Judge:
    """Tries programs with one manager."""

    def __init__(self, node: Node) -> None:
        self._containers = Containers(node)

    def judge(self, program: Program) -> Trial:
        trial = Trial(program)
        self._accept(trial, "native", AS_RESTRICTED)
        self._attack(trial, "native", [])
        return trial

    def _accept(self, trial: Trial, confinement: str, options: list[str]) -> None:
        began = time.monotonic()
        outcome = self._containers.accept(trial.program, options)
        trial.seconds[confinement] = round(time.monotonic() - began, 2)
        if not outcome.accepted:
            trial.problems.append(f"{confinement}: {outcome.why}")

    def _attack(self, trial: Trial, confinement: str, options: list[str]) -> None:
        found = attacks.results(self._containers.attack(trial.program, options, attacks.TOGETHER), attacks.TOGETHER)
        for name in attacks.ALONE:
            found |= attacks.results(self._containers.attack(trial.program, options, [name]), [name])
        trial.attacks[confinement] = found
