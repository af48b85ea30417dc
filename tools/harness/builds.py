"""A directory with somebody's executables."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from .identity import Program
from .place import Trouble

NEEDED = ("berthd", "berth", "berth-shim-native")
WANTED = ("berth-init", "berth-scope", "berth-shim-restricted")


@dataclass(frozen=True)
class Build:
    """Executables of one version, copied, so that nobody changes them while they are under test."""

    name: str
    folder: Path
    version: str

    @property
    def berthd(self) -> Path:
        return self.folder / "berthd"

    @property
    def berth(self) -> Path:
        return self.folder / "berth"

    @property
    def shim(self) -> Path:
        return self.folder / "berth-shim-native"

    @cached_property
    def manager_program(self) -> Program:
        return Program(self.berthd, self.version)

    @cached_property
    def shim_program(self) -> Program:
        """Its version is the manager's: both are of one build."""
        return Program(self.shim, self.version)

    @property
    def told(self) -> str:
        """For people: its version, and what tells builds of one version apart."""
        return f"{self.version} ({self.manager_program.digest})"

    @cached_property
    def has_upgradable_shims(self) -> bool:
        """Whether its shims say that another program can take their place."""
        done = subprocess.run([self.shim, "-info"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False)
        return b"upgrade" in re.split(rb"[^a-z-]", done.stdout)


def take(source: str, name: str, into: Path) -> Build:
    """Copies the build in `source`; Trouble says what is wrong with a directory that is none."""
    origin = Path(source).expanduser()
    if not origin.exists():
        raise Trouble(f"build '{source}' does not exist: give the directory that holds {', '.join(NEEDED)}")
    if not origin.is_dir():
        raise Trouble(f"build '{source}' is a file: give the directory that holds {', '.join(NEEDED)}")
    missing = [each for each in NEEDED if not os.access(origin / each, os.X_OK) or not (origin / each).is_file()]
    if missing:
        hint = "; make one with tools/build" if len(missing) == len(NEEDED) else ""
        raise Trouble(f"build '{source}' has no executable {', '.join(missing)}{hint}")
    folder = into / name
    folder.mkdir(parents=True)
    for each in NEEDED + WANTED:
        if (origin / each).exists():
            shutil.copy2(origin / each, folder / each)
    done = subprocess.run([folder / "berthd", "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Trouble(f"{origin / 'berthd'} --version ended with {done.returncode}: is it for this machine? "
                      f"It said: {done.stdout.decode(errors='replace').strip()}")
    return Build(name, folder, done.stdout.decode(errors="replace").strip())
