"""The reader of logs sees every fault of a byte, and none where there is none."""

import os
import shutil
import struct
import tempfile
import threading
import unittest
from pathlib import Path

from harness.ledger import Books
from harness.logs import RECORD, Follower, Tail, fillings
from harness.rotation import Limit

FILLINGS = fillings(RECORD)


def record(run: int, number: int, separator: bytes = b"\n") -> bytes:
    return b"%06d.%012d " % (run, number) + FILLINGS[number % 26] + separator


def line(text: bytes, tag: bytes = b"F") -> bytes:
    return b"2026-01-02T03:04:05.123456789Z stdout " + tag + b" " + text + b"\n"


class LogTests(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.path = str(Path(self.folder.name) / "container.log")
        self.addCleanup(self.folder.cleanup)
        Path(self.path).write_bytes(b"")

    def tail(self, separator: bytes = b"\n") -> Tail:
        tail = Tail(self.path, Books(Path(self.folder.name), "one"), separator)
        self.addCleanup(tail.close)
        return tail

    def book(self, *written: int) -> None:
        data = struct.pack(f"<{len(written) + 1}Q", len(written), *written)
        (Path(self.folder.name) / "one.book").write_bytes(data)

    def append(self, data: bytes) -> None:
        with open(self.path, "ab") as file:
            file.write(data)

    def account(self, *numbers: tuple[int, int]):
        self.append(b"".join(line(record(*each)[:-1]) for each in numbers))
        return self.tail().finish()

    def test_follower_goes_on_when_a_log_that_is_finished_goes(self) -> None:
        class Other:
            def __init__(self) -> None:
                self.seen = threading.Event()

            def advance(self) -> None:
                self.seen.set()

            def close(self) -> None:
                pass

        self.book()
        folder = Path(self.folder.name) / "container"
        folder.mkdir()
        path = shutil.copy(self.path, folder)
        follower, other = Follower(0.001), Other()
        self.addCleanup(follower.close)
        follower.follow("one", Tail(path, Books(Path(self.folder.name), "one"), limit=Limit(1000, 3)))
        follower.finish("one")
        shutil.rmtree(folder)
        follower.follow("two", other)
        self.assertTrue(other.seen.wait(10))

    def test_whole_log_is_clean(self) -> None:
        self.book(3 * 128, 2 * 128)
        account = self.account((1, 1), (1, 2), (1, 3), (2, 1), (2, 2))
        self.assertTrue(account.clean)
        self.assertEqual(account.records, 5)

    def test_missing_record_is_lost(self) -> None:
        self.assertEqual(self.account((1, 1), (1, 3)).lost, 1)

    def test_record_at_the_end_is_missed(self) -> None:
        self.book(3 * 128)
        self.assertEqual(self.account((1, 1), (1, 2)).lost, 1)

    def test_first_record_is_missed(self) -> None:
        self.assertEqual(self.account((1, 2), (1, 3)).lost, 1)

    def test_record_that_comes_twice_is_doubled(self) -> None:
        self.assertEqual(self.account((1, 1), (1, 1), (1, 2)).doubled, 1)

    def test_earlier_record_is_reordered(self) -> None:
        self.assertEqual(self.account((1, 1), (1, 2), (1, 3), (1, 1)).reordered, 1)

    def test_earlier_run_is_reordered(self) -> None:
        self.assertGreater(self.account((1, 1), (2, 1), (1, 2)).reordered, 0)

    def test_more_than_was_written_is_noticed(self) -> None:
        self.book(128)
        self.assertFalse(self.account(*((1, number) for number in range(1, 40))).clean)

    def test_changed_byte_is_seen(self) -> None:
        damaged = bytearray(record(1, 2)[:-1])
        damaged[60] ^= 1
        self.append(line(record(1, 1)[:-1]) + line(bytes(damaged)) + line(record(1, 3)[:-1]))
        self.assertFalse(self.tail().finish().clean)

    def test_torn_end_is_seen(self) -> None:
        self.append(line(record(1, 1)[:-1]) + line(record(1, 2)[:-1])[:70])
        self.assertFalse(self.tail().finish().clean)

    def test_parts_of_a_line_are_joined(self) -> None:
        stream = b"".join(record(1, number, b",") for number in range(1, 300))
        for start in range(0, len(stream), 1000):
            self.append(line(stream[start:start + 1000], b"P"))
        account = self.tail(b",").finish()
        self.assertTrue(account.clean, account.problems)
        self.assertEqual(account.records, 299)

    # What the log says it dropped

    def mark(self, count: int) -> None:
        self.append(line(b"%d bytes in 1 records dropped: no space left on device" % count, b"F:dropped").replace(b"stdout", b"stderr"))

    def lines(self, *numbers: int, run: int = 1) -> None:
        self.append(b"".join(line(record(run, number)[:-1]) for number in numbers))

    def test_what_a_mark_counts_is_missing(self) -> None:
        self.book(9 * 128)
        self.lines(1, 2)
        self.mark(3 * 128)
        self.lines(6, 7)
        self.mark(128)
        self.lines(9)
        account = self.tail().finish()
        self.assertTrue(account.clean, account.problems)
        self.assertEqual(account.dropped, 4 * 128)

    def test_mark_excuses_no_other_place(self) -> None:
        self.lines(1, 2)
        self.mark(128)
        self.lines(4, 6)
        account = self.tail().finish()
        self.assertEqual((account.lost, account.losses), (1, [128]))
        self.assertFalse(account.excused(0, 0, 1 << 16))

    def test_more_is_missing_than_a_mark_counts(self) -> None:
        self.lines(1, 2)
        self.mark(128)
        self.lines(5)
        self.assertEqual(self.tail().finish().lost, 1)

    def test_less_is_missing_than_a_mark_counts(self) -> None:
        self.lines(1, 2)
        self.mark(2 * 128)
        self.lines(4)
        self.assertFalse(self.tail().finish().clean)

    def test_mark_excuses_no_doubling(self) -> None:
        self.lines(1, 2)
        self.mark(128)
        self.lines(4, 4, 5)
        account = self.tail().finish()
        self.assertEqual(account.doubled, 1)
        self.assertFalse(account.excused(1, 1, 1 << 16))

    def test_mark_excuses_no_way_back(self) -> None:
        self.lines(1, 2, 3)
        self.mark(128)
        self.lines(2, 3, 4)
        account = self.tail().finish()
        self.assertGreater(account.reordered, 0)
        self.assertFalse(account.excused(1, 1, 1 << 16))

    def test_mark_within_a_record_of_a_line_without_end(self) -> None:
        stream = b"".join(record(1, number, b",") for number in range(1, 40))
        self.append(line(stream[:1000], b"P"))
        self.mark(700)
        self.append(line(stream[1700:2100], b"P"))
        # What lies between two marks may not say where it belongs.
        self.mark(100)
        self.append(line(stream[2200:2220], b"P"))
        self.mark(1000)
        self.append(line(stream[3220:], b"P"))
        account = self.tail(b",").finish()
        self.assertTrue(account.clean, account.problems)
        self.assertEqual(account.dropped, 1800)

    def test_mark_at_the_end(self) -> None:
        for count, clean in ((2 * 128, True), (128, False)):
            Path(self.path).write_bytes(b"")
            self.book(4 * 128)
            self.lines(1, 2)
            self.mark(count)
            self.assertEqual(self.tail().finish().clean, clean, count)

    def test_mark_between_two_runs(self) -> None:
        self.book(3 * 128, 3 * 128)
        self.lines(1)
        self.mark(3 * 128)
        self.lines(2, 3, run=2)
        account = self.tail().finish()
        self.assertTrue(account.clean, account.problems)

    def test_kill_excuses_what_memory_had_and_no_more(self) -> None:
        account = self.account((1, 1), (1, 20))
        self.assertTrue(account.excused(1, 0, 18 * 128))
        self.assertFalse(account.excused(1, 0, 17 * 128))
        self.assertTrue(account.excused(1, 1, 0))

    def test_rotations_are_followed(self) -> None:
        tail = self.tail()
        number = 0
        for _ in range(5):
            for _ in range(7):
                number += 1
                self.append(line(record(1, number)[:-1]))
            tail.advance()
            self.rotate()
        self.append(line(record(1, number + 1)[:-1]))
        account = tail.finish()
        self.assertTrue(account.clean, account.problems)
        self.assertEqual(account.records, number + 1)

    def test_two_rotations_between_two_looks_are_followed(self) -> None:
        tail = self.tail()
        self.append(line(record(1, 1)[:-1]))
        tail.advance()
        for number in (2, 3):
            self.append(line(record(1, number)[:-1]))
            self.rotate()
        self.append(line(record(1, 4)[:-1]))
        account = tail.finish()
        self.assertTrue(account.clean, account.problems)
        self.assertEqual(account.records, 4)

    def test_what_rotation_leaves_is_in_one_piece(self) -> None:
        for number in range(1, 12):
            self.lines(number)
            self.rotate(keep=4)
        self.lines(12)
        self.book(12 * 128)
        tail = self.tail()
        self.assertTrue(tail.remains().clean, tail.remains().problems)
        os.unlink(f"{self.path}.2")
        os.rename(f"{self.path}.3", f"{self.path}.2")
        self.assertEqual(tail.remains().lost, 1)

    def test_end_that_is_missing_is_no_remains(self) -> None:
        self.lines(1)
        self.rotate()
        self.lines(2)
        self.book(3 * 128)
        self.assertEqual(self.tail().remains().lost, 1)

    def test_reader_that_is_overtaken_says_so(self) -> None:
        tail = self.tail()
        for number in range(1, 6):
            self.append(line(record(1, number)[:-1]))
            self.rotate(keep=2)
        self.assertGreater(tail.finish().lost, 0)

    def rotate(self, keep: int = 9) -> None:
        for number in range(keep - 1, 0, -1):
            if os.path.exists(f"{self.path}.{number}"):
                if number + 1 >= keep:
                    os.unlink(f"{self.path}.{number}")
                else:
                    os.rename(f"{self.path}.{number}", f"{self.path}.{number + 1}")
        os.rename(self.path, f"{self.path}.1")
        Path(self.path).write_bytes(b"")


if __name__ == "__main__":
    unittest.main()
