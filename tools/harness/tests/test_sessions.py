"""A session says how it went wrong, and goes on where only a line may have got lost."""

import socket
import unittest
from unittest import mock

from harness import sessions
from harness.sessions import Session


class SessionTests(unittest.TestCase):
    def session(self, early: bytes = b"", framed: bool = False) -> tuple[Session, socket.socket]:
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        theirs.settimeout(10)
        session = Session("one", "1", ours, early, framed, greeting=b"ready")
        return session, theirs

    def start(self, session: Session) -> Session:
        self.addCleanup(session.start().close)
        return session

    def test_end_before_the_first_line_is_told_as_one(self) -> None:
        session, theirs = self.session()
        theirs.close()
        self.start(session)._thread.join(10)
        self.assertEqual(session.problem, "closed by the other side after 0 answers")

    def test_another_first_line_is_wrong(self) -> None:
        session, theirs = self.session()
        theirs.sendall(b"no such program\n")
        self.start(session)._thread.join(10)
        self.assertEqual(session.problem, "the first line is b'no such program'")

    def test_first_line_may_get_lost_like_any_other(self) -> None:
        session, theirs = self.session()

        def may_lose() -> bool:
            sessions.PATIENCE = 60.0
            return True

        session.may_lose = may_lose
        with mock.patch.object(sessions, "PATIENCE", 0.0):
            self.start(session)
            self.assertEqual(theirs.recv(64), b"line 1\n")
            theirs.sendall(b"1 line 1\n")
            self.assertEqual(theirs.recv(64), b"line 2\n")

    def test_first_line_may_have_come_with_the_answer(self) -> None:
        session, theirs = self.session(b"\x01\0\0\0\0\0\0\x06ready\n", framed=True)
        self.start(session)
        self.assertEqual(theirs.recv(64), b"line 1\n")


if __name__ == "__main__":
    unittest.main()
