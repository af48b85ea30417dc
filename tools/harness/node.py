"""One manager in a place of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .api import API, Answer, Cut, Refused
from .builds import Build
from .identity import Seen, contradictions
from .place import Place, Trouble, hierarchies

IMAGE = "berth/default:latest"


class Died(Exception):
    """The manager ended although nobody asked for it."""


class Node:
    """A manager, its directories and its shims."""

    def __init__(self, place: Place, build: Build, root: Path | None = None) -> None:
        self.place = place
        self.build = build
        # Of which build the shims of long-lived containers are.
        self.shims_of = build
        self.root = root or place.scratch / "root"
        self.state = place.scratch / "state"
        self.log = place.scratch / "manager.log"
        self.api = API(str(self.state / "berth.sock"))
        self.began = time.time()
        # Held while the manager is replaced, so that two who want that do not meet.
        self.lock = threading.RLock()
        # When the manager gave its first answer, on the monotonic clock.
        self.ready_since = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self.cgroup = self._own_cgroup()

    def _own_cgroup(self) -> Path:
        """A memory cgroup of the manager's own, for memory pressure."""
        name = self.place.scratch.name + ".manager"
        tops = [path for path in hierarchies() if path.name == "memory"] or hierarchies()[:1]
        path = tops[0] / name
        path.mkdir(exist_ok=True)
        return path

    def shim_limit(self) -> Path | None:
        """The memory limit of a cgroup beside the manager's, for one shim at a time."""
        path = self.cgroup.with_name(self.place.scratch.name + ".shim")
        path.mkdir(exist_ok=True)
        return memory_limit(path)

    # The process

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else -1

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, within: float = 30) -> float:
        """Starts the manager and waits for its first answer; returns how many seconds that took."""
        with self.lock:
            began = time.monotonic()
            command = [str(self.build.berthd), "--root", str(self.root), "--state", str(self.state)]
            with open(self.log, "ab") as log:
                self._process = subprocess.Popen(
                    ["sh", "-c", 'echo 0 >"$0" && exec "$@"', str(self.cgroup / "cgroup.procs"), *command],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
            self.wait_ready(within)
            return time.monotonic() - began

    def wait_ready(self, within: float = 30) -> None:
        """Waits until the manager answers."""
        deadline = time.monotonic() + within
        while True:
            if not self.runs:
                raise Died(f"berthd ended with {self._process.returncode if self._process else '-'}: {self.last_words()}")
            try:
                self.api.call("GET", "/_ping", timeout=5)
                self.ready_since = time.monotonic()
                return
            except (Refused, Cut, Answer) as error:
                if time.monotonic() > deadline:
                    raise Died(f"berthd did not answer in {within:.0f} s ({error}): {self.last_words()}") from None
            time.sleep(0.01)

    def last_words(self, lines: int = 8) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return " | ".join(text.splitlines()[-lines:]) or "no output"

    def signal(self, number: int) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and the end."""
        with self.lock:
            self.signal(signal.SIGKILL)
            self.reap()

    def stop(self, meanwhile: Callable[[], None] = lambda: None) -> int:
        """SIGTERM, and its exit code; `meanwhile` is called all the time until then."""
        with self.lock:
            self.signal(signal.SIGTERM)
            return self.reap(30, meanwhile)

    def reap(self, within: float = 10, meanwhile: Callable[[], None] = lambda: None) -> int:
        """Waits for the end of the process."""
        if self._process is None:
            return 0
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            meanwhile()
            try:
                return self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
        doing = "; ".join(threads(self._process.pid))
        self._process.kill()
        self._process.wait()
        raise Died(f"berthd did not end in {within:.0f} s after SIGTERM: {self.last_words()} (threads: {doing})")

    # Upgrades

    def has_verb(self, build: Build, *verb: str) -> bool:
        """Whether the build's command line knows a verb; help of an unknown one is its parent's."""
        done = subprocess.run([build.berth, *verb, "--help"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              check=False)
        return done.returncode == 0 and f"berth {' '.join(verb)}".encode() in done.stdout

    def upgrade(self, build: Build) -> str:
        """Replaces the manager by `build`'s; says how: "in place", or "stop and start" where one of the two knows no other way."""
        with self.lock:
            if not all(self.has_verb(each, "system", "upgrade") for each in (self.build, build)):
                self.stop()
                self.build = build
                self.start()
                return "stop and start"
            pid = self.pid
            self.berth("system", "upgrade", "--binary", str(build.berthd))
            self.build = build
            self.wait_ready()
            if self.pid != pid:
                raise Died(f"after the upgrade the manager is process {self.pid}, and it was {pid}")
            return "in place"

    def upgrade_shims(self, build: Build) -> str:
        """Replaces every shim by `build`'s, or says that one of the builds cannot."""
        if not self.has_verb(self.build, "shim", "upgrade"):
            return "not offered"
        if unable := [each for each in (self.shims_of, build) if not each.has_upgradable_shims]:
            return f"not offered by the shims of '{unable[0].name}'"
        before = self.shims()
        self.berth("shim", "upgrade", "--all", "--binary", str(build.shim))
        after = self.shims()
        for container, pid in before.items():
            if after.get(container, pid) != pid:
                raise Died(f"the shim of {container[:12]} was process {pid} and is {after[container]}")
        self.shims_of = build
        return "in place"

    def wrong_programs(self) -> list[str]:
        """Which of the manager and the shims of long-lived containers runs another program than it should."""
        version = self.api.patiently("GET", "/version")["Version"]
        problems = contradictions(self.build.manager_program, [Seen.of("the manager", self.pid, version)])
        told = self._shim_versions()
        for container, pid in self.shims().items():
            who = f"the shim of {container[:12]}"
            if told is not None and container not in told:
                problems.append(f"{who} (process {pid}) is not in the manager's list")
                continue
            version = told[container] if told is not None else None
            problems += contradictions(self.shims_of.shim_program, [Seen.of(who, pid, version)])
        return problems

    def _shim_versions(self) -> dict[str, str] | None:
        """By container; None when the manager is older than the list of shims."""
        try:
            return {row["ID"]: row["Version"] for row in self.api.patiently("GET", "/berth/v1/shims")}
        except Answer as error:
            if error.status != 404:
                raise
            return None

    def berth(self, *words: str, within: float = 120) -> str:
        """Output of the command line, which has to succeed."""
        done = subprocess.run([self.build.berth, "--host", f"unix://{self.api.path}", *words], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=within, check=False)
        if done.returncode:
            raise Died(f"berth {' '.join(words)} ended with {done.returncode}: {done.stderr.decode(errors='replace')}")
        return done.stdout.decode(errors="replace")

    # What it has

    def load_image(self) -> None:
        try:
            self.api.upload("/images/load", str(self.place.image()))
        except (Answer, OSError) as error:
            raise Trouble(f"the manager did not load the image: {error}") from None

    def shims(self) -> dict[str, int]:
        """Process of the shim by container id; what is twice is a list of the checker's (`shim_processes`)."""
        return {container: pid for pid, container in self.shim_processes()}

    def shim_processes(self) -> list[tuple[int, str]]:
        """(process, container id) of everything that serves one of this manager's bundles."""
        found = []
        mark = str(self.state / "containers").encode() + b"/"
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            words = command_line(int(entry))
            if words and words[-1] in (b"serve",) or b"serve" in words[-3:]:
                bundles = [word for word in words if word.startswith(mark)]
                if bundles:
                    found.append((int(entry), os.path.basename(bundles[0]).decode()))
        # What a shim has cloned has its words until it executes its own program.
        shims = set(found)
        return [(pid, container) for pid, container in found if (parent(pid), container) not in shims]

    def inspect(self, name: str) -> dict[str, Any]:
        return self.api.patiently("GET", f"/containers/{name}/json")

    def list(self) -> list[dict[str, Any]]:
        return self.api.patiently("GET", "/containers/json", {"all": "1"})

    def take_down(self) -> list[str]:
        """Removes every container and ends the manager; says what could not be done."""
        problems: list[str] = []
        try:
            if not self.runs:
                self.start()
            deadline = time.monotonic() + 60
            while left := self.list():
                for each in left:
                    try:
                        self.api.call("DELETE", f"/containers/{each['Id']}", {"force": "1", "v": "1"})
                    except (Answer, Refused, Cut) as error:
                        if time.monotonic() > deadline:
                            problems.append(f"{each['Names'][0]} cannot be removed: {error}")
                if problems or time.monotonic() > deadline:
                    break
            code = self.stop()
            if code:
                problems.append(f"berthd ended with {code} after SIGTERM")
        except (Died, TimeoutError, Answer, Cut, Refused) as error:
            problems.append(str(error))
            if self._process:
                self._process.kill()
                self._process.wait()
        return problems


def command_line(pid: int) -> list[bytes]:
    """Arguments of a process; none when it is gone or a zombie."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[:-1]
    except OSError:
        return []


def parent(pid: int) -> int:
    """Number of a process's parent; 0 when it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def memory_limit(group: Path) -> Path | None:
    """The file of a cgroup's memory limit; none where the controller is missing."""
    return next((group / name for name in ("memory.max", "memory.limit_in_bytes") if (group / name).exists()), None)


def threads(pid: int) -> list[str]:
    """What each thread of a process waits for in the kernel."""
    found = []
    try:
        for task in sorted(Path(f"/proc/{pid}/task").iterdir()):
            words = [(task / name).read_text().strip() for name in ("comm", "wchan", "syscall")]
            found.append(f"{words[0]} {words[1]} {words[2].split()[0]}")
    except OSError:
        pass
    return found
