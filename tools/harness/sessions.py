"""Clients that stay connected: each sends numbered lines, one after another, and holds every answer against them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable

from .api import API, Answer, Cut, Refused

# How long an answer may take before the line counts as lost: longer than anybody is kept frozen, and machines under test are slow.
PATIENCE = 60.0


class Session:
    """One connection to a process that answers "<count> <line>"."""

    def __init__(self, name: str, container: str, stream: socket.socket, early: bytes = b"", framed: bool = False,
                 greeting: bytes = b"") -> None:
        self.name = name
        self.container = container
        self.answered = 0
        self.lost = 0
        self.problem: str | None = None
        self._stream = stream
        self._stream.settimeout(0.5)
        self._framed = framed
        self._raw = b""
        self._held = b""
        self._take(early)
        self._greeting = greeting
        self._sent = 0
        self._count = 0
        self._over = threading.Event()
        self._pause = 0.02
        # Whether the shim has the connection, not the process itself.
        self.by_shim = True
        # Whether a line may have got lost on its way, as when a shim that had read it was killed.
        self.may_lose: Callable[[], bool] = lambda: False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Session:
        self._thread.start()
        return self

    def close(self) -> None:
        self._over.set()
        self._thread.join()
        self._stream.close()

    def progress(self, more: int, within: float) -> bool:
        """Whether so many further answers come in time."""
        goal, deadline = self.answered + more, time.monotonic() + within
        while self.answered < goal and self.problem is None and time.monotonic() < deadline:
            time.sleep(0.01)
        return self.answered >= goal

    def _run(self) -> None:
        try:
            if self._greeting:
                line = self._line()
                if line is not None and line != self._greeting:
                    self.problem = f"the first line is {line!r}"
            while not self._over.is_set() and self.problem is None:
                self._ask()
                self._over.wait(self._pause)
        except OSError as error:
            if not self._over.is_set():
                self.problem = f"after {self.answered} answers: {error}"

    def _ask(self) -> None:
        self._sent += 1
        self._stream.sendall(b"line %d\n" % self._sent)
        line = self._line()
        if line is None:
            return
        count, _, text = line.partition(b" ")
        wanted = b"line %d" % self._sent
        if text == wanted and int(count) == self._count + 1:
            self._count += 1
            self.answered += 1
        elif self.may_lose() and text == wanted and int(count) <= self._count + 1 + self.lost:
            self._count = int(count)
            self.answered += 1
        else:
            self.problem = f"answer {line[:60]!r} to line {self._sent} (answers before: {self._count})"

    def _line(self) -> bytes | None:
        """The next whole line; None when it does not come although that may be."""
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self._held:
            if self._over.is_set():
                return None
            try:
                data = self._stream.recv(65536)
            except TimeoutError:
                if time.monotonic() < deadline:
                    continue
                if self.may_lose():
                    self.lost += 1
                    return None
                self.problem = f"no answer to line {self._sent} in {PATIENCE:.0f} s"
                return None
            if not data:
                self.problem = f"closed by the other side after {self.answered} answers"
                return None
            self._take(data)
        line, self._held = self._held.split(b"\n", 1)
        return line.rstrip(b"\r")

    def _take(self, data: bytes) -> None:
        if not self._framed:
            self._held += data
            return
        self._raw += data
        while len(self._raw) >= 8:
            size = int.from_bytes(self._raw[4:8], "big")
            if len(self._raw) < 8 + size:
                return
            self._held += self._raw[8:8 + size]
            self._raw = self._raw[8 + size:]


def attach(api: API, name: str, container: str) -> Session:
    """A session with the first process of a container with a terminal; to be opened before its start."""
    stream, early = api.upgrade(f"/containers/{container}/attach",
                                {"stream": "1", "stdin": "1", "stdout": "1", "stderr": "1"})
    return Session(name, container, stream, early, greeting=b"ready")


def execute(api: API, name: str, container: str, command: list[str], terminal: bool) -> Session:
    """A session with an additional process."""
    made = api.patiently("POST", f"/containers/{container}/exec", body={
        "AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": terminal, "Cmd": command})
    stream, early = api.upgrade(f"/exec/{made['Id']}/start", body={"Detach": False, "Tty": terminal})
    return Session(name, container, stream, early, framed=not terminal, greeting=b"ready")


def connect(name: str, container: str, path: str) -> Session:
    """A connection to a server in a container, past the manager."""
    deadline = time.monotonic() + PATIENCE
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.connect(path)
            session = Session(name, container, stream)
            session.by_shim = False
            return session
        except OSError:
            stream.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


class Poller:
    """A client that asks for the list all the time, and counts what it sees."""

    def __init__(self, api: API, pause: float = 0.02) -> None:
        self.asked = 0
        self.refused = 0
        self.cut = 0
        self.not_now = 0
        self.errors: list[str] = []
        # Seconds of each answer.
        self.times: list[float] = []
        # What two tries in a row did not cure.
        self.stubborn = 0
        self._api = api
        self._pause = pause
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        failed = False
        while not self._over.wait(self._pause):
            now_failed = not self._ask()
            self.stubborn += failed and now_failed
            failed = now_failed

    def _ask(self) -> bool:
        began = time.monotonic()
        self.asked += 1
        try:
            self._api.call("GET", "/containers/json", {"all": "1"}, timeout=60)
        except Refused:
            self.refused += 1
        except Cut:
            self.cut += 1
        except Answer as error:
            if error.status == 503:
                self.not_now += 1
            else:
                self.errors.append(str(error))
        else:
            self.times.append(time.monotonic() - began)
            return True
        return False
