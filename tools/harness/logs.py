"""Readers that follow containers' logs on disk through their rotations, and check every byte.

A writer's record says its run and its number; what fills it follows from the number. So a byte that is lost, doubled,
moved or changed is seen, and the worker's book says how much there must be.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field
from pathlib import Path

from .ledger import Books

RECORD = 128
BLOCK = 4096
PREFIX = len("2026-01-02T03:04:05.123456789Z stdout ")


def fillings(record: int) -> list[bytes]:
    """What fills a record of a size, by its number modulo 26."""
    return [bytes([ord("a") + letter]) * (record - 21) for letter in range(26)]


HEAD = re.compile(rb"(\d{6})\.(\d{12}) ")


@dataclass
class Account:
    """What came of one writer's output."""

    records: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    changed: int = 0
    # Output that the log says it dropped, as on a full disk.
    dropped_marks: int = 0
    last: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.reordered or self.changed)

    def say(self, text: str) -> None:
        if len(self.problems) < 20:
            self.problems.append(text)


class Tail:
    """Follows one log. The container's shim may rotate it at any time; files are found again by their inode."""

    def __init__(self, path: str, books: Books, separator: bytes = b"\n", record: int = RECORD,
                 plain: bool = False) -> None:
        self.path = path
        self.account = Account()
        self._books = books
        self._separator = separator
        self._record = record
        self._fillings = fillings(record)
        # Whether the file holds the output alone, as containerd's do.
        self._plain = plain
        self._file = open(path, "rb")
        self._line = b""
        self._stream = b""
        self._run = 0

    def advance(self) -> None:
        """Reads what has come since."""
        while True:
            # Looked at first: what is written after a rotation is in the next file.
            following = self._successor()
            self._read()
            if following is None:
                return
            if self._line:
                self.account.say(f"the record '{self._line[:60]!r}' is torn at the end of a file")
                self._line = b""
            self._file.close()
            self._file = following

    def _successor(self):
        """The next file, when the one being read is not the youngest any more."""
        own = os.fstat(self._file.fileno()).st_ino
        for _ in range(200):
            try:
                if os.stat(self.path).st_ino == own:
                    return None
            except FileNotFoundError:
                pass
            number = 1
            while True:
                try:
                    if os.stat(f"{self.path}.{number}").st_ino == own:
                        break
                except FileNotFoundError:
                    if number > 64:
                        number = 0
                        break
                number += 1
            if number:
                try:
                    younger = open(self.path if number == 1 else f"{self.path}.{number - 1}", "rb")
                except FileNotFoundError:
                    continue
                # A rotation between the two looks moves names; only a file that is not ours can follow ours.
                if os.fstat(younger.fileno()).st_ino != own and self._follows(younger, number):
                    return younger
                younger.close()
        if not os.path.exists(self.path):
            return None
        self.account.say("the reader was overtaken by the rotation: this run shows nothing about lost bytes")
        self.account.lost += 1
        return open(self.path, "rb")

    def _follows(self, younger, number: int) -> bool:
        """Whether our file still has the number that it had when the younger one was opened."""
        try:
            return os.stat(f"{self.path}.{number}").st_ino == os.fstat(self._file.fileno()).st_ino
        except FileNotFoundError:
            return False

    def _read(self) -> None:
        while data := self._file.read(1 << 20):
            if self._plain:
                self._take(data)
                continue
            lines = (self._line + data).split(b"\n")
            self._line = lines.pop()
            parts = []
            for line in lines:
                tag, _, text = line[PREFIX:].partition(b" ")
                if tag == b"F":
                    parts.append(text + b"\n")
                elif tag == b"P":
                    parts.append(text)
                elif tag.startswith(b"F:dropped"):
                    self.account.dropped_marks += 1
                else:
                    self.account.changed += 1
                    self.account.say(f"'{line[:60]!r}' is no record of a log")
            self._take(b"".join(parts))

    def _take(self, data: bytes) -> None:
        stream, size, fillings = self._stream + data, self._record, self._fillings
        at, end = 0, len(stream) - size
        account, run, last = self.account, self._run, self.account.last.get(self._run, 0)
        while at <= end:
            number = last + 1
            expected = b"%06d.%012d " % (run, number) + fillings[number % 26] + self._separator
            if stream.startswith(expected, at):
                last = number
                account.records += 1
                at += size
                continue
            account.last[run] = last
            self._run = run
            at, run = self._surprise(stream, at)
            last = account.last.get(run, 0)
        account.last[run] = last
        self._run = run
        self._stream = stream[at:]

    def _surprise(self, stream: bytes, at: int) -> tuple[int, int]:
        """Something else than the next record: a new run, or a fault. Returns where to go on, and in which run."""
        account = self.account
        found = HEAD.search(stream, at)
        if found is None:
            account.changed += 1
            account.say(f"{len(stream) - at} bytes that are no record: {stream[at:at + 40]!r}")
            # The end may be the beginning of a head.
            return max(at + 1, len(stream) - 19), self._run
        if found.start() != at:
            account.changed += 1
            account.say(f"{found.start() - at} bytes between records: {stream[at:at + 40]!r}")
        at = found.start()
        if at + self._record > len(stream):
            # Not whole yet; with the rest of it this is looked at again.
            return at, self._run
        run, number = int(found[1]), int(found[2])
        whole = stream[at:at + self._record]
        if whole[20:] != self._fillings[number % 26] + self._separator:
            account.changed += 1
            account.say(f"record {run}.{number} has other content: {whole[:40]!r}")
            return at + 20, self._run
        last = account.last.get(run, 0)
        if number > last + 1:
            account.lost += number - last - 1
            account.say(f"run {run}: {number - last - 1} records are missing after {last}")
        elif number <= last:
            account.doubled += number == last
            account.reordered += number != last
            account.say(f"run {run}: record {number} comes after {last}")
        if run < self._run:
            account.reordered += 1
            account.say(f"run {run} comes after run {self._run}")
        account.records += 1
        account.last[run] = number
        return at + self._record, run

    def finish(self) -> Account:
        """After the writer's end: also the ends are looked at."""
        self.advance()
        if self._line or self._stream:
            self.account.changed += 1
            self.account.say(f"the log ends within a record: {(self._stream + self._line)[:60]!r}")
        for index, written in enumerate(self._books.written()):
            got = self.account.last.get(index + 1, 0) * self._record
            if got < written:
                self.account.lost += (written - got) // self._record
                self.account.say(f"run {index + 1} wrote {written} bytes, and the log ends after {got}")
            elif got > written + BLOCK:
                self.account.changed += 1
                self.account.say(f"run {index + 1} wrote {written} bytes, and the log has {got}")
        return self.account

    def close(self) -> None:
        self._file.close()



class Follower:
    """Advances many tails in a thread of its own."""

    def __init__(self, pause: float = 0.1) -> None:
        self._tails: dict[str, Tail] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._pause = pause
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def follow(self, name: str, tail: Tail) -> None:
        with self._lock:
            self._tails[name] = tail

    def accounts(self) -> dict[str, Account]:
        with self._lock:
            for tail in self._tails.values():
                tail.advance()
            return {name: tail.account for name, tail in self._tails.items()}

    def finish(self, name: str) -> Account:
        """The account of a writer that has ended."""
        with self._lock:
            return self._tails[name].finish()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for tail in self._tails.values():
            tail.close()

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            with self._lock:
                for tail in self._tails.values():
                    tail.advance()


def sizes(path: str) -> list[int]:
    """Sizes of a log's files."""
    folder, name = Path(path).parent, Path(path).name
    found = []
    for each in folder.glob(name + "*"):
        try:
            found.append(each.stat().st_size)
        except FileNotFoundError:
            continue
    return found
