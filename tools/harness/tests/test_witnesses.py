"""When "unknown" may be the truth: each time at which somebody could know, and each at which nobody could."""

import math
import os
import tempfile
import time
import unittest
from collections.abc import Callable
from pathlib import Path

from harness.ledger import Ending, Ledger, Made
from harness.witnesses import HOLD_AFTER, LEARN, RECORD, SUCCEED, Witnesses, kernel_tells_ends


class WitnessTests(unittest.TestCase):
    """The end is at 100, whatever else happens."""

    END = 100.0

    def setUp(self) -> None:
        self.now = 0.0
        self.seen = Witnesses(True, lambda: self.now)

    def at(self, when: float, act: Callable[[], object]) -> object:
        self.now = when
        return act()

    def manager(self, ready: float, down: float = math.inf) -> None:
        self.seen.manager_up(ready)
        if down < math.inf:
            self.seen.manager_down(down)

    def kill(self, when: float, for_seconds: float = 0) -> object:
        return self.at(when, lambda: self.seen.shim_killed("one", for_seconds))

    def freeze_shim(self, begin: float, end: float) -> None:
        thaw = self.at(begin, lambda: self.seen.shim_frozen("one"))
        self.at(end, thaw)

    def freeze_manager(self, begin: float, end: float) -> None:
        thaw = self.at(begin, self.seen.manager_frozen)
        self.at(end, thaw)

    def may(self, first: float = END, last: float = END) -> bool:
        self.now = 1000
        return self.seen.may_be_unknown("one", first, last)

    def test_without_a_kill_somebody_knows(self) -> None:
        self.assertFalse(self.may())
        self.manager(0, 50)
        self.assertFalse(self.may())

    def test_manager_that_holds_knows_whatever_becomes_of_the_shim(self) -> None:
        self.manager(0)
        self.kill(50)
        self.kill(99.9)
        self.assertFalse(self.may())

    def test_nobody_was_there(self) -> None:
        self.manager(0, 99)
        self.kill(99.5)
        self.assertTrue(self.may())

    def test_kill_of_another_container_is_no_cause(self) -> None:
        self.manager(0, 99)
        self.at(99.5, lambda: self.seen.shim_killed("two"))
        self.assertFalse(self.may())

    def test_kill_that_was_taken_back_is_none(self) -> None:
        self.manager(0, 99)
        self.kill(99.5)()
        self.assertFalse(self.may())

    def test_shim_that_lived_on_wrote_it_down(self) -> None:
        self.manager(0, 99)
        self.kill(self.END + RECORD + 0.1)
        self.assertFalse(self.may())

    def test_shim_that_died_before_it_could_write_did_not(self) -> None:
        self.manager(0, 99)
        self.kill(self.END + RECORD / 2)
        self.assertTrue(self.may())

    def test_manager_that_lived_on_learned_it(self) -> None:
        self.manager(0, self.END + LEARN + 0.1)
        self.kill(99)
        self.assertFalse(self.may())

    def test_manager_that_died_at_the_end_need_not_have(self) -> None:
        self.manager(0, self.END + LEARN / 2)
        self.kill(99)
        self.assertTrue(self.may())

    def test_manager_that_has_just_come_holds_nothing_yet(self) -> None:
        self.manager(self.END - HOLD_AFTER / 2)
        self.kill(90)
        self.assertTrue(self.may())

    def test_manager_that_came_early_enough_does(self) -> None:
        self.manager(self.END - HOLD_AFTER - 0.1)
        self.kill(90)
        self.assertFalse(self.may())

    def test_manager_gets_nothing_of_a_frozen_shim(self) -> None:
        self.manager(80)
        self.freeze_shim(70, 99.5)
        self.kill(99.9)
        self.assertTrue(self.may())

    def test_manager_that_held_before_the_freeze_knows(self) -> None:
        self.manager(60)
        self.freeze_shim(70, 120)
        self.kill(99.9)
        self.assertFalse(self.may())

    def test_frozen_shim_cannot_write_it_down(self) -> None:
        self.manager(0, 95)
        self.freeze_shim(99, 110)
        self.kill(110 + RECORD / 2)
        self.assertTrue(self.may())

    def test_shim_that_thawed_long_before_it_died_wrote_it_down(self) -> None:
        self.manager(0, 95)
        self.freeze_shim(99, 110)
        self.kill(110 + RECORD + 0.1)
        self.assertFalse(self.may())

    def test_successor_of_a_frozen_one_is_not_frozen(self) -> None:
        thaw = self.at(50, lambda: self.seen.shim_frozen("one"))
        self.kill(60)
        self.manager(70)
        self.at(200, thaw)
        self.assertFalse(self.may())

    def test_frozen_manager_learns_afterwards(self) -> None:
        self.manager(0)
        self.freeze_manager(90, 110)
        self.kill(95)
        self.assertFalse(self.may())

    def test_manager_that_was_killed_while_frozen_does_not(self) -> None:
        self.manager(0)
        thaw = self.at(90, self.seen.manager_frozen)
        self.seen.manager_down(105)
        self.at(110, thaw)
        self.kill(95)
        self.assertTrue(self.may())

    def test_new_shim_is_there_when_a_manager_had_the_time(self) -> None:
        self.manager(0, 60)
        self.kill(60 - SUCCEED - 0.1)
        self.assertFalse(self.may())
        self.kill(99)
        self.assertTrue(self.may())

    def test_no_new_shim_is_there_when_it_had_not(self) -> None:
        self.manager(0, 60)
        self.kill(60 - SUCCEED / 2)
        self.assertTrue(self.may())

    def test_nothing_is_written_on_a_full_disk(self) -> None:
        self.manager(0, 95)
        room = self.at(99, self.seen.disk_full)
        self.at(110, room)
        self.kill(110 + RECORD / 2)
        self.assertTrue(self.may())

    def test_death_within_some_seconds_counts_for_all_of_them(self) -> None:
        self.manager(0, 99)
        self.kill(98, for_seconds=3)
        self.assertTrue(self.may())

    def test_end_at_an_uncertain_time_is_known_when_it_always_is(self) -> None:
        self.manager(0, 99)
        self.manager(101)
        self.kill(10)
        self.assertFalse(self.may(20, 60))
        self.kill(99.5)
        self.assertTrue(self.may(90, 110))
        self.assertFalse(self.may(103, 110))

    def test_session_that_ends_with_its_shim(self) -> None:
        self.manager(0)
        self.kill(100.2)
        self.assertTrue(self.seen.was_killed_at("one", 100))
        self.assertFalse(self.seen.was_killed_at("one", 99))
        self.assertFalse(self.seen.was_killed_at("one", 101))
        self.assertFalse(self.seen.was_killed_at("two", 100))

    def test_container_is_spared_after_many_deaths_in_a_row(self) -> None:
        for number in range(4):
            self.assertFalse(self.at(10.0 * number, lambda: self.seen.is_spared("one")))
            self.kill(10.0 * number)
        self.assertTrue(self.at(40, lambda: self.seen.is_spared("one")))
        self.assertFalse(self.at(40, lambda: self.seen.is_spared("two")))
        self.assertFalse(self.at(95, lambda: self.seen.is_spared("one")))

    def test_kernel_that_does_not_tell_leaves_the_first_manager_alone(self) -> None:
        for tells, expected in ((True, False), (False, True)):
            self.seen = Witnesses(tells, lambda: self.now)
            self.manager(0, 50)
            self.manager(60)
            self.kill(99)
            self.assertEqual(self.may(), expected)

    def test_kernel_is_asked(self) -> None:
        release = tuple(int(part) for part in os.uname().release.split("-")[0].split(".")[:2])
        self.assertEqual(kernel_tells_ends(), release >= (6, 15))


class DoubtTests(unittest.TestCase):
    """Unknown ends in the ledger, by the books of a container whose shim was killed."""

    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.ledger = Ledger(Path(place.name))
        self.ledger.witnesses = Witnesses(True)
        self.made = self.ledger.add(Made("one", "run", Ending(code=42), id="1"))
        self.ledger.books(self.made).file("starts").write_text("x")

    def end(self) -> None:
        self.ledger.books(self.made).file("ends").write_text("x")

    def told(self, code: int, reason: str) -> list[str]:
        self.ledger.judge(self.made, code, reason, "wait")
        return self.ledger.wrong

    def test_unknown_is_the_truth_when_nobody_was_there(self) -> None:
        self.ledger.shim_killed("1")
        self.end()
        self.assertEqual(self.told(255, "nobody knows"), [])
        self.assertEqual(self.ledger.unknown, {"one": ("nobody knows", "neither shim nor manager was there")})

    def test_unknown_is_a_lie_when_a_manager_was(self) -> None:
        self.ledger.witnesses.manager_up(time.time() - 60)
        self.ledger.shim_killed("1")
        self.end()
        self.assertEqual(len(self.told(255, "nobody knows")), 1)
        self.assertEqual(self.ledger.unknown, {})

    def test_unknown_without_its_reason_is_wrong_also_then(self) -> None:
        self.ledger.shim_killed("1")
        self.end()
        self.assertEqual(len(self.told(255, "")), 1)

    def test_known_code_with_a_reason_is_wrong(self) -> None:
        self.end()
        self.assertEqual(len(self.told(42, "nobody knows")), 1)

    def test_program_that_never_began_is_a_cause_of_its_own(self) -> None:
        self.ledger.witnesses.manager_up(time.time() - 60)
        self.ledger.books(self.made).file("starts").unlink()
        self.ledger.shim_killed("1")
        self.assertEqual(self.told(255, "nobody knows"), [])
        self.assertEqual(self.ledger.unknown["one"][1], "shim killed in the middle of the start")

    def test_end_of_one_that_was_killed_is_somewhere_behind_the_request(self) -> None:
        self.made.notes["killed"] = 5.0
        self.assertEqual(self.ledger.window(self.made)[0], 5.0)
        self.end()
        self.assertGreater(self.ledger.window(self.made)[0], 5.0)


if __name__ == "__main__":
    unittest.main()
