"""Whoever watches the files of a log sees every way in which rotation does not keep to its limits."""

import os
import tempfile
import unittest
from pathlib import Path

from harness.experiment import judge
from harness.logs import Account
from harness.rotation import Limit, Watch


class RotationTests(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = str(Path(self.folder.name) / "container.log")
        self.watch = Watch(self.path, Limit(1000, 3))

    def write(self, suffix: str, first: int, size: int = 1000) -> None:
        head = b"2026-01-02T03:04:05.123456789Z stdout F %06d.%012d " % (1, first)
        Path(self.path + suffix).write_bytes(head.ljust(size, b"x") if size else b"")

    def look(self) -> tuple[int, int]:
        self.watch.look()
        return len(self.watch.problems) + len(self.watch.too_large()), len(self.watch.gaps)

    def test_files_within_their_limits(self) -> None:
        self.write("", 21, size=300)
        self.write(".1", 11)
        self.write(".2", 1)
        self.assertEqual(self.look(), (0, 0), self.watch)
        self.assertEqual((self.watch.largest, self.watch.most), (1000, 3))

    def test_file_that_is_too_large(self) -> None:
        self.write("", 1, size=1001)
        self.assertEqual(self.look(), (1, 0))

    def test_line_without_end_may_be_longer(self) -> None:
        self.watch = Watch(self.path, Limit(1000, 3, excess=500))
        self.write("", 1, size=1500)
        self.assertEqual(self.look(), (0, 0))
        self.write("", 1, size=1501)
        self.assertEqual(self.look(), (1, 0))

    def test_as_many_files_are_excused_as_could_not_be_opened(self) -> None:
        self.write("", 11, size=1300)
        self.write(".1", 1, size=1200)
        self.look()
        self.assertEqual([len(self.watch.too_large(count, 400)) for count in (0, 1, 2)], [2, 1, 0])
        self.assertEqual(len(self.watch.too_large(2, 250)), 1)

    def test_file_too_many(self) -> None:
        for suffix, first in (("", 31), (".1", 21), (".2", 11), (".3", 1)):
            self.write(suffix, first)
        self.assertEqual(self.look(), (1, 0))

    def test_file_of_another_name(self) -> None:
        self.write("", 1)
        self.write(".new", 0, size=0)
        self.assertEqual(self.look(), (0, 0))
        self.write(".old", 1)
        self.assertEqual(self.look(), (1, 0))

    def test_younger_file_behind_an_older_one(self) -> None:
        self.write("", 21)
        self.write(".1", 1)
        self.write(".2", 11)
        self.assertEqual(self.look(), (1, 0))

    def test_file_that_goes_without_need(self) -> None:
        self.write("", 11)
        self.write(".1", 1)
        self.look()
        os.unlink(self.path + ".1")
        self.assertEqual(self.look(), (0, 1))

    def test_files_on_the_move_are_not_counted(self) -> None:
        self.write("", 21)
        self.write(".1", 11)
        self.write(".2", 1)
        self.look()
        os.rename(self.path + ".1", self.path + ".2")
        self.write(".new", 0, size=0)
        self.assertEqual(self.look(), (0, 0))

    def test_rotation_between_two_looks_at_names_is_no_gap(self) -> None:
        for suffix, first in (("", 21), (".1", 11), (".2", 1)):
            self.write(suffix, first)
        self.look()
        seen = self.watch._file

        def rotates(name: str):
            # While the first file is opened, everything moves: what had the name is seen nowhere.
            self.watch._file = seen  # type: ignore[method-assign]
            os.rename(self.path + ".1", self.path + ".2")
            found = seen(os.path.basename(self.path) + ".1")
            os.rename(self.path, self.path + ".1")
            self.write("", 31)
            return found

        self.watch._file = rotates  # type: ignore[method-assign]
        self.assertEqual(self.look(), (0, 0), self.watch)

    def test_experiment_judges_all_of_it(self) -> None:
        self.write("", 1, size=1001)
        self.look()
        lost, dropped = Account(), Account(dropped=5)
        lost.lose(1, 128, "a record is missing")
        found = judge([Account(), lost, dropped], [self.watch], written=4000)
        self.assertEqual(len(found), 4, found)


if __name__ == "__main__":
    unittest.main()
