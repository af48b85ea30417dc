"""Writers whose manager is away for long, and is then replaced: Berth, and containerd beside it.

Twenty writers together write 50 MB/s. The manager is killed, and nobody starts it for a time; then it and the shims are replaced.
containerd gets the same writers twice: with logs that its shims write to files, and with output that its manager reads
through pipes, as its CRI part and Docker do; there `ctr` is that reader, and goes and comes with containerd.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from .builds import Build
from .ledger import Books, Ending, Ledger, Made
from .logs import Account, Follower, Tail
from .node import Node
from .place import Place, Trouble
from .rotation import Limit, Watch
from .workloads import document

RECORD = 1024
LIMIT = 10 << 20
FILES = 3


class Away:
    """The experiment: how many writers, how fast together, how long nobody is there."""

    def __init__(self, place: Place, writers: int, megabytes: float, seconds: float) -> None:
        self.place = place
        self.writers = writers
        self.rate = int(megabytes * 1e6 / writers)
        self.seconds = seconds

    def words(self, name: str) -> list[str]:
        return ["/bin/worker", name, "write", "0", str(self.rate), "n", str(RECORD)]

    def written(self, names: list[str]) -> int:
        return sum(sum(Books(self.place.shared, name).written()) for name in names)

    # Berth

    def berth(self, old: Build, new: Build) -> dict[str, object]:
        node, ledger, follower = Node(self.place, old), Ledger(self.place.shared), Follower(0.25)
        try:
            node.start()
            node.load_image()
            made = [self._start(node, ledger, follower, index) for index in range(self.writers)]
            names = [each.name for each in made]
            time.sleep(3)
            before = self.written(names)
            node.kill()
            time.sleep(self.seconds)
            away = self.written(names) - before
            node.start()
            how = [node.upgrade(new), node.upgrade_shims(new)]
            wrong = node.wrong_programs()
            time.sleep(3)
            for each in made:
                node.api.patiently("POST", f"/containers/{each.id}/stop", {"t": "20"})
            watches = [watch for name in names if (watch := follower.watch(name))]
            accounts, remains = zip(*[follower.finish(name) for name in names])
            codes = {node.inspect(name)["State"]["ExitCode"] for name in names}
        finally:
            follower.close()
            left = node.take_down()
        return {
            "builds": f"{old.version} to {new.version}",
            "manager and shims replaced": ", ".join(how),
            "MB/s while the manager was away": round(away / self.seconds / 1e6, 1),
            "MB written": round(self.written(names) / 1e6, 1),
            "bytes lost": sum(account.lost for account in accounts) * RECORD,
            "records doubled": sum(account.doubled for account in accounts),
            "records reordered": sum(account.reordered for account in accounts),
            "records changed": sum(account.changed for account in accounts),
            "largest file at any time, MiB": round(max(watch.largest for watch in watches) / (1 << 20), 3),
            "most files of a log at any time": max(watch.most for watch in watches),
            "looks at the files of a log": min(watch.looks for watch in watches),
            "exit codes": sorted(codes),
            "problems": judge([*accounts, *remains], watches, self.written(names) // len(names)) + wrong + left,
        }

    def _start(self, node: Node, ledger: Ledger, follower: Follower, index: int) -> Made:
        made = ledger.add(Made(f"writer-{index}", "writer", Ending(code=0)))
        log = {"Type": "json-file", "Config": {"max-size": str(LIMIT), "max-file": str(FILES)}}
        request = document(node, made, self.words(made.name)[2:], LogConfig=log)
        made.id = node.api.call("POST", "/containers/create", {"name": made.name}, request)["Id"]
        node.api.call("POST", f"/containers/{made.id}/start")
        made.notes["log"] = node.inspect(made.id)["LogPath"]
        tail = Tail(made.notes["log"], ledger.books(made), record=RECORD, limit=Limit(LIMIT, FILES))
        follower.follow(made.name, tail)
        return made

    # containerd beside it

    def containerd(self, through_pipes: bool) -> dict[str, object]:
        """Its shims write files, or its manager reads pipes."""
        for program in ("containerd", "ctr", "runc"):
            if shutil.which(program) is None:
                raise Trouble(f"{program} is missing: install containerd and runc, or leave --beside out")
        with ExitStack() as stack:
            return _Containerd(self, stack, through_pipes).run()


def judge(accounts: list[Account], watches: list[Watch], written: int) -> list[str]:
    """What contradicts that nothing is lost and that rotation keeps to its limits: here nothing excuses anything.

    `written` is what each of the writers has written, in bytes.
    """
    problems = [text for account in accounts if not account.clean for text in account.problems]
    for watch in watches:
        problems += watch.problems + watch.too_large() + watch.gaps
        # Whoever has written more than all files take must have as many as are allowed.
        if written > watch.limit.files * watch.limit.size and watch.most != watch.limit.files:
            problems.append(f"{os.path.basename(watch.path)}: at most {watch.most} of {watch.limit.files} files were there")
    problems += [f"{account.dropped} bytes were dropped" for account in accounts if account.dropped]
    return problems[:20]


class _Containerd:
    def __init__(self, away: Away, stack: ExitStack, through_pipes: bool) -> None:
        self.away = away
        self.through_pipes = through_pipes
        self.folder = away.place.scratch / ("containerd-pipes" if through_pipes else "containerd-files")
        self.folder.mkdir()
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        (self.folder / "config.toml").write_text('version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n')
        self.client = ["ctr", "--address", str(self.folder / "sock")]
        self.names = [f"{'pipe' if through_pipes else 'file'}-{index}" for index in range(away.writers)]
        self.readers: list[subprocess.Popen[bytes]] = []
        self.daemon: subprocess.Popen[bytes] | None = None
        stack.callback(self._end)

    def run(self) -> dict[str, object]:
        self._start()
        _call([*self.client, "images", "import", "--all-platforms", str(self.away.place.image())])
        self.image = _call([*self.client, "images", "ls", "-q"]).split()[0]
        for name in self.names:
            self._task(name)
        time.sleep(3)
        before = self.away.written(self.names)
        self._stop_manager()
        time.sleep(self.away.seconds)
        rate = (self.away.written(self.names) - before) / self.away.seconds / 1e6
        self._start()
        if self.through_pipes:
            self.readers = [self._reader([*self.client, "tasks", "attach", name], name) for name in self.names]
        time.sleep(3)
        running = _call([*self.client, "tasks", "ls"]).count("RUNNING")
        for name in self.names:
            subprocess.run([*self.client, "tasks", "kill", "-s", "SIGTERM", name], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)
        time.sleep(2)
        accounts = [self._account(name) for name in self.names]
        return {
            "build": _call(["containerd", "--version"]).split()[2],
            "MB/s while the manager was away": round(rate, 1),
            "MB written": round(self.away.written(self.names) / 1e6, 1),
            "writers that live after it": running,
            "bytes lost": sum(account.lost for account in accounts) * RECORD,
            "records doubled": sum(account.doubled for account in accounts),
            "records changed": sum(account.changed for account in accounts),
            "largest file, MiB": round(max(os.path.getsize(self._log(name)) for name in self.names) / (1 << 20), 1),
        }

    def _log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    def _account(self, name: str):
        tail = Tail(str(self._log(name)), Books(self.away.place.shared, name), record=RECORD, plain=True)
        try:
            return tail.finish()
        finally:
            tail.close()

    def _start(self) -> None:
        with open(self.folder / "containerd.log", "ab") as log:
            self.daemon = subprocess.Popen(
                ["containerd", "--config", str(self.folder / "config.toml"), "--root", str(self.folder / "root"), "--state",
                 str(self.folder / "state"), "--address", str(self.folder / "sock")], stdout=log, stderr=log)
        deadline = time.monotonic() + 20
        while subprocess.run([*self.client, "version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                             check=False).returncode:
            if time.monotonic() > deadline:
                raise Trouble(f"containerd did not come up: {(self.folder / 'containerd.log').read_text()[-500:]}")
            time.sleep(0.05)

    def _task(self, name: str) -> None:
        mount = f"type=bind,src={self.away.place.shared},dst=/h,options=rbind:rw"
        words = ["--mount", mount, "--cgroup", f"{self.away.place.cgroup}/{name}", self.image, name, *self.away.words(name)]
        if self.through_pipes:
            self.readers.append(self._reader([*self.client, "run", *words], name))
        else:
            subprocess.run([*self.client, "run", "-d", "--log-uri", f"file://{self._log(name)}", *words], check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _reader(self, command: list[str], name: str) -> subprocess.Popen[bytes]:
        with open(self._log(name), "ab") as log:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.DEVNULL,
                                    start_new_session=True)

    def _stop_manager(self) -> None:
        for reader in self.readers:
            reader.send_signal(signal.SIGKILL)
            reader.wait()
        if self.daemon:
            self.daemon.terminate()
            self.daemon.wait(20)

    def _end(self) -> None:
        if self.daemon is None or self.daemon.poll() is not None:
            self._start()
        for name in self.names:
            for words in (["tasks", "kill", "-s", "SIGKILL", name], ["tasks", "rm", "-f", name], ["containers", "rm", name]):
                subprocess.run([*self.client, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
                               timeout=30)
        self._stop_manager()


def _call(command: list[str]) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise Trouble(f"{' '.join(command)}: {done.stdout.decode(errors='replace').strip()}")
    return done.stdout.decode(errors="replace")
