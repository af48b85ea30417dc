"""What the files of a rotated log may be, and what they were seen to be while it was written."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field

# A record of a writer, and where in a file the first one is looked for.
HEAD = re.compile(rb"(\d{6})\.(\d{12}) ")
BEGINNING = 512


@dataclass(frozen=True)
class Limit:
    """What a log was told to keep to."""

    size: int
    files: int
    # By how much a line that does not end may exceed the size.
    excess: int = 0


@dataclass
class _File:
    name: str
    number: int
    inode: int
    size: int
    first: tuple[int, int] | None


@dataclass
class Watch:
    """Looks at the files of one log, again and again."""

    path: str
    limit: Limit
    largest: int = 0
    most: int = 0
    looks: int = 0
    problems: list[str] = field(default_factory=list)
    # Files that were larger than they may be, with their largest size.
    oversized: dict[int, tuple[int, str]] = field(default_factory=dict)
    # Files that were there and are missing although there is room for them; a shim that was killed in the middle of a
    # rotation leaves such a gap in the numbers.
    gaps: list[str] = field(default_factory=list)

    def look(self) -> None:
        """One look. Sizes and names always hold; the order is that of a moment at which no rotation was under way."""
        self.looks += 1
        for _ in range(5):
            names = self._names()
            files = [file for name in names if (file := self._file(name))]
            files.sort(key=lambda file: file.number)
            self._judge_sizes(files)
            if self._is_still(names, files):
                # A new file that has no name yet: the others are being moved, and one number may be free.
                moves = any(file.number < 0 for file in files)
                self._judge_order([file for file in files if file.number >= 0], moves)
                return

    def too_large(self, excused: int = 0, by: int = 0) -> list[str]:
        """Files that exceed their limit; `excused` of them may do so by `by` bytes."""
        limit = self.limit.size + self.limit.excess
        found = sorted(self.oversized.values(), reverse=True)
        beyond = [file for file in found if file[0] > limit + by]
        return [f"{name} had {size} bytes, and may have {limit}" for size, name in beyond + found[len(beyond) + excused:]]

    def _names(self) -> set[str]:
        folder, name = os.path.split(self.path)
        return {entry for entry in os.listdir(folder) if entry == name or entry.startswith(name + ".")}

    def _file(self, entry: str) -> _File | None:
        folder, name = os.path.split(self.path)
        suffix = entry[len(name) + 1:]
        number = 0 if entry == name else int(suffix) if suffix.isdigit() else -1
        try:
            with open(os.path.join(folder, entry), "rb") as file:
                head = HEAD.search(file.read(BEGINNING))
                status = os.fstat(file.fileno())
        except FileNotFoundError:
            return None
        return _File(entry, number, status.st_ino, status.st_size, (int(head[1]), int(head[2])) if head else None)

    def _is_still(self, names: set[str], files: list[_File]) -> bool:
        """Whether there are still the same names of the same files, the one that is written among them."""
        folder = os.path.dirname(self.path)
        # One that was moved meanwhile may have been seen nowhere.
        if {file.name for file in files} != names or self._names() != names:
            return False
        try:
            same = all(os.stat(os.path.join(folder, file.name)).st_ino == file.inode for file in files)
        except FileNotFoundError:
            return False
        return same and any(file.number == 0 for file in files)

    def _judge_sizes(self, files: list[_File]) -> None:
        for file in files:
            self.largest = max(self.largest, file.size)
            if file.size > self.limit.size + self.limit.excess:
                self.oversized[file.inode] = max(self.oversized.get(file.inode, (0, "")), (file.size, file.name))
            if file.number >= self.limit.files:
                self._say(f"{file.name} is one more than {self.limit.files} files")
            if file.number < 0 and (not file.name.endswith(".new") or file.size):
                self._say(f"{file.name} ({file.size} bytes) is no file of a log")

    def _judge_order(self, files: list[_File], moves: bool) -> None:
        count = len(files)
        if not moves and count < self.most and len(self.gaps) < 20:
            self.gaps.append(f"{count} files are left of {self.most}: {', '.join(file.name for file in files)}")
        self.most = max(self.most, count)
        known = [file for file in files if file.first]
        for younger, older in zip(known, known[1:]):
            if younger.first and older.first and younger.first <= older.first:
                self._say(f"{younger.name} begins with record {younger.first}, and the older {older.name} with {older.first}")

    def _say(self, text: str) -> None:
        if len(self.problems) < 20 and text not in self.problems:
            self.problems.append(text)
