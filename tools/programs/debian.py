"""Debian packages and all that they depend on, without installing any of them.

apt does the work, with a database of installed packages that is empty, so that the answer does not depend on this machine.
It asks the mirrors that the machine is configured for; what was downloaded once is not asked for again.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from harness.place import Trouble

# Only packages of Debian itself, whatever other sources the machine has.
PREFERENCES = "Package: *\nPin: release o=Debian\nPin-Priority: 1001\n"


class Debian:
    """Packages, kept in `<cache>/archives`."""

    def __init__(self, cache: Path) -> None:
        self.archives = cache / "archives"
        (self.archives / "partial").mkdir(parents=True, exist_ok=True)
        # apt leaves out of its list what it has: so it lists as if it had nothing.
        self._nothing = cache / "nothing"
        (self._nothing / "partial").mkdir(parents=True, exist_ok=True)
        status, preferences = cache / "status", cache / "preferences"
        status.write_text("")
        preferences.write_text(PREFERENCES)
        self._options = ["-qq", "--no-install-recommends", *(f"-o{key}={value}" for key, value in {
            "Dir::State::status": status, "Dir::Etc::preferences": preferences, "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::Cache::pkgcache": "", "Dir::Cache::srcpkgcache": "",
            "Debug::NoLocking": "1", "APT::Sandbox::User": "root"}.items())]

    def closure(self, names: list[str]) -> list[Path]:
        """The packages with all that they depend on, downloaded."""
        # A line is 'URI' FILE SIZE DIGEST.
        listed = self._apt(self._nothing, "--print-uris", *names).splitlines()
        files = [self.archives / line.split()[1] for line in listed]
        if missing := [file.name for file in files if not file.exists()]:
            self._apt(self.archives, "--download-only", "--yes", *names)
            if still := [name for name in missing if not (self.archives / name).exists()]:
                raise Trouble(f"apt-get did not download {', '.join(still)} for {' '.join(names)}")
        return files

    def _apt(self, archives: Path, *words: str) -> str:
        words = (f"-oDir::Cache::archives={archives}", "install", *words)
        try:
            done = subprocess.run(["apt-get", *self._options, *words], capture_output=True, text=True, check=False,
                                  stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"})
        except FileNotFoundError:
            raise Trouble("apt-get is missing: the programs are taken from Debian packages, so this needs Debian") from None
        if done.returncode:
            raise Trouble(f"apt-get {' '.join(words)} ended with {done.returncode}: {done.stderr.strip()}; "
                          "if it does not know the packages, run apt-get update")
        return done.stdout
