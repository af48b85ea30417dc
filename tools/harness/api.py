"""A manager's HTTP API, as a client that survives the manager.

Every request has a connection of its own, so that none is surprised by a manager that has gone.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any


class Refused(Exception):
    """Nobody listens."""


class Cut(Exception):
    """The connection ended, or stayed silent, before the answer was complete: what came of the request is unknown."""


class Answer(Exception):
    """An answer that is an error, which may be expected."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status} {message}")
        self.status = status
        self.message = message


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("berth", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class API:
    """Calls of one manager by its socket."""

    def __init__(self, path: str) -> None:
        self.path = path

    def call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None,
             timeout: float = 30) -> Any:
        """One request; its document, or the text of what is no document.

        Raises Refused, Cut, or Answer for a status of 400 or more.
        """
        status, data = self._exchange(method, _target(path, query), body, timeout)
        try:
            document = json.loads(data) if data else None
        except ValueError:
            document = data.decode(errors="replace")
        if status >= 400:
            message = document.get("message", "") if isinstance(document, dict) else str(document)
            raise Answer(status, message)
        return document

    def raw(self, path: str, query: dict[str, Any] | None = None, timeout: float = 60) -> bytes:
        """The bytes of an answer that is a stream with an end."""
        status, data = self._exchange("GET", _target(path, query), None, timeout)
        if status >= 400:
            raise Answer(status, data.decode(errors="replace"))
        return data

    def _exchange(self, method: str, target: str, body: Any, timeout: float) -> tuple[int, bytes]:
        connection = _Connection(self.path, timeout)
        try:
            try:
                connection.connect()
            except OSError as error:
                raise Refused(str(error)) from None
            data = None if body is None else json.dumps(body).encode()
            headers = {} if data is None else {"Content-Type": "application/json"}
            connection.request(method, target, body=data, headers=headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise Cut(f"{method} {target}: {type(error).__name__} {error}") from None
        finally:
            connection.close()

    def patiently(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None,
                  within: float = 60) -> Any:
        """A request that may be repeated, until a manager answers it; 503 is "not now"."""
        deadline = time.monotonic() + within
        while True:
            try:
                return self.call(method, path, query, body, timeout=max(1.0, deadline - time.monotonic()))
            except (Refused, Cut) as error:
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no manager answered in {within:.0f} s: {error}") from None
            except Answer as error:
                if error.status != 503 or time.monotonic() > deadline:
                    raise
            time.sleep(0.05)

    def upload(self, path: str, file: str) -> bytes:
        """Posts a file, as for images."""
        connection = _Connection(self.path, 120)
        try:
            with open(file, "rb") as data:
                connection.request("POST", path, body=data, headers={"Content-Type": "application/x-tar"})
                response = connection.getresponse()
                answer = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise Answer(response.status, answer.decode(errors="replace"))
        return answer

    def upgrade(self, path: str, query: dict[str, Any] | None = None, body: Any = None) -> tuple[socket.socket, bytes]:
        """A request that becomes a stream: its socket, and what of the stream has come already."""
        data = b"" if body is None else json.dumps(body).encode()
        head = (f"POST {_target(path, query)} HTTP/1.1\r\nHost: berth\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
                f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n")
        stream = socket.socket(socket.AF_UNIX)
        stream.settimeout(20)
        try:
            try:
                stream.connect(self.path)
            except OSError as error:
                raise Refused(str(error)) from None
            stream.sendall(head.encode() + data)
            text = b""
            while b"\r\n\r\n" not in text:
                more = stream.recv(4096)
                if not more:
                    raise Cut(f"{path}: the connection ended before the answer")
                text += more
        except OSError as error:
            stream.close()
            raise Cut(f"{path}: {error}") from None
        except (Refused, Cut):
            stream.close()
            raise
        answer, rest = text.split(b"\r\n\r\n", 1)
        status = int(answer.split()[1])
        if status not in (101, 200):
            stream.close()
            raise Answer(status, rest.decode(errors="replace"))
        return stream, rest

    def events(self, since: float, until: float) -> Iterator[dict[str, Any]]:
        """The events of a time that has passed, oldest first."""
        for line in self.raw("/events", {"since": f"{since:.9f}", "until": f"{until:.9f}"}).splitlines():
            if line.strip():
                yield json.loads(line)


def _target(path: str, query: dict[str, Any] | None) -> str:
    return path + ("?" + urllib.parse.urlencode(query) if query else "")
