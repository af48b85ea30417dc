"""Containers of a program, confined in one way or another."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field

from harness.node import Node

from .catalogue import Program

# Longest that any acceptance takes; the longest measured took a tenth of it.
WITHIN = 180.0
# What restricted mode does by itself, asked for by name.
AS_RESTRICTED = ["--read-only", "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs", "/var/tmp", "--cap-drop", "ALL", "--security-opt",
                 "no-new-privileges"]


@dataclass
class Outcome:
    """What came of a container, and what it printed."""

    code: int
    output: str
    problems: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        return self.code == 0 and not self.problems and "accepted" in self.output.splitlines()[-3:]

    @property
    def why(self) -> str:
        """What was wrong, in one line."""
        tail = " | ".join(line for line in self.output.splitlines()[-6:] if line.strip())
        return "; ".join([*self.problems, f"ended with {self.code}: {tail or 'no output'}"])


class Containers:
    """Runs containers of one manager, one after the other."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._count = 0

    def accept(self, program: Program, confinement: list[str]) -> Outcome:
        """Runs the program's acceptance; the container is gone afterwards."""
        self._count += 1
        name = f"{program.name}-{self._count}"
        options = ["--name", name, *confinement, *program.options]
        if not program.server:
            return self._berth("run", "--rm", *options, program.image)
        problems = []
        begun = self._berth("run", "-d", *options, program.image)
        if begun.code:
            return begun
        try:
            outcome = self._berth("exec", name, "/acceptance")
            state = self.node.inspect(name)["State"]
            if not state["Running"]:
                problems.append(f"the server ended by itself with {state['ExitCode']}: {self._last_words(name)}")
            self._berth("stop", name)
            ended = self.node.inspect(name)["State"]["ExitCode"]
            if ended != program.server_ends:
                problems.append(f"the stopped server ended with {ended} instead of {program.server_ends}: {self._last_words(name)}")
        finally:
            self._berth("rm", "--force", "--volumes", name)
        outcome.problems = problems
        return outcome

    def attack(self, program: Program, confinement: list[str], attempts: list[str]) -> Outcome:
        """Runs the hostile program in the program's image; without attempts, all of them."""
        self._count += 1
        name = f"{program.name}-{self._count}"
        return self._berth("run", "--rm", "--name", name, *confinement, *program.options, "--entrypoint", "/hostile-calls",
                           program.image, *attempts)

    def _last_words(self, name: str) -> str:
        return " | ".join(self._berth("logs", name).output.splitlines()[-6:])

    def _berth(self, *words: str) -> Outcome:
        command = [self.node.build.berth, "--host", f"unix://{self.node.api.path}", *words]
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  timeout=WITHIN, check=False)
        except subprocess.TimeoutExpired as late:
            return Outcome(-1, (late.stdout or b"").decode(errors="replace"), problems=[f"not within {WITHIN:.0f} s"])
        return Outcome(done.returncode, done.stdout.decode(errors="replace"))
