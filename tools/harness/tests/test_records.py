"""Exit records on disk, held against what is known."""

import json
import os
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.invariants import Checker
from harness.ledger import Ending, Ledger, Made


class RecordTests(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.root = Path(place.name)
        self.folder = self.root / "containers" / "1"
        self.folder.mkdir(parents=True)
        self.ledger = Ledger(self.root)
        self.made = self.ledger.add(Made("one", "run", Ending(code=42), id="1"))
        self.checker = Checker.__new__(Checker)
        node: Any = SimpleNamespace(root=self.root)
        self.checker._node, self.checker._ledger = node, self.ledger

    def problems(self) -> list[str]:
        return self.checker._record(self.made, "1")

    def write(self, run: str, status: dict[str, Any], time: int = 0) -> None:
        path = self.folder / f"exit-{run}.json"
        path.write_text(json.dumps({"status": status}))
        os.utime(path, (time, time))

    def begin(self) -> None:
        self.ledger.books(self.made).file("starts").write_text("x")

    def test_true_record_is_accepted(self) -> None:
        self.write("a", {"code": 42})
        self.assertEqual(self.problems(), [])

    def test_other_code_is_a_problem(self) -> None:
        self.write("a", {"code": 0})
        self.assertEqual(len(self.problems()), 1)

    def test_newest_run_counts(self) -> None:
        self.write("a", {"code": 42}, time=2)
        self.write("b", {"code": 1}, time=1)
        self.assertEqual(self.problems(), [])

    def test_unreadable_record_is_a_problem(self) -> None:
        (self.folder / "exit-a.json").write_text("{")
        self.assertEqual(len(self.problems()), 1)

    def test_missing_record_of_what_has_run_is_a_problem(self) -> None:
        self.assertEqual(self.problems(), [])
        self.begin()
        self.assertEqual(len(self.problems()), 1)
