"""Containers in all phases, and whether everything of them is as it was."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from .api import Answer, Cut, Refused
from .node import IMAGE, Node

# Seconds until a manager that was started has met everybody and has looked at everything.
PATIENCE = 20.0


class Residents:
    """What lives on a node while its files are damaged."""

    def __init__(self, node: Node, running: int) -> None:
        self.node = node
        self.ids: dict[str, str] = {}
        self._pids: dict[str, tuple[int, str]] = {}
        self._before: dict[str, Any] = {}
        self._events: dict[int, tuple[Any, ...]] = {}
        self._round = 0
        for number in range(running):
            policy = {"Name": ("no", "always", "unless-stopped")[number % 3]}
            self._make(f"r{number}", ["/bin/sh", "-c", f"echo begun {number}; exec sleep 1000000"], RestartPolicy=policy)
        self._make("worker", ["/bin/sleep", "1000000"])
        for name in list(self.ids):
            self._call("POST", f"/containers/{name}/start")
        for number in range(min(4, running)):
            self._execute(f"r{number}", ["/bin/sleep", "1000000"])
        if running > 7:
            self._call("POST", "/containers/r7/pause")
        self._make("ended", ["/bin/sh", "-c", "echo gone; exit 3"])
        self._call("POST", "/containers/ended/start")
        self._call("POST", "/containers/ended/wait")
        self._make("made", ["/bin/true"])
        for name in self.ids:
            pid = self._call("GET", f"/containers/{name}/json")["State"]["Pid"]
            if pid:
                self._pids[name] = (pid, _since(pid))

    def _call(self, method: str, path: str, query: dict[str, Any] | None = None, body: Any = None) -> Any:
        return self.node.api.call(method, path, query, body)

    def _make(self, name: str, words: list[str], **host: Any) -> str:
        request = {"Image": IMAGE, "Cmd": words, "Env": [f"NAME={name}"], "Labels": {"name": name},
                   "HostConfig": {"NetworkMode": "none", "CgroupParent": self.node.place.cgroup, **host}}
        made = self._call("POST", "/containers/create", {"name": name}, request)["Id"]
        self.ids[name] = made
        return made

    def _execute(self, name: str, words: list[str]) -> str:
        session = self._call("POST", f"/containers/{name}/exec", None, {"Cmd": words})["Id"]
        self._call("POST", f"/exec/{session}/start", None, {"Detach": True})
        return session

    def settle(self) -> None:
        """Takes what is there now for right, as soon as nothing changes any more."""
        self._wait("it is quiet", lambda: None if not self._adopting() else "adopting")
        last: Any = None
        deadline = time.monotonic() + PATIENCE
        while (now := self._look()) != last or any(not self._has_copy(each) for each in self.ids.values()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"it does not become quiet: {now}")
            last = now
            time.sleep(0.5)
        self._before = last
        self._events = self._told()

    def _has_copy(self, container: str) -> bool:
        return (self.node.root / "containers" / container / "container.json").exists()

    def _adopting(self) -> bool:
        return bool((self._call("GET", "/info").get("Berth") or {}).get("Adopting"))

    def _look(self) -> dict[str, Any]:
        found: dict[str, Any] = {"images": sorted(
            (each["Id"], tuple(each["RepoTags"])) for each in self._call("GET", "/images/json"))}
        for each in self._call("GET", "/containers/json", {"all": "1"}):
            name = each["Names"][0].lstrip("/")
            document = self._call("GET", f"/containers/{each['Id']}/json")
            found[name] = {"list": [each["Id"], each["Image"], each["State"], each["Command"]], "inspect": _steady(document)}
        return found

    def _told(self) -> dict[int, tuple[Any, ...]]:
        """Events by number."""
        data = self.node.api.raw("/berth/v1/events", {"since": "0", "until": str(int(time.time()) + 1)})
        events = [json.loads(line) for line in data.splitlines() if line.strip()]
        return {each["Cursor"]: (each["Type"], each["Action"], each["Actor"]["ID"], each["timeNano"])
                for each in events if "Cursor" in each}

    def warnings(self) -> list[str]:
        """What the manager says that it cannot read."""
        return [line for line in self._call("GET", "/info").get("Warnings") or [] if "cannot be read" in line]

    # The looks

    def check(self, images_are_damaged: bool = False) -> list[str]:
        """What is not as it was, after as long as it takes; damaged images are loaded again, and all is as it was then."""
        self._round += 1
        problems = self.harmed()
        problems += self._wait("everything is as it was", lambda: self._difference(images_are_damaged))
        problems += self._numbers()
        problems += self._works()
        if images_are_damaged:
            problems += self._wait("all images are back", self._difference)
        return problems

    def harmed(self) -> list[str]:
        """Those that do not run any more."""
        return [f"{name} was ended" for name, (pid, since) in self._pids.items() if _since(pid) != since]

    def _difference(self, without_images: bool = False) -> str | None:
        now = self._look()
        if without_images:
            now["images"] = self._before["images"]
        return "; ".join(_differences("", self._before, now)[:4]) or None

    def _numbers(self) -> list[str]:
        """No number of an event is given out twice."""
        last = max(self._events, default=0)
        told = self._told()
        return [f"event {number} was {self._events.get(number)} and is {event}"
                for number, event in told.items() if number <= last and self._events.get(number) != event][:2]

    def _works(self) -> list[str]:
        names = sorted(name for name in self._pids if name != "r7")
        name = names[self._round % len(names)]
        try:
            session = self._execute(name, ["/bin/sh", "-c", "exit 42"])
            return self._wait(f"exec in {name}", lambda: self._exec_code(session)) + self._runs()
        except (Answer, Cut, Refused) as error:
            return [f"exec in {name}: {error}"]

    def _exec_code(self, session: str) -> str | None:
        document = self._call("GET", f"/exec/{session}/json")
        code = document.get("ExitCode")
        return None if code == 42 and not document["Running"] else f"it says {code}"

    def _runs(self) -> list[str]:
        """A new container does its work; an image that cannot be used is loaded again."""
        try:
            try:
                made = self._make("new", ["/bin/sh", "-c", "exit 7"])
            except Answer:
                self.node.load_image()
                made = self._make("new", ["/bin/sh", "-c", "exit 7"])
            self.ids.pop("new")
            self._call("POST", f"/containers/{made}/start")
            code = self._call("POST", f"/containers/{made}/wait")["StatusCode"]
            self._call("DELETE", f"/containers/{made}", {"force": "1"})
            return [] if code == 7 else [f"a new container ended with {code}"]
        except (Answer, Cut, Refused) as error:
            return [f"a new container: {error}"]

    @staticmethod
    def _wait(what: str, look: Any) -> list[str]:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                problem = look()
                if problem is None:
                    return []
            except Answer as error:
                problem = str(error)
            except (Cut, Refused) as error:
                return [f"{what}: {error}"]
            if time.monotonic() > deadline:
                return [f"{what}: {problem}"]
            time.sleep(0.05)


def _since(pid: int) -> str:
    """When a process began; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    except OSError:
        return ""


def _steady(document: dict[str, Any]) -> dict[str, Any]:
    """An inspection without what comes and goes."""
    steady = json.loads(json.dumps(document))
    steady.pop("ExecIDs", None)
    return steady


def _is_same_time(one: str, other: str) -> bool:
    """Whether both are times within a second: what stands in a database and what a shim has noted were not taken at once."""
    try:
        times = [datetime.fromisoformat(text[:19]).timestamp() for text in (one, other) if text[19:20] == "." and text[-1:] == "Z"]
    except ValueError:
        return False
    return len(times) == 2 and abs(times[0] - times[1]) <= 1


def _differences(place: str, before: Any, now: Any) -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        return [each for key in sorted(before.keys() | now.keys())
                for each in _differences(f"{place}.{key}", before.get(key), now.get(key))]
    if isinstance(before, str) and isinstance(now, str) and _is_same_time(before, now):
        return []
    return [] if before == now else [f"{place} was {str(before)[:120]} and is {str(now)[:120]}"]
