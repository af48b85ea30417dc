"""An upgrade that did not take place is seen, and a build can be made to call itself another version."""

import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from harness.identity import Program, Seen, contradictions
from harness.place import REPOSITORY

MARK = b"berth: build's version:\0"


class IdentityTests(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.old, self.new = (self.program(name) for name in ("old", "new"))

    def program(self, name: str) -> Program:
        """Of equal content: only the file tells them apart."""
        (self.place / name).mkdir()
        file = Path(shutil.copy2("/bin/sleep", self.place / name))
        return Program(file, "1.0")

    def seen(self, program: Program, version: str | None = "1.0") -> Seen:
        process = subprocess.Popen([program.file, "60"])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return Seen.of("the manager", process.pid, version)

    def test_program_that_runs_is_accepted(self) -> None:
        self.assertEqual(contradictions(self.new, [self.seen(self.new), self.seen(self.new, None)]), [])

    def test_old_program_is_seen_also_when_it_is_equal(self) -> None:
        self.assertEqual(self.old.digest, self.new.digest)
        self.assertEqual(len(contradictions(self.new, [self.seen(self.old)])), 1)

    def test_program_that_calls_itself_another_version_is_seen(self) -> None:
        self.assertEqual(len(contradictions(self.new, [self.seen(self.new, "0.9")])), 1)

    def test_file_in_the_place_of_the_one_that_runs_is_another(self) -> None:
        seen = self.seen(self.new)
        other = shutil.copy2("/bin/sleep", self.place / "other")
        os.rename(other, self.new.file)
        self.assertEqual(len(contradictions(self.new, [seen])), 1)

    def test_process_that_has_gone_is_seen(self) -> None:
        self.assertEqual(len(contradictions(self.new, [Seen("the manager", None, "1.0")])), 1)


class StampTests(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.build, self.output = Path(place.name) / "build", Path(place.name) / "output"
        self.build.mkdir()
        for name in ("berthd", "berth", "berth-shim-native"):
            self.write(name, b"before" + MARK + b"0.1.0".ljust(40, b"\0") + b"behind")

    def write(self, name: str, content: bytes) -> None:
        (self.build / name).write_bytes(content)
        (self.build / name).chmod(0o755)

    def stamp(self, version: str = "2.0-rc1") -> int:
        done = subprocess.run([sys.executable, REPOSITORY / "tools" / "stamp", version, self.build, self.output], check=False,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return done.returncode

    def test_version_alone_changes(self) -> None:
        self.write("berth-init", b"says none")
        self.assertEqual(self.stamp(), 0)
        wanted = b"before" + MARK + b"2.0-rc1".ljust(40, b"\0") + b"behind"
        self.assertEqual((self.output / "berthd").read_bytes(), wanted)
        self.assertEqual((self.output / "berth-init").read_bytes(), b"says none")
        self.assertTrue(os.access(self.output / "berthd", os.X_OK))

    def refused(self, version: str = "2.0") -> None:
        self.assertEqual(self.stamp(version), 2)
        self.assertFalse(self.output.exists())

    def test_version_that_has_no_room_is_refused(self) -> None:
        self.refused("1" * 40)
        self.refused("1 0")

    def test_program_without_a_record_is_refused(self) -> None:
        self.write("berth", b"of before")
        self.refused()

    def test_two_records_are_refused(self) -> None:
        self.write("berth", (MARK + b"0.1.0".ljust(40, b"\0")) * 2)
        self.refused()


if __name__ == "__main__":
    unittest.main()
