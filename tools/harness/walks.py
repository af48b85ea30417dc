"""Walks over all files of a node: damage, start, look, put back."""

from __future__ import annotations

import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from . import contents, damages
from .api import Answer, Cut, Refused
from .damages import Change
from .node import Died, Node
from .place import Trouble
from .residents import PATIENCE, Residents

DATABASE = ("berth.db", "berth.db-wal", "berth.db-shm", "berth.db.commits")
# What has a manager's or a container's own data in it, and no record of Berth's.
DATA = ("/fs/", "/snapshots/containers/", "/volumes/", "/rootfs/")
# Files of which a changed byte is not told, and why: docs/operations.md.
UNREAD = {
    "container.log": "what a container has written is its own, and is shown as it is",
    "hosts": "users and containers may change it",
    "resolv.conf": "users and containers may change it",
    "hostname": "users and containers may change it",
    "shim.log": "no program reads it",
    "berthd.lock": "whoever has it locked counts, and its text is for people",
}
# What is written again from what else is known, with the damaged one beside it.
RENEWED = {"token", "run", "shim.pid", "address", "config.json", "seccomp.bpf", "state", "journal", "container.json", "exit",
           "layer.json", "layer.copy.json"}
# What a shim writes whenever something happens: the end of an exec session, for one.
WRITTEN_OVER = {"state", "journal"}
# Blobs that are longer are layers, whose length is looked at at each start and whose bytes when they are unpacked.
DOCUMENT = 65536
LAYER = "blob of a layer"
MOST_PROBLEMS = 40


