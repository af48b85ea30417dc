"""Readers that follow containers' logs on disk through their rotations, and check every byte.

A writer's record says its run and its number; what fills it follows from the number. So a byte that is lost, doubled,
moved or changed is seen, and the worker's book says how much there must be. Where the log says that it dropped output, as
on a full disk, exactly so many bytes must be missing at that place, and no others.
"""

from __future__ import annotations

import os
import re
import threading
from dataclasses import dataclass, field

from .ledger import Books
from .rotation import Limit, Watch

RECORD = 128
BLOCK = 4096
PREFIX = len("2026-01-02T03:04:05.123456789Z stdout ")


def fillings(record: int) -> list[bytes]:
    """What fills a record of a size, by its number modulo 26."""
    return [bytes([ord("a") + letter]) * (record - 21) for letter in range(26)]


HEAD = re.compile(rb"(\d{6})\.(\d{12}) ")
MARK = re.compile(rb"(\d+) bytes in \d+ records dropped")


@dataclass
class Account:
    """What came of one writer's output."""

    records: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0
    changed: int = 0
    # Bytes that the log says it dropped, as on a full disk, and that are missing at those places.
    dropped: int = 0
    # Bytes of each stretch that is missing and that no mark accounts for.
    losses: list[int] = field(default_factory=list)
    last: dict[int, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.reordered or self.changed)

    def lose(self, records: int, size: int, text: str) -> None:
        """Records that are missing although nobody has said so."""
        self.lost += records
        self.losses.append(records * size)
        self.say(text)

    def say(self, text: str) -> None:
        if len(self.problems) < 20:
            self.problems.append(text)

    def excused(self, kills: int, untold: int, memory: int) -> bool:
        """Whether what is wrong is no more than kills of the shim explain.

        Each takes along what only its memory had, at most `memory` bytes; `untold` of them also the count of what was dropped
        since the last mark, which may be one stretch of any length. Nothing is ever doubled or moved.
        """
        if self.doubled or self.reordered or self.changed > 2 * kills:
            return False
        rest = sorted(self.losses)[:max(0, len(self.losses) - untold)]
        return sum(rest) <= kills * memory


@dataclass
class _Gap:
    """Where the log says that output was dropped, until the first record behind it is known."""

    # The last byte before it, as run and offset; none at the beginning of what is left of a log.
    run: int
    start: int | None
    counted: int = 0
    # Bytes behind the mark that do not say where they belong.
    pending: int = 0


