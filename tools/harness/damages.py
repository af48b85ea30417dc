"""Changes of files: where a byte becomes another one, and where a file ends too early."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """One byte made another one, or, without `bits`, everything from a place on cut off."""

    place: int
    bits: int = 0

    def applied(self, content: bytes) -> bytes:
        if not self.bits:
            return content[:self.place]
        changed = bytearray(content)
        changed[self.place] ^= self.bits
        return bytes(changed)

    def fits(self, size: int) -> bool:
        """Whether it makes a file of this size another one."""
        return self.place < size

    def __str__(self) -> str:
        return f"byte {self.place} ^ {self.bits:#04x}" if self.bits else f"cut to {self.place}"


def everywhere(size: int, choice: random.Random) -> list[Change]:
    """Each byte, and each length."""
    return [change for place in range(size) for change in (_flip(place, choice), Change(place))]


def spread(size: int, count: int, choice: random.Random) -> list[Change]:
    """The first and the last byte, the empty file, and `count` places between, half of them flips."""
    if not size:
        return []
    places = [choice.randrange(size) for _ in range(count)]
    between = [_flip(place, choice) if index % 2 else Change(place) for index, place in enumerate(places)]
    return _distinct([_flip(0, choice), _flip(size - 1, choice), Change(0), Change(size - 1), *between])


def of_database(content: bytes, choice: random.Random, each: int = 8) -> list[Change]:
    """What SQLite's file format stands on: headers, cell pointers and the beginnings of cells of each page, and `each` bytes anywhere."""
    size = int.from_bytes(content[16:18], "big") or 65536
    size = 65536 if size == 1 else size
    places = set(range(100))
    cuts: set[int] = set()
    for begin in range(0, len(content), size):
        page = content[begin:begin + size]
        places |= {begin + place for place in _of_page(page, 100 if begin == 0 else 0)}
        places |= {begin + choice.randrange(len(page)) for _ in range(each)}
        cuts |= {begin, begin + len(page) // 2, begin + choice.randrange(len(page))}
    # The texts of the schema: a name that has changed there is that of another table or column.
    places |= set(range(_cells(content[:size], 100), min(size, len(content)), 3))
    return [_flip(place, choice) for place in sorted(places) if place < len(content)] + [Change(cut) for cut in sorted(cuts)]


def of_log(content: bytes, choice: random.Random, each: int = 3) -> list[Change]:
    """The header, each frame's header and `each` bytes of its page, and cuts at and within frames."""
    if len(content) < 32:
        return everywhere(len(content), choice)
    size = int.from_bytes(content[8:12], "big") or 4096
    places, cuts = set(range(32)), {0, 16, 32}
    for begin in range(32, len(content), 24 + size):
        # Page number, size after the commit, the two salts and the two sums.
        places |= {begin + field * 4 + choice.randrange(4) for field in range(6)}
        places |= {begin + 24 + choice.randrange(size) for _ in range(each)}
        cuts |= {begin, begin + 12, begin + 24 + size // 2}
    return [_flip(place, choice) for place in sorted(places) if place < len(content)] + \
        [Change(cut) for cut in sorted(cuts) if cut < len(content)]


def _of_page(page: bytes, header: int) -> set[int]:
    """The places of a page by which the others are found; of one that is no node of a tree, its beginning."""
    kind = page[header] if len(page) > header else 0
    if kind not in (2, 5, 10, 13):
        return set(range(header, min(header + 16, len(page))))
    begin = header + (12 if kind in (2, 5) else 8)
    count = int.from_bytes(page[header + 3:header + 5], "big")
    places = set(range(header, begin + 2 * count))
    for index in range(count):
        cell = int.from_bytes(page[begin + 2 * index:begin + 2 * index + 2], "big")
        # Lengths, row number or child, and the types of the columns.
        places |= set(range(cell, cell + 12))
    return {place for place in places if place < len(page)}


def _cells(page: bytes, header: int) -> int:
    """Where the content of a page begins."""
    return int.from_bytes(page[header + 5:header + 7], "big") or len(page)


def _flip(place: int, choice: random.Random) -> Change:
    return Change(place, choice.choice((0x01, 0x80, 0xFF, 0x20, choice.randrange(1, 256))))


def _distinct(changes: Iterable[Change]) -> list[Change]:
    return list(dict.fromkeys(changes))
