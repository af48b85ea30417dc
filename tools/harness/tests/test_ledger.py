"""Judgements about exit codes and stories of events."""

import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from harness.invariants import Checker
from harness.ledger import KILLED, Ending, Ledger, Made


class JudgementTests(unittest.TestCase):
    def setUp(self) -> None:
        self.ledger = Ledger(Path("/nowhere"))
        self.made = self.ledger.add(Made("one", "run", Ending(code=42), id="1"))

    def test_truth_is_accepted(self) -> None:
        self.ledger.judge(self.made, 42, "", "wait")
        self.assertEqual((self.ledger.wrong, self.ledger.unknown), ([], {}))

    def test_other_code_is_wrong(self) -> None:
        self.ledger.judge(self.made, 0, "", "wait")
        self.assertEqual(len(self.ledger.wrong), 1)

    def test_unknown_is_wrong_without_a_cause(self) -> None:
        self.ledger.judge(self.made, 255, "the shim is gone", "wait")
        self.assertEqual(len(self.ledger.wrong), 1)

    def test_unknown_is_counted_apart_after_a_kill_of_the_shim(self) -> None:
        self.ledger.shim_killed("1")
        self.ledger.judge(self.made, 255, "the shim is gone", "wait")
        self.assertEqual((len(self.ledger.wrong), len(self.ledger.unknown)), (0, 1))

    def test_unknown_needs_a_reason(self) -> None:
        self.ledger.shim_killed("1")
        self.ledger.judge(self.made, 255, "", "wait")
        self.assertEqual(len(self.ledger.wrong), 1)

    def test_kill_is_accepted_only_where_it_was_asked_for(self) -> None:
        self.assertFalse(self.made.accepts(KILLED.number))
        self.made.may_be_killed = True
        self.assertTrue(self.made.accepts(KILLED.number))

    def test_program_that_never_began_was_killed_with_its_shim(self) -> None:
        self.assertFalse(self.made.accepts(KILLED.number, began=False))
        self.ledger.shim_killed("1")
        self.assertTrue(self.made.accepts(KILLED.number, began=False))
        self.assertFalse(self.made.accepts(KILLED.number) or self.made.accepts(0, began=False))

    def test_only_a_terminal_ends_with_its_descriptors(self) -> None:
        self.made.unheld = True
        self.assertFalse(self.made.accepts(98) or self.made.accepts(129, was_killed=True))
        self.made.kind = "terminal"
        self.assertTrue(self.made.accepts(98) and self.made.accepts(129, was_killed=True))
        self.assertFalse(self.made.accepts(129))


class StoryTests(unittest.TestCase):
    """What the checker makes of events, without a manager."""

    def setUp(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.checker = Checker.__new__(Checker)
        self.checker._ledger = Ledger(Path(self.folder.name))  # noqa: SLF001
        self.made = Made("one", "run", Ending(code=3), id="1", started=True)

    def story(self, actions: str, code: int = 3) -> list[str]:
        names = {"c": "create", "s": "start", "d": "die", "x": "destroy"}
        events: list[dict[str, Any]] = [
            {"Action": names[letter], "timeNano": index, "Actor": {"Attributes": {"exitCode": str(code)}}}
            for index, letter in enumerate(actions)]
        return self.checker._story(self.made, events)  # noqa: SLF001

    def test_every_life_is_accepted(self) -> None:
        for actions in ("c", "cs", "csd", "csdsd"):
            self.assertEqual(self.story(actions), [], actions)

    def test_what_is_lost_doubled_or_reordered_is_seen(self) -> None:
        for actions in ("", "s", "cd", "cds", "cssd", "csdd", "ccsd", "csdx", "csdss"):
            self.assertNotEqual(self.story(actions), [], actions)

    def test_removed_container_ends_with_its_removal(self) -> None:
        self.made.removed = True
        self.assertEqual(self.story("csdx"), [])
        self.assertNotEqual(self.story("csd"), [])

    def test_event_with_another_code_is_wrong(self) -> None:
        self.assertNotEqual(self.story("csd", code=0), [])

    def test_start_without_an_event_is_seen(self) -> None:
        (Path(self.folder.name) / "one.starts").write_bytes(b"xx")
        self.assertNotEqual(self.story("csd"), [])

    def test_second_instance_is_seen(self) -> None:
        self.checker._ledger.add(self.made)  # noqa: SLF001
        self.checker._node = SimpleNamespace(shim_processes=lambda: [])  # noqa: SLF001
        self.assertEqual(self.checker._one_instance(), [])  # noqa: SLF001
        (Path(self.folder.name) / "one.double").write_bytes(b"x")
        self.assertNotEqual(self.checker._one_instance(), [])  # noqa: SLF001
        (Path(self.folder.name) / "one.double").unlink()
        self.checker._node = SimpleNamespace(shim_processes=lambda: [(7, "1"), (8, "1")])  # noqa: SLF001
        self.assertNotEqual(self.checker._one_instance(), [])  # noqa: SLF001


if __name__ == "__main__":
    unittest.main()
