"""Where files are damaged, and what counts as the same content."""

import random
import shutil
import sqlite3
import tempfile
import unittest
from pathlib import Path

from harness import contents, damages
from harness.damages import Change


class Case(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)


class Changes(Case):
    def test_every_change_is_another_file(self) -> None:
        content = bytes(range(40))
        changes = damages.everywhere(len(content), random.Random(1))
        self.assertEqual(len(changes), 80)
        self.assertEqual({change.place for change in changes if change.bits}, set(range(40)))
        self.assertEqual({len(change.applied(content)) for change in changes if not change.bits}, set(range(40)))
        for change in changes:
            self.assertTrue(change.fits(len(content)))
            self.assertNotEqual(change.applied(content), content)

    def test_a_seed_gives_the_same_places(self) -> None:
        content = _database(self.folder)
        self.assertEqual(damages.of_database(content, random.Random(7)), damages.of_database(content, random.Random(7)))

    def test_every_page_of_a_database_has_its_headers_and_cuts(self) -> None:
        content = _database(self.folder)
        changes = damages.of_database(content, random.Random(7))
        flipped = {change.place for change in changes if change.bits}
        cuts = {change.place for change in changes if not change.bits}
        self.assertTrue(set(range(108)) <= flipped)
        for begin in range(0, len(content), 4096):
            self.assertIn(begin, flipped)
            self.assertIn(begin, cuts)
        self.assertTrue(all(change.fits(len(content)) for change in changes))


class Contents(Case):
    def setUp(self) -> None:
        super().setUp()
        self.whole = _database(self.folder)
        self.before = contents.of({"": self.whole}, self.folder)

    def test_the_same_is_the_same(self) -> None:
        self.assertNotIn("error", self.before)
        self.assertEqual(contents.of({"": self.whole}, self.folder), self.before)

    def test_a_changed_row_is_another_content(self) -> None:
        place = self.whole.index(b"row 3 ")
        now = contents.of({"": Change(place, 1).applied(self.whole)}, self.folder)
        self.assertNotEqual(now, self.before)
        self.assertFalse(contents.is_untold(self.before, now))
        self.assertIn("row 3", contents.difference(self.before, now))

    def test_the_number_of_an_event_is_untold(self) -> None:
        connection = sqlite3.connect(self.folder / "made.db")
        connection.execute("UPDATE events SET sequence = 1000 WHERE sequence = 100")
        connection.commit()
        connection.close()
        now = contents.of({"": (self.folder / "made.db").read_bytes()}, self.folder)
        self.assertNotEqual(now, self.before)
        self.assertTrue(contents.is_untold(self.before, now))

    def test_a_changed_name_of_a_table_is_told(self) -> None:
        now = {name: rows for name, rows in self.before.items() if name != "meta"}
        now["schema"] = [(kind, name.replace(b"meta", b"metb"), table, sql) for kind, name, table, sql in self.before["schema"]]
        self.assertFalse(contents.is_untold(self.before, now))

    def test_half_a_database_is_an_error(self) -> None:
        self.assertIn("error", contents.of({"": self.whole[:len(self.whole) // 2]}, self.folder))


def _database(folder: Path) -> bytes:
    connection = sqlite3.connect(folder / "made.db")
    connection.execute("PRAGMA page_size = 4096")
    connection.execute("CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT)")
    connection.execute("CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL) WITHOUT ROWID")
    connection.execute("INSERT INTO meta VALUES ('schema', '4')")
    connection.executemany("INSERT INTO events (text) VALUES (?)", [(f"row {number} " + "x" * 300,) for number in range(100)])
    connection.commit()
    connection.close()
    return (folder / "made.db").read_bytes()


if __name__ == "__main__":
    unittest.main()
