"""The one checker. Each invariant is a method that returns what contradicts it; docs/upgrades.md says what each means."""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .api import Answer
from .ledger import LAST_BREATH, Ledger, Made
from .logs import Account
from .node import Node, command_line
from .place import hierarchies
from .runs import unknown_reason
from .sessions import Poller
from .workloads import Mix

# What only a shim's memory had when it was killed: one read of a pipe, in bytes.
SHIM_MEMORY = 64 << 10
# By how much a log may exceed its limit whose shim has no descriptor for the next file: what is written in the time of one fault
# and until the next try.
STARVED_LOG = 1 << 20
NAMESPACE = re.compile(r"(net|mnt|pid|user|ipc|uts|cgroup|time):\[(\d+)\]")


@dataclass
class Result:
    """What one look came to."""

    step: str
    problems: dict[str, list[str]] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> list[str]:
        return [name for name, problems in self.problems.items() if problems]


class Checker:
    """Holds a node against the ledger."""

    def __init__(self, node: Node, ledger: Ledger, mix: Mix | None, poller: Poller | None = None) -> None:
        self._node = node
        self._ledger = ledger
        self._mix = mix
        self._poller = poller
        # The beginning, before any container: what is there at the end and was not there then was left over.
        self._mounts = _mounts()
        self._addresses_before = _addresses()
        self._files = self._all_files()
        self._descriptors: Counter[str] = Counter()
        self._kept: dict[str, int] = {}
        self._harness = os.getpid()

    def baseline(self) -> None:
        """Looks at the manager at rest, with its image and without containers."""
        self._files = self._all_files()
        self._descriptors = _descriptors(self._node.pid)
        self._kept = self._kept_namespaces()

    # Looks

    def during(self, step: str) -> Result:
        """While the workloads run."""
        return self._look(step, {
            "exit codes": self._exit_codes,
            "one instance": self._one_instance,
            "processes": self._processes,
            "mounts": self._mount_table,
            "logs": self._logs,
            "rotation": self._rotation,
            "sessions": self._sessions,
            "ids": self._ids,
            "names": self._names,
            "health": self._health,
            "restarts": self._restarts,
        })

    def after_end(self, step: str) -> Result:
        """When every workload has ended, and is there still."""
        return self._look(step, {
            "exit codes": self._exit_codes,
            "one instance": self._one_instance,
            "processes": self._processes,
            "logs": self._final_logs,
            "rotation": self._final_rotation,
            "events": self._events,
            "names": self._names,
        })

    def after_removal(self, step: str) -> Result:
        """When everything is removed, and the manager runs."""
        return self._look(step, {
            "exit codes": self._exit_codes,
            "one instance": self._one_instance,
            "events": self._events,
            "names": self._names,
            "processes": self._processes,
            "mounts": self._mount_table,
            "cgroups": self._cgroups,
            "namespaces": self._namespaces,
            "addresses": self._addresses,
            "files": self._left_files,
            "descriptors": self._left_descriptors,
        })

    def _look(self, step: str, checks: dict[str, Callable[[], list[str]]]) -> Result:
        result = Result(step)
        for name, check in checks.items():
            # What goes away by itself gets a moment: ends of processes are events of the kernel's.
            deadline = time.monotonic() + 8
            while True:
                try:
                    problems = check()
                except (Answer, TimeoutError, OSError) as error:
                    problems = [f"could not be checked: {type(error).__name__} {error}"]
                if not problems or time.monotonic() > deadline:
                    break
                time.sleep(0.1)
            result.problems[name] = problems
        return result

    # Invariants

    def _exit_codes(self) -> list[str]:
        """Wait, inspect, the record on disk and the event say how it really ended."""
        problems = list(self._ledger.wrong)
        for each in self._node.list():
            made = self._ledger.by_id(each["Id"])
            if made is None or each["State"] != "exited":
                continue
            state = self._node.inspect(each["Id"])["State"]
            problems += self._judge(made, state["ExitCode"], unknown_reason(state), "inspect")
            problems += self._record(made, each["Id"])
        return problems

    def _judge(self, made: Made, code: int, reason: str, where: str, window: tuple[float, float] | None = None) -> list[str]:
        problem = self._ledger.contradiction(made, code, reason, where, window)
        return [problem] if problem else []

    def _record(self, made: Made, container: str) -> list[str]:
        """The record of the last run says the same; only of a run that nobody saw end there may be none."""
        records = sorted((self._node.root / "containers" / container).glob("exit-*.json"), key=lambda path: path.stat().st_mtime_ns)
        if not records:
            books = self._ledger.books(made)
            if books.starts == 0 or self._ledger.witnesses.may_be_unknown(made.name, *self._ledger.window(made)):
                return []
            return [f"{made.name}: no exit record of {books.starts} runs"]
        try:
            status = json.loads(records[-1].read_text())["status"]
        except (ValueError, KeyError) as error:
            return [f"{records[-1]}: {error}"]
        code = status["code"] if "code" in status else 128 + status["signal"] if "signal" in status else 255
        return self._judge(made, code, status.get("unknown", ""), records[-1].name)

    def _one_instance(self) -> list[str]:
        """No two instances of a container at any time: each holds a lock as long as anything of it lives."""
        problems = [f"{made.name}: {doubles} instances began while another lived"
                    for made in self._ledger.all() if (doubles := self._ledger.books(made).doubles)]
        seen: dict[str, list[int]] = {}
        for pid, container in self._node.shim_processes():
            seen.setdefault(container, []).append(pid)
        return problems + [f"{container[:12]} has {len(pids)} shims: {pids}" for container, pids in seen.items()
                           if len(pids) > 1]

    def _processes(self) -> list[str]:
        """Every process of this machine is the harness's, the manager, a shim, or in the cgroup of a live container."""
        active = {each["Id"] for each in self._node.list() if each["State"] in ("running", "paused", "restarting")}
        shims = dict(self._node.shim_processes())
        ours = self._family()
        problems = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            pid = int(entry)
            if pid in ours or pid == self._node.pid:
                continue
            try:
                stat = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
                groups = Path(f"/proc/{pid}/cgroup").read_text()
            except OSError:
                continue
            if stat[0] == "Z":
                problems.append(f"process {pid} is a zombie of {stat[1]}")
            elif pid in shims:
                if shims[pid] not in active and not self._is_known(shims[pid]):
                    problems.append(f"process {pid} is the shim of {self._name(shims[pid])}, which is gone: {_doing(pid)}")
            elif not any(container in groups for container in active):
                words = b" ".join(command_line(pid)).decode(errors="replace")
                problems.append(f"process {pid} ({words[:80]}) belongs to no live container")
        return problems

    def _name(self, container: str) -> str:
        made = self._ledger.by_id(container)
        return f"{made.name} ({container[:12]})" if made else container[:12]

    def _is_known(self, container: str) -> bool:
        return any(each["Id"] == container for each in self._node.list())

    def _family(self) -> set[int]:
        """The harness and its children that are not the manager: process 1 is its parent."""
        family = {1, self._harness}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                parent = int(Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
            if parent == self._harness:
                family.add(int(entry))
        return family

    def _mount_table(self) -> list[str]:
        """The machine's mounts are those of the beginning."""
        now = _mounts()
        # When somebody outside removes a directory, what was mounted on it goes in every namespace.
        gone = [line for line in sorted(self._mounts - now) if os.path.lexists(line.split()[1])]
        return [f"mount left over: {line}" for line in sorted(now - self._mounts)] + [f"mount is gone: {line}" for line in gone]

    def _cgroups(self) -> list[str]:
        """No cgroup below the containers' parent."""
        return [f"cgroup left over: {path}" for hierarchy in hierarchies()
                for path in (hierarchy / self._node.place.cgroup.strip("/")).glob("*/")]

    def _namespaces(self) -> list[str]:
        """No namespace is kept by a mount, nor by a descriptor of the manager that it had not at the beginning."""
        problems = [f"a mount keeps a namespace: {line}" for line in _mounts() if " nsfs " in line]
        for kind, count in self._kept_namespaces().items():
            if count > self._kept.get(kind, 0):
                problems.append(f"the manager keeps {count} namespaces of kind {kind}, {self._kept.get(kind, 0)} before")
        return problems

    def _kept_namespaces(self) -> dict[str, int]:
        """How many namespaces of each kind the manager's descriptors keep."""
        found = set()
        for entry in Path(f"/proc/{self._node.pid}/fd").iterdir():
            try:
                target = os.readlink(entry)
            except OSError:
                continue
            if match := NAMESPACE.fullmatch(target):
                found.add(match.groups())
        kinds = [kind for kind, _ in found]
        return {kind: kinds.count(kind) for kind in set(kinds)}

    def _addresses(self) -> list[str]:
        """No network device and no address beside those of the beginning."""
        return [f"left over: {line}" for line in sorted(_addresses() - self._addresses_before)]

    def _left_files(self) -> list[str]:
        """The directories hold what they held at the beginning."""
        return [f"file left over: {path}" for path in sorted(self._all_files() - self._files)]

    def _all_files(self) -> set[str]:
        """Files of root and state, without the database and its journal, and without what is kept to be used again."""
        found = set()
        for top in (self._node.root, self._node.state):
            for folder, folders, files in os.walk(top):
                relative = os.path.relpath(folder, top)
                if relative in ("content", "snapshots/layers", "seccomp"):
                    folders.clear()
                    continue
                found.update(f"{top.name}/{os.path.normpath(os.path.join(relative, name))}" for name in files + folders
                             if not name.startswith("berth.db"))
        return found

    def _left_descriptors(self) -> list[str]:
        """The manager has no more descriptors than at the beginning; a few are its clients' and its threads'."""
        now = _descriptors(self._node.pid)
        more = now - self._descriptors
        if self._descriptors and now.total() > self._descriptors.total() + 8:
            kinds = ", ".join(f"{count} {kind}" for kind, count in more.most_common(5))
            return [f"the manager has {now.total()} descriptors, at the beginning {self._descriptors.total()}; "
                    f"more than then: {kinds}"]
        return []

    def _logs(self) -> list[str]:
        """No byte of a writer is lost, doubled or moved so far."""
        if self._mix is None:
            return []
        accounts = self._mix.follower.accounts()
        problems = []
        for made in self._writers():
            account = accounts[made.name]
            before = made.notes.get("records", -1)
            problems += self._faults(made, account)
            if account.records <= before:
                problems.append(f"{made.name}: its log stands still at {before} records")
        if not problems:
            for made in self._writers():
                made.notes["records"] = accounts[made.name].records
        return problems

    def _final_logs(self) -> list[str]:
        if self._mix is None:
            return []
        return [problem for made in self._writers() for problem in self._faults(made, made.notes["account"])]

    def _writers(self) -> list[Made]:
        return [made for made in self._ledger.all() if made.notes.get("log")]

    def _faults(self, made: Made, account: Account) -> list[str]:
        """A shim that was killed takes along what only its memory had; nothing else is ever lost without being counted."""
        if account.clean or account.excused(len(made.shim_kills), made.untold, SHIM_MEMORY):
            return []
        return [f"{made.name}: {text}" for text in account.problems]

    def _rotation(self) -> list[str]:
        """At no time did a log take more than its limit, and no file went but the oldest."""
        problems = []
        for made in self._writers():
            watch = self._mix.follower.watch(made.name) if self._mix else None
            if watch is None or not watch.looks:
                problems.append(f"{made.name}: nobody looked at its files")
                continue
            # Who cannot open the next file goes on with the one that it has, and tries again after 256 KiB.
            problems += [f"{made.name}: {text}" for text in watch.problems + watch.too_large(made.starved, STARVED_LOG)]
            if not made.shim_kills:
                problems += [f"{made.name}: {text}" for text in watch.gaps]
        return problems

    def _final_rotation(self) -> list[str]:
        """What is left of each log is the end of the output, in one piece."""
        left = [problem for made in self._writers() for problem in self._faults(made, made.notes["remains"])]
        return self._rotation() + left

    def _sessions(self) -> list[str]:
        """Every session goes on, with every answer once and in order."""
        if self._mix is None:
            return []
        problems = []
        unheld = {made.id for made in self._ledger.all() if made.unheld}
        for session in self._mix.sessions:
            if session.by_shim and session.container in unheld:
                continue
            if session.problem is None and not session.progress(3, 25):
                problems.append(f"{session.name}: stands still after {session.answered} answers")
            if session.problem:
                problems.append(f"{session.name}: {session.problem}")
        return problems

    def _ids(self) -> list[str]:
        """No two containers share ids of a user namespace unless they were told to."""
        ranges = []
        for each in self._node.list():
            space = self._node.inspect(each["Id"]).get("Berth", {}).get("UserNamespace", {})
            if space.get("Mode") == "auto":
                ranges.append((space["HostID"], space["HostID"] + space["Size"], each["Names"][0]))
        ranges.sort()
        return [f"{a[2]} and {b[2]} share ids from {b[0]}" for a, b in zip(ranges, ranges[1:]) if b[0] < a[1]]

    def _names(self) -> list[str]:
        """List, inspect, ledger and the directories know the same containers by the same names."""
        listed = {each["Id"]: each["Names"][0].lstrip("/") for each in self._node.list()}
        problems = []
        for container, name in listed.items():
            for key in (container, name):
                found = self._node.inspect(key)
                if found["Id"] != container or found["Name"].lstrip("/") != name:
                    problems.append(f"inspect {key} gives {found['Name']} {found['Id'][:12]}, the list {name}")
        wanted = {made.id: made.name for made in self._ledger.all() if not made.removed and not made.automatic_removal}
        problems += [f"{name} is not in the list" for container, name in wanted.items() if container not in listed]
        problems += [f"{name} is in the list as {listed[container]}" for container, name in wanted.items()
                     if listed.get(container, name) != name]
        problems += [f"{listed[made.id]} is in the list, and was removed" for made in self._ledger.all()
                     if made.removed and made.id in listed]
        for folder in (self._node.root / "containers", self._node.state / "containers"):
            found = set(os.listdir(folder)) if folder.exists() else set()
            problems += [f"{folder}/{each} belongs to nobody" for each in found - listed.keys()]
        problems += [f"{name} has no directory" for container, name in listed.items()
                     if not (self._node.root / "containers" / container).exists()]
        return problems

    def _health(self) -> list[str]:
        """Probes go on, and say what is the case."""
        problems = []
        for made in self._ledger.all():
            if made.kind != "health" or made.removed:
                continue
            probes = self._ledger.books(made).probes
            if probes <= made.notes.get("probes", -1):
                problems.append(f"{made.name}: no probe since the last look ({probes})")
            status = self._node.inspect(made.id)["State"].get("Health", {}).get("Status")
            if status != "healthy":
                problems.append(f"{made.name}: is {status}, and every probe succeeds")
            if not problems:
                made.notes["probes"] = probes
        return problems

    def _restarts(self) -> list[str]:
        """A crash loop goes on, and its count is that of its starts."""
        problems = []
        for made in self._ledger.all():
            if not made.restarts or made.removed:
                continue
            books = self._ledger.books(made)
            before = books.starts
            found = self._node.inspect(made.id)
            count, state = found["RestartCount"], found["State"]
            after = books.starts
            # A restart in whose middle its shim was killed counts, and the program may not have begun.
            if not before - 2 <= count <= after + len(made.shim_kills):
                problems.append(f"{made.name}: RestartCount is {count}, and it was started {after} times")
            if not (state["Running"] or state["Restarting"]):
                problems.append(f"{made.name}: is {state['Status']} although it is started again and again")
        return problems

    def _events(self) -> list[str]:
        """Each container's events once each and in the only order that can be; what ended says how."""
        seen: dict[str, list[dict[str, Any]]] = {}
        last = 0
        problems = []
        for event in self._node.api.events(self._node.began - 10, time.time() + 1):
            if event.get("Type") != "container":
                continue
            seen.setdefault(event["Actor"]["ID"], []).append(event)
            last = max(last, event["timeNano"])
        for made in self._ledger.all():
            if made.id:
                problems += self._story(made, seen.get(made.id, []))
        return problems

    def _story(self, made: Made, events: list[dict[str, Any]]) -> list[str]:
        letters = {"create": "c", "start": "s", "die": "d", "destroy": "x"}
        story = "".join(letters.get(event["Action"], "") for event in events)
        ending = "x" if made.removed or (made.automatic_removal and made.started) else ""
        if not re.fullmatch(f"c(sd)*{ending}" if ending else "c(sd)*s?", story):
            told = ", ".join(f"{event['Action']} {event['timeNano'] / 1e9:.6f}" for event in events)
            return [f"{made.name}: events {story} ({told})"]
        problems = []
        began = 0.0
        for event in events:
            at = event["timeNano"] / 1e9
            if event["Action"] == "start":
                began = at
            if event["Action"] == "die":
                attributes = event["Actor"]["Attributes"]
                # The books have the time of the last end alone.
                window = (began - LAST_BREATH, at + LAST_BREATH) if made.restarts else None
                code = int(attributes.get("exitCode", "-1"))
                problems += self._judge(made, code, attributes.get("unknown", ""), "die event", window)
        starts = self._ledger.books(made).starts - made.failed_starts
        # As with a start that is undone: a restart in whose middle its shim was killed is none.
        if made.restarts:
            starts -= len(made.shim_kills)
        if story.count("s") < starts:
            problems.append(f"{made.name}: was started {starts} times, and {story.count('s')} events tell of it")
        return problems


def _mounts() -> set[str]:
    """The mount table without its numbers."""
    lines = set()
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        lines.add(" ".join(line.split()[3:]))
    return lines


def _doing(pid: int) -> str:
    """What a process waits for."""
    facts = []
    for name in ("wchan", "syscall"):
        try:
            facts.append(Path(f"/proc/{pid}/{name}").read_text().strip())
        except OSError:
            continue
    return ", ".join(facts)


def _addresses() -> set[str]:
    """Network devices and their addresses, without what changes by itself."""
    done = subprocess.run(["ip", "-brief", "address"], stdout=subprocess.PIPE, check=True)
    return set(done.stdout.decode().splitlines())


def _descriptors(pid: int) -> Counter[str]:
    """What a process has open, by kind: files by name, the rest without its number."""
    found: Counter[str] = Counter()
    try:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            target = os.readlink(entry)
            found[target if target.startswith("anon_inode") else target.split(":[")[0]] += 1
    except OSError:
        pass
    return found