class Tail:
    """Follows one log. The container's shim may rotate it at any time; files are found again by their inode."""

    def __init__(self, path: str, books: Books, separator: bytes = b"\n", record: int = RECORD,
                 plain: bool = False, limit: Limit | None = None, begin: str | None = None) -> None:
        """`begin` is the file to begin with, when older ones are gone."""
        self.path = path
        # What its files may take, and what they were seen to take.
        self.watch = Watch(path, limit) if limit else None
        self.account = Account()
        self._books = books
        self._separator = separator
        self._record = record
        self._fillings = fillings(record)
        # Whether the file holds the output alone, as containerd's do.
        self._plain = plain
        self._file = open(begin or path, "rb")
        self._line = b""
        self._stream = b""
        self._run = 0
        self._gap: _Gap | None = _Gap(0, None) if begin else None
        self._began_late = begin is not None

    def advance(self) -> None:
        """Reads what has come since."""
        if self.watch:
            self.watch.look()
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
        self.account.lose(1, self._record, "the reader was overtaken by the rotation: this run shows nothing about lost bytes")
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
                elif tag == b"F:dropped" and (mark := MARK.match(text)):
                    self._take(b"".join(parts))
                    parts = []
                    self._dropped(int(mark[1]))
                else:
                    self.account.changed += 1
                    self.account.say(f"'{line[:60]!r}' is no record of a log")
            self._take(b"".join(parts))

    def _content(self, run: int, number: int) -> bytes:
        return b"%06d.%012d " % (run, number) + self._fillings[number % 26] + self._separator

    def _dropped(self, count: int) -> None:
        """Here the log says that so many bytes are missing."""
        run, last = max(self._run, 1), self.account.last.get(self._run, 0)
        if self._gap is None:
            self._gap = _Gap(run, last * self._record + len(self._stream))
            if not self._content(run, last + 1).startswith(self._stream):
                self.account.changed += 1
                self.account.say(f"before a mark: {self._stream[:40]!r} is no part of record {run}.{last + 1}")
        else:
            self._gap.pending += len(self._stream)
        self._stream = b""
        self._gap.counted += count

    def _resume(self, gap: _Gap) -> bool:
        """Whether the first record behind a gap has come; then what is missing is exactly what was counted."""
        found = HEAD.search(self._stream)
        if found is None:
            return False
        account, size, run, number = self.account, self._record, int(found[1]), int(found[2])
        before = self._stream[:found.start()]
        if before and not (number > 1 and self._content(run, number - 1).endswith(before)):
            account.changed += 1
            account.say(f"behind a mark: {before[:40]!r} is no end of record {run}.{number - 1}")
        if gap.start is not None:
            missing = self._place(run, (number - 1) * size, gap.run) - len(before) - gap.start - gap.pending
            self._compare(gap, missing, f"before record {run}.{number}")
            # Ends of runs that are in the gap were part of what is missing.
            for index, written in enumerate(self._books.written()[gap.run - 1:run - 1]):
                account.last[gap.run + index] = -(-written // size)
        self._gap, self._run, account.last[run] = None, run, number - 1
        self._stream = self._stream[found.start():]
        return True

    def _compare(self, gap: _Gap, missing: int, where: str) -> None:
        """Holds what is missing against what a mark says."""
        account, size = self.account, self._record
        if missing < 0:
            account.reordered += 1
            account.say(f"{where}, after a mark: it goes back by {-missing} bytes")
        elif missing > gap.counted:
            account.lose(-(-(missing - gap.counted) // size), size,
                         f"{where}: {missing} bytes are missing, and marks count {gap.counted}")
        elif missing < gap.counted:
            account.changed += 1
            account.say(f"{where}: marks count {gap.counted} bytes, and {missing} are missing")
        account.dropped += max(0, min(missing, gap.counted))

    def _place(self, run: int, offset: int, origin: int) -> int:
        """A place in the output, as seen from the beginning of run `origin`."""
        if run == origin:
            return offset
        written = self._books.written()
        return (offset + sum(written[origin - 1:run - 1])) if run > origin else (offset - sum(written[run - 1:origin - 1]))

    def _take(self, data: bytes) -> None:
        if self._gap:
            self._stream += data
            if not self._resume(self._gap):
                return
            data = b""
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
            account.lose(number - last - 1, self._record, f"run {run}: {number - last - 1} records are missing after {last}")
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
        if self._gap and self._gap.start is not None:
            self._finish_gap(self._gap)
        elif self._line or self._stream:
            self.account.changed += 1
            self.account.say(f"the log ends within a record: {(self._stream + self._line)[:60]!r}")
        for index, written in enumerate(self._books.written()):
            if self._began_late and index + 1 < min(self.account.last, default=1):
                continue
            got = self.account.last.get(index + 1, 0) * self._record
            if got < written:
                self.account.lose((written - got) // self._record, self._record,
                                  f"run {index + 1} wrote {written} bytes, and the log ends after {got}")
            elif got > written + BLOCK:
                self.account.changed += 1
                self.account.say(f"run {index + 1} wrote {written} bytes, and the log has {got}")
        return self.account

    def _finish_gap(self, gap: _Gap) -> None:
        """The log ends with a mark, or with too little behind it: what was written says what is missing."""
        written = (self._books.written() + [0] * gap.run)[gap.run - 1]
        missing = written - (gap.start or 0) - gap.pending - len(self._stream)
        # The book may be behind by what the writer's last call wrote.
        if not missing <= gap.counted <= missing + BLOCK:
            self._compare(gap, missing, "at the end")
        self.account.dropped += min(max(missing, 0), gap.counted)
        self.account.last[gap.run] = -(-written // self._record)

    def remains(self) -> Account:
        """After the end: what is left of the log is the end of the output in one piece; rotation removed the oldest only."""
        oldest = self.path
        while os.path.exists(following := f"{self.path}.{int(oldest[len(self.path) + 1:] or 0) + 1}"):
            oldest = following
        tail = Tail(self.path, self._books, self._separator, self._record, self._plain, begin=oldest)
        try:
            return tail.finish()
        finally:
            tail.close()

    def close(self) -> None:
        self._file.close()


class Follower:
    """Advances many tails in a thread of its own."""

    def __init__(self, pause: float = 0.1) -> None:
        self._tails: dict[str, Tail] = {}
        # Whose files may go.
        self._finished: set[str] = set()
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

    def watch(self, name: str) -> Watch | None:
        """What the files of a log were seen to take."""
        with self._lock:
            return self._tails[name].watch

    def finish(self, name: str) -> tuple[Account, Account]:
        """The account of a writer that has ended, and that of what rotation has left of its log."""
        with self._lock:
            tail = self._tails[name]
            self._finished.add(name)
            return tail.finish(), tail.remains()

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        for tail in self._tails.values():
            tail.close()

    def _run(self) -> None:
        while not self._over.wait(self._pause):
            with self._lock:
                for name, tail in self._tails.items():
                    if name not in self._finished:
                        tail.advance()
