"""Which program runs: told by its file and by what it says, so that an upgrade that did not take place is seen.

Two builds may call themselves the same, and a program may say what is not the case; a file is what the kernel says of a process.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """An executable and the version that it calls itself."""

    file: Path
    version: str

    @property
    def digest(self) -> str:
        """The first digits of its content's SHA-256: equal for equal programs."""
        with open(self.file, "rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()[:12]


@dataclass(frozen=True)
class Seen:
    """A process as it was found: whose it is, the file that the kernel says it runs, and the version that it says it is."""

    who: str
    # Device and inode; none when the process was gone.
    file: tuple[int, int] | None
    # None where nobody tells.
    version: str | None

    @staticmethod
    def of(who: str, pid: int, version: str | None) -> Seen:
        return Seen(who, _identity(f"/proc/{pid}/exe"), version)


def contradictions(expected: Program, seen: list[Seen]) -> list[str]:
    """Who runs another program than expected, or says so."""
    problems = []
    wanted = _identity(expected.file)
    for each in seen:
        if each.file is None:
            problems.append(f"{each.who} is gone")
        elif each.file != wanted:
            problems.append(f"{each.who} does not run {expected.file}")
        if each.version not in (None, expected.version):
            problems.append(f"{each.who} says that it is version '{each.version}', and {expected.file.name} is '{expected.version}'")
    return problems


def _identity(path: str | Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino
