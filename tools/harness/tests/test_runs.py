"""What is accepted as the end of an additional process, held against its own books."""

import unittest

from harness.runs import UNKNOWN, Session, Truth

ENDED = Truth(1, 1)
KILLED = Truth(1, 0, has_container_ended=True)
NEVER = Truth(0, 0)


class SessionTests(unittest.TestCase):
    def told(self, truth: Truth, code: int | None, problem: str = "", outcome: str = "done") -> str | None:
        return Session(3, outcome, code, problem).contradiction(truth)

    def test_own_code_of_a_whole_run_is_the_truth(self) -> None:
        self.assertIsNone(self.told(ENDED, 3))

    def test_every_other_code_of_a_whole_run_is_wrong(self) -> None:
        for code in (0, 1, 126, 127, 137, 255, None):
            self.assertIsNotNone(self.told(ENDED, code), code)

    def test_own_code_is_invented_when_it_did_not_live_to_end(self) -> None:
        self.assertIsNotNone(self.told(KILLED, 3))

    def test_kill_needs_the_end_of_the_container(self) -> None:
        self.assertIsNone(self.told(KILLED, 137))
        self.assertIsNotNone(self.told(Truth(1, 0), 137))

    def test_kill_may_overtake_an_end_at_the_same_time(self) -> None:
        self.assertIsNone(self.told(Truth(1, 1, has_container_ended=True, ended_together=True), 137))
        self.assertIsNotNone(self.told(Truth(1, 1, has_container_ended=True), 137))

    def test_kill_in_the_middle_of_the_start(self) -> None:
        self.assertIsNone(self.told(Truth(0, 0, was_shim_killed=True), 137))
        self.assertIsNotNone(self.told(Truth(1, 0, was_shim_killed=True), 137))

    def test_unknown_needs_a_reason_and_a_cause(self) -> None:
        self.assertIsNone(self.told(Truth(1, 1, may_be_unknown=True), 255, UNKNOWN + "nobody knows"))
        self.assertIsNone(self.told(Truth(1, 1, was_shim_killed_then=True), 255, UNKNOWN + "nobody knows"))
        self.assertIsNotNone(self.told(Truth(1, 1, may_be_unknown=True), 255))
        self.assertIsNotNone(self.told(Truth(1, 1, was_shim_killed_then=True), 255))
        self.assertIsNotNone(self.told(ENDED, 255, UNKNOWN + "nobody knows"))

    def test_session_without_a_code_was_not_started(self) -> None:
        self.assertIsNone(self.told(NEVER, None, outcome="refused"))
        self.assertIsNone(self.told(NEVER, None, outcome="unsure"))
        self.assertIsNotNone(self.told(NEVER, None))
        self.assertIsNotNone(self.told(ENDED, None, outcome="unsure"))

    def test_start_that_failed_was_not_answered_with_success(self) -> None:
        for code in (125, 126, 127):
            self.assertIsNone(self.told(NEVER, code, "no such file", outcome="refused"))
            self.assertIsNotNone(self.told(NEVER, code, "no such file"))
        self.assertIsNotNone(self.told(NEVER, 1, "no such file", outcome="refused"))


if __name__ == "__main__":
    unittest.main()
