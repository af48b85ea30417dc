"""What runs in containers: a mix that has one of everything that could be harmed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from .api import Answer, Cut, Refused
from .ledger import Ending, Ledger, Made
from .logs import Follower, Tail
from .node import IMAGE, Node
from .rotation import Limit
from .sessions import Session, attach, connect, execute

KINDS = ("writer", "part-writer", "server", "terminal", "crash-loop", "health", "held")
MAXIMUM_LOG = 1 << 20
LOG_FILES = 3


def document(node: Node, made: Made, words: list[str], **host: Any) -> dict[str, Any]:
    """The request for a container of the harness."""
    return {
        "Image": IMAGE,
        "Cmd": ["/bin/worker", made.name, *words],
        "Labels": {"harness.kind": made.kind},
        "HostConfig": {
            "NetworkMode": "none",
            "CgroupParent": node.place.cgroup,
            "Binds": [f"{node.place.shared}:/h"],
            "AutoRemove": made.automatic_removal,
            **host,
        },
    }


@dataclass
class Mix:
    """Long-lived workloads of one node."""

    node: Node
    ledger: Ledger
    follower: Follower = field(default_factory=Follower)
    sessions: list[Session] = field(default_factory=list)
    # Kinds that the manager of the first build does not offer.
    absent: dict[str, str] = field(default_factory=dict)
    # Bytes a second of each writer.
    rate: int = 100_000

    def fill(self, count: int) -> None:
        """Starts `count` workloads, kind after kind."""
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            if kind not in self.absent:
                self.add(kind, f"{kind}-{number}", number)

    def add(self, kind: str, name: str, number: int = 0) -> None:
        made = Made(name, kind, Ending(code=10 + number % 100))
        code = str(made.ending.code)
        if kind in ("writer", "part-writer"):
            separator = "n" if kind == "writer" else "p"
            log = {"Type": "json-file", "Config": {"max-size": f"{MAXIMUM_LOG}", "max-file": f"{LOG_FILES}"}}
            self._create(made, document(self.node, made, ["write", code, str(self.rate), separator], LogConfig=log))
            self._start(made)
            path = self.node.inspect(made.id)["LogPath"]
            made.notes["log"] = path
            # A line without end may go beyond the limit by 1 MiB before it is divided.
            limit = Limit(MAXIMUM_LOG, LOG_FILES, 0 if separator == "n" else 1 << 20)
            tail = Tail(path, self.ledger.books(made), b"\n" if separator == "n" else b",", limit=limit)
            self.follower.follow(name, tail)
        elif kind == "server":
            self._create(made, document(self.node, made, ["serve", code]))
            self._start(made)
            self._session(made, connect(name, made.id, str(self.ledger.books(made).file("sock"))))
            self._session(made, execute(self.node.api, name + "/exec", made.id, self._echo(name), False))
        elif kind == "terminal":
            request = {**document(self.node, made, ["echo", code]), "Tty": True, "OpenStdin": True,
                       "AttachStdin": True, "AttachStdout": True}
            self._create(made, request)
            session = attach(self.node.api, name, made.id)
            self._start(made)
            self._session(made, session)
            self._session(made, execute(self.node.api, name + "/exec", made.id, self._echo(name), True))
        elif kind == "crash-loop":
            made.restarts = True
            self._create(made, document(self.node, made, ["exit", code, "300"], RestartPolicy={"Name": "always"}))
            self._start(made)
        elif kind == "health":
            request = document(self.node, made, ["hold", code])
            request["Healthcheck"] = {"Test": ["CMD", "/bin/worker", name, "probe"], "Interval": 200_000_000,
                                      "Timeout": 5_000_000_000, "Retries": 2}
            warnings = self._create(made, request)
            if any("health" in warning for warning in warnings):
                self.absent[kind] = warnings[0]
                self.node.api.patiently("DELETE", f"/containers/{made.id}", {"force": "1"})
                made.removed = True
                return
            self._start(made)
        else:
            self._create(made, document(self.node, made, ["hold", code]))
            self._start(made)

    @staticmethod
    def _echo(name: str) -> list[str]:
        return ["/bin/worker", name + "-exec", "talk", "0"]

    def _create(self, made: Made, request: dict[str, Any]) -> list[str]:
        answer = self.node.api.call("POST", "/containers/create", {"name": made.name}, request)
        made.id = answer["Id"]
        self.ledger.add(made)
        return answer.get("Warnings") or []

    def _start(self, made: Made) -> None:
        self.node.api.call("POST", f"/containers/{made.id}/start")
        made.started = True

    def _session(self, made: Made, session: Session) -> None:
        session.may_lose = lambda: bool(made.shim_kills)
        self.sessions.append(session.start())

    def finish(self) -> None:
        """Ends everything in order, so that every byte can be accounted for; containers stay to be looked at."""
        for session in self.sessions:
            session.close()
        for made in self.ledger.all():
            if made.kind in KINDS and not made.removed:
                self._stop(made)
        for made in self.ledger.all():
            if made.notes.get("log"):
                made.notes["account"], made.notes["remains"] = self.follower.finish(made.name)

    def _stop(self, made: Made) -> None:
        # A crash loop is told between two runs, or in the middle of one: by the kill after the delay at the latest.
        made.told_to_end = True
        made.may_be_killed = made.may_be_killed or made.kind in ("crash-loop",)
        deadline = time.monotonic() + 60
        while True:
            try:
                self.node.api.call("POST", f"/containers/{made.id}/stop", {"t": "10"}, timeout=40)
                return
            except Answer as error:
                if error.status in (304, 404):
                    return
                if time.monotonic() > deadline:
                    raise
            except (Refused, Cut):
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.1)