class Walk:
    """One part of the walk, on one node."""

    def __init__(self, node: Node, part: str, choice: random.Random, running: int) -> None:
        self.node = node
        self.problems: list[str] = []
        self._part = part
        self._choice = choice
        # A database is damaged in one place at a time, whoever else is there.
        self._running = running if part == "files" else min(running, 5)
        self._counts: Counter[str] = Counter()
        self._done: Counter[str] = Counter()
        self._open: dict[str, list[Change]] = {}
        self._total: dict[str, int] = {}
        self._kept: dict[Path, bytes] = {}
        self._kinds: dict[Path, str] = {}
        # How long the log was before this start.
        self._logged = 0

    def facts(self) -> dict[str, object]:
        kinds = ", ".join(f"{kind} {self._done[kind]} of {self._total[kind]}" for kind in sorted(self._total))
        return {**{name: count for name, count in sorted(self._counts.items())}, "of each kind": f"({kinds})"}

    def go(self, seconds: float) -> None:
        """Walks for so long, or to the end."""
        self.node.start()
        self.node.load_image()
        self._learn()
        residents = Residents(self.node, self._running)
        residents.settle()
        if self._part == "log":
            self.node.kill()
        else:
            self.node.stop()
        self._keep()
        walk = self._files if self._part == "files" else self._database
        walk(residents, time.monotonic() + seconds)
        self.node.start()
        self.problems += [f"at the end: {problem}" for problem in residents.check()]
        self.problems += [f"at the end: {line}" for line in residents.warnings()]

    def _learn(self) -> None:
        if not (self.node.build.folder / "berth-shim-restricted").exists():
            return
        self.node.berth("profile", "learn", "--name", "p", "--rm", "--network", "none", "berth/default", "true")
        self.node.berth("profile", "promote", "p")

    def _keep(self) -> None:
        self._kept = {path: path.read_bytes() for path in self._all(self.node.root)}

    @staticmethod
    def _all(top: Path) -> list[Path]:
        return sorted(path for path in top.rglob("*") if not path.is_symlink() and path.is_file()
                      and not any(part in str(path) for part in DATA) and path.name not in ("lock", "berth.lock"))

    def _note(self, what: str, problems: list[str]) -> None:
        for problem in problems:
            print(f"! {what}: {problem}", flush=True)
            self.problems.append(f"{what}: {problem}")
        if problems:
            print("\n".join(self.node.log.read_text(errors="replace")[self._logged:].splitlines()[-60:]), flush=True)

    @property
    def _is_hopeless(self) -> bool:
        return len(self.problems) >= MOST_PROBLEMS or any(" was ended" in each for each in self.problems)

    def _try(self, residents: Residents, look: Callable[[], list[str]]) -> list[str]:
        """Starts the manager, looks, and kills it."""
        self._logged = self.node.log.stat().st_size
        self._counts["starts"] += 1
        try:
            self.node.start()
            return look()
        except (Died, TimeoutError, Answer, Cut, Refused, Trouble) as error:
            return [f"{type(error).__name__} {str(error)[:200]}", *residents.harmed()]
        finally:
            self.node.kill()

    # Files -----------------------------------------------------------------------------------------------------------

    def _files(self, residents: Residents, deadline: float) -> None:
        self._plan()
        while time.monotonic() < deadline and any(self._open.values()) and not self._is_hopeless:
            done = self._damage_some()
            what = "; ".join(f"{path.parent.name[:12]}/{path.name} {change}" for path, change, _, _ in done)
            has_images = any("/content/" in str(path) for path, _, _, _ in done)
            self._note(what, self._try(residents, lambda: residents.check(has_images) + self._unnamed(residents, done)))
            self._put_back(done)

    def _plan(self) -> None:
        for path in self._targets():
            kind, size = self._kind(path), path.stat().st_size
            if kind in self._open or not size:
                continue
            isPlain = kind in UNREAD or kind == LAYER
            found = damages.spread(size, 40, self._choice) if isPlain else damages.everywhere(size, self._choice)
            self._choice.shuffle(found)
            self._open[kind] = found
            self._total[kind] = len(found)

    def _targets(self) -> list[Path]:
        found = self._all(self.node.root) + self._all(self.node.state)
        return [path for path in found if (path.name not in DATABASE or path.name == "berth.db.commits")
                and not re.search(r"\.(bad|damaged)", path.name)]

    def _kind(self, path: Path) -> str:
        """By what is there when it is first met: a damaged one may be of any size."""
        if path not in self._kinds:
            kind = kind_of(path)
            self._kinds[path] = LAYER if kind == "sha256/*" and path.stat().st_size > DOCUMENT else kind
        return self._kinds[path]

    def _damage_some(self) -> list[tuple[Path, Change, bytes, bytes]]:
        """Damages one file of every container but the worker, and one that all share."""
        groups: dict[str, list[Path]] = {}
        for path in self._targets():
            groups.setdefault(next((part for part in path.parts if re.fullmatch("[0-9a-f]{64}", part)
                                    and path.name != part), "shared"), []).append(path)
        done = []
        for _, files in sorted(groups.items()):
            byKind: dict[str, list[Path]] = {}
            for path in files:
                if self._open.get(self._kind(path)):
                    byKind.setdefault(self._kind(path), []).append(path)
            if not byKind:
                continue
            kinds = sorted(byKind)
            # Turn about those with most to do, and those of which least was done.
            if self._choice.random() < 0.5:
                kind = self._choice.choices(kinds, [len(self._open[kind]) for kind in kinds])[0]
            else:
                kind = min(kinds, key=lambda kind: (self._done[kind], self._choice.random()))
            path = self._choice.choice(byKind[kind])
            content = path.read_bytes()
            change = self._open[kind].pop()
            if not change.fits(len(content)):
                continue
            self._done[kind] += 1
            self._counts["damages"] += 1
            damaged = change.applied(content)
            overwrite(path, damaged)
            done.append((path, change, content, damaged))
        return done

    def _unnamed(self, residents: Residents, done: list[tuple[Path, Change, bytes, bytes]]) -> list[str]:
        """What of the damages is not told of, not kept or not made anew, after as long as it takes."""
        wanted = [each for each in done if not is_excused(self._kind(each[0]), *each[1:])]
        deadline = time.monotonic() + PATIENCE
        while True:
            told = "\n".join(residents.warnings())
            over = [each for each in wanted if str(each[0]) not in told and self._is_written_over(*each)]
            problems = [problem for each in wanted if each not in over for problem in self._lacking(told, *each)]
            if not problems or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self._counts["named"] += len(wanted) - len(over)
        self._counts["excused"] += len(done) - len(wanted)
        self._counts["written over by their living shims"] += len(over)
        return problems

    def _is_written_over(self, path: Path, change: Change, content: bytes, damaged: bytes) -> bool:
        """Whether a shim that lives has written the file for another reason, before anybody has looked at it."""
        return self._kind(path) in WRITTEN_OVER and path.exists() and path.read_bytes() != damaged

    def _lacking(self, told: str, path: Path, change: Change, content: bytes, damaged: bytes) -> list[str]:
        problems = [] if str(path) in told else [f"nothing is said of {path} ({change})"]
        if self._kind(path) in RENEWED:
            aside = path.with_name(path.name + ".bad")
            if not path.exists() or path.read_bytes() == damaged:
                problems.append(f"{path} ({change}) is not made anew")
            if damaged and not (aside.exists() and aside.read_bytes() == damaged):
                problems.append(f"{path} ({change}) is not kept")
        return problems

    def _put_back(self, done: list[tuple[Path, Change, bytes, bytes]]) -> None:
        self._restore_root(withDatabase=False)
        for path, _, content, damaged in done:
            if str(path).startswith(str(self.node.state)):
                if not path.exists() or path.read_bytes() == damaged:
                    overwrite(path, content)
                for aside in path.parent.glob(path.name + ".bad*"):
                    aside.unlink()

    def _restore_root(self, withDatabase: bool) -> None:
        for path in self._all(self.node.root):
            if path not in self._kept and (withDatabase or path.name not in DATABASE):
                path.unlink()
        for path, content in self._kept.items():
            if path.name in DATABASE and not withDatabase:
                continue
            if not path.exists() or path.read_bytes() != content:
                path.parent.mkdir(parents=True, exist_ok=True)
                overwrite(path, content)

    # Database --------------------------------------------------------------------------------------------------------

    def _database(self, residents: Residents, deadline: float) -> None:
        name = "berth.db" if self._part == "database" else "berth.db-wal"
        target = self.node.root / name
        content = self._kept[target]
        pick = damages.of_database if self._part == "database" else damages.of_log
        changes = pick(content, self._choice)
        self._choice.shuffle(changes)
        self._total[name] = len(changes)
        before = contents.of(self._together(), self.node.place.scratch)
        if "error" in before:
            self.problems.append(f"the database is not whole before anything was done: {before['error']}")
            return
        for change in changes:
            if time.monotonic() > deadline or self._is_hopeless:
                break
            damaged = change.applied(content)
            overwrite(target, damaged)
            now = contents.of(self._together({name: damaged}), self.node.place.scratch)
            self._done[name] += 1
            problems = self._try(residents, lambda: residents.check() + self._untold(residents, before, now))
            self._note(f"{name} {change} ({contents.difference(before, now)})", problems)
            self._restore_root(withDatabase=True)

    def _together(self, instead: dict[str, bytes] | None = None) -> dict[str, bytes]:
        found = {}
        for name in ("berth.db", "berth.db-wal"):
            data = (instead or {}).get(name, self._kept.get(self.node.root / name))
            if data is not None:
                found[name.removeprefix("berth.db")] = data
        return found

    def _untold(self, residents: Residents, before: dict, now: dict) -> list[str]:
        if now == before:
            self._counts["without consequence, as the content is the same"] += 1
            return []
        if "error" not in now and contents.is_untold(before, now):
            self._counts["excused"] += 1
            return []
        deadline = time.monotonic() + PATIENCE
        while not residents.warnings():
            if time.monotonic() > deadline:
                return ["nothing is said of it"]
            time.sleep(0.05)
        self._counts["named"] += 1
        return []


def kind_of(path: Path) -> str:
    """Files that are written and read by the same code."""
    folder, name = path.parent.name, path.name
    if name in UNREAD or name in DATABASE:
        return name
    if re.fullmatch("[0-9a-f]{8,}", name):
        return f"{folder}/*"
    if folder == "seccomp":
        return "seccomp/*"
    if name.startswith("exit-"):
        return "exit"
    return name if re.fullmatch("[0-9a-f]{8,}", folder) else f"{folder}/{name}"


def is_excused(kind: str, change: Change, content: bytes, damaged: bytes) -> bool:
    """Whether nobody has to say anything."""
    if kind in UNREAD:
        return True
    if content.endswith(b"}\n") and damaged == content[:-1]:
        # The newline behind a document.
        return kind != "journal"
    return kind == LAYER and bool(change.bits)


def overwrite(path: Path, content: bytes) -> None:
    """In place, so that who has the file open has the same one."""
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.truncate(0)
        file.write(content)
