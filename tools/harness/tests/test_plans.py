"""A seed says everything, a log says it again, and mistakes of the user are named."""

import itertools
import tempfile
import unittest
from pathlib import Path

from harness import builds, faults
from harness.place import Trouble
from harness.runs import Plan


class PlanTests(unittest.TestCase):
    def test_seed_decides_everything(self) -> None:
        def planned(seed: str) -> list[faults.Fault]:
            return list(itertools.islice(faults.plan(seed, list(faults.KINDS), 1.0), 200))

        self.assertEqual(planned("1"), planned("1"))
        self.assertNotEqual(planned("1"), planned("2"))
        self.assertEqual({fault.kind for fault in planned("1")}, set(faults.KINDS))
        self.assertEqual([Plan.of("1", index) for index in range(50)], [Plan.of("1", index) for index in range(50)])

    def test_some_are_frozen_for_longer_than_anybody_believes_in_them(self) -> None:
        planned = list(itertools.islice(faults.plan("1", list(faults.KINDS), 1.0), 1000))
        for kind in ("shim-freeze", "manager-freeze"):
            times = [fault.seconds for fault in planned if fault.kind == kind]
            self.assertTrue(all(2 <= seconds <= 20 for seconds in times))
            self.assertGreater(max(times), 15)
        self.assertLessEqual(max(fault.seconds for fault in planned if fault.kind == "shim-stop"), 2)

    def test_log_gives_the_faults_back(self) -> None:
        done = list(itertools.islice(faults.plan("7", ["shim-kill"], 1.0), 5))
        done[2].target = "run-3"
        self.assertEqual(faults.recorded(faults.log_lines({"seed": 7}, done)), done)

    def test_unknown_kind_is_named(self) -> None:
        with self.assertRaisesRegex(Trouble, "meteor"):
            faults.choose("manager-kill,meteor")


class BuildTests(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)

    def refuse(self, source: Path, expected: str) -> None:
        with self.assertRaisesRegex(Trouble, expected):
            builds.take(str(source), "x", self.path / "into")

    def test_missing_directory_is_named(self) -> None:
        self.refuse(self.path / "nothing", "does not exist")

    def test_file_is_no_build(self) -> None:
        (self.path / "file").write_text("")
        self.refuse(self.path / "file", "is a file")

    def test_missing_program_is_named(self) -> None:
        for name in ("berthd", "berth"):
            (self.path / name).write_text("#!/bin/sh\n")
            (self.path / name).chmod(0o755)
        self.refuse(self.path, "no executable berth-shim-native")

    def test_program_that_cannot_run_is_named(self) -> None:
        for name in builds.NEEDED:
            (self.path / name).write_text("#!/bin/sh\nexit 3\n")
            (self.path / name).chmod(0o755)
        self.refuse(self.path, "--version ended with 3")

    def test_build_is_copied(self) -> None:
        for name in builds.NEEDED:
            (self.path / name).write_text("#!/bin/sh\necho 1.2.3\n")
            (self.path / name).chmod(0o755)
        build = builds.take(str(self.path), "x", self.path / "into")
        self.assertEqual(build.version, "1.2.3")
        self.assertTrue(build.shim.exists())


if __name__ == "__main__":
    unittest.main()
