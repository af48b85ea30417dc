"""The manager's part of tools/bench: how fast it is back, and that a sick container slows nobody."""

import concurrent.futures
import http.client
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import time


# What docs/performance.md promises, in seconds.
BUDGETS = {"API answers": 0.3, "all adopted": 3, "shims replaced": 5, "p99": 0.010}


def hold(options, budget, seconds, what):
    """With --check: ends the benchmark when so much more than promised was taken."""
    if options.check and seconds > BUDGETS[budget] * options.check:
        raise SystemExit(f"{what}: {budget} {seconds:.3f} s, more than {options.check:g} x {BUDGETS[budget]} s")


class API(http.client.HTTPConnection):
    """Requests over the manager's socket, on one connection."""

    def __init__(self, path):
        super().__init__("berth")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(self.path)

    def json(self, path):
        self.request("GET", "/v1.41" + path)
        answer = self.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise OSError(f"{path}: {answer.status} {body[:200]}")
        return json.loads(body)


class Manager:
    """A manager of the benchmark's own that can be killed and started again."""

    def __init__(self, place, image, call):
        self.place, self.image, self.call = place, image, call
        self.folder = place.path + "/berth"
        self.socket = self.folder + "/state/berth.sock"
        self.client = [place.product("berth"), "--host", "unix://" + self.socket]
        os.makedirs(self.folder)
        self.log = open(place.path + "/berthd.log", "wb")
        place.stack.callback(self.log.close)
        self.process = None
        self.start()
        self.until(lambda: True)
        call(*self.client, "load", "-i", place.image)

    def start(self):
        began = time.perf_counter()
        self.process = subprocess.Popen([self.place.product("berthd"), "--root", self.folder + "/root", "--state",
                                         self.folder + "/state"], stdout=self.log, stderr=self.log)
        return began

    def until(self, condition, limit=60):
        """The time when a condition holds, asked as often as the manager answers; it is asked from its start on."""
        deadline = time.monotonic() + limit
        while time.monotonic() < deadline:
            try:
                if condition():
                    API(self.socket).json("/containers/json?limit=1")
                    return time.perf_counter()
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.002)
        raise SystemExit("berthd: not within the time: " + open(self.log.name, encoding="utf-8").read()[-2000:])

    def adopting(self):
        return API(self.socket).json("/info")["Berth"]["Adopting"]

    def kill(self):
        self.process.kill()
        self.process.wait()

    def run(self, *arguments):
        return self.call(*self.client, "run", "-d", "--network", "none", *arguments).split()[-1]

    def run_many(self, count):
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            return list(pool.map(lambda _: self.run(self.image, "sleep", "36000"), range(count)))

    def bundle(self, container):
        return f"{self.folder}/state/containers/{container}"

    def freeze_shim(self, container):
        with open(self.bundle(container) + "/shim.pid", encoding="utf-8") as file:
            pid = json.load(file)["pid"]
        os.kill(pid, signal.SIGSTOP)
        return pid

    def break_socket(self, container):
        """A file of garbage in the place of a shim's socket; the socket is kept beside it."""
        path = self.bundle(container) + "/shim.sock"
        os.rename(path, path + ".kept")
        with open(path, "wb") as file:
            file.write(os.urandom(4096))

    def remove_all(self):
        ids = subprocess.run(self.client + ["ps", "-aq"], stdout=subprocess.PIPE).stdout.decode().split()
        for start in range(0, len(ids), 100):
            subprocess.run(self.client + ["rm", "-f"] + ids[start:start + 100], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        self.process.terminate()
        self.process.wait(20)


def private_kilobytes(pid):
    """Private memory without and with what is mapped of the program's own file: its code is page cache, private to the only process of it."""
    executable = str(os.stat(f"/proc/{pid}/exe").st_ino)
    without, whole, own = 0, 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as file:
        for line in file:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                own = words[4] == executable
            elif words[0] in ("Private_Dirty:", "Private_Clean:"):
                whole += int(words[1])
                # What was written is the process's own, whatever it was mapped from.
                without += int(words[1]) if not own or words[0] == "Private_Dirty:" else 0
    return without, whole


def restart_once(manager, sick):
    manager.kill()
    began = manager.start()
    answers = manager.until(lambda: True)
    adopted = manager.until(lambda: manager.adopting() <= sick)
    return answers - began, adopted - began


def bench_restart(place, options, image, call):
    place.make_image()
    manager = Manager(place, image, call)
    place.stack.callback(manager.remove_all)
    ids = manager.run_many(options.containers)
    print(f"{'':34}{'API answers':>14}{'all adopted':>14}   seconds, median [best … worst]")

    def measure(label, sick):
        rounds = [restart_once(manager, sick) for _ in range(options.rounds)]
        cells = []
        for values in zip(*rounds):
            cells.append(f"{statistics.median(values):8.3f} [{min(values):.3f} … {max(values):.3f}]")
        print(f"{label:34}" + "  ".join(cells) + f"   load {os.getloadavg()[0]:.1f}")
        for budget, values in zip(("API answers", "all adopted"), zip(*rounds)):
            hold(options, budget, statistics.median(values), label)

    measure(f"{options.containers} containers", 0)
    frozen = manager.freeze_shim(ids[0])
    manager.break_socket(ids[1])
    try:
        measure("… one shim frozen, one socket bad", 2)
        without, whole = private_kilobytes(manager.process.pid)
        print(f"berthd: {without} KiB private memory, {whole} KiB with the clean pages of its own program")
    finally:
        os.kill(frozen, signal.SIGCONT)
        path = manager.bundle(ids[1]) + "/shim.sock"
        os.rename(path + ".kept", path)


def bench_shims(place, options, image, call):
    """All shims run another program; their processes and those of the containers stay."""
    place.make_image()
    manager = Manager(place, image, call)
    place.stack.callback(manager.remove_all)
    ids = manager.run_many(options.containers)
    programs = []
    for name in ("one", "other"):
        os.makedirs(f"{place.path}/{name}")
        programs.append(shutil.copy(place.product("berth-shim-native"), f"{place.path}/{name}"))

    def processes():
        pids = {}
        for each in ids:
            with open(manager.bundle(each) + "/shim.pid", encoding="utf-8") as file:
                pids[each] = json.load(file)["pid"]
        return pids

    before, times = processes(), []
    for number in range(options.rounds):
        program = programs[number % 2]
        began = time.perf_counter()
        call(*manager.client, "shim", "upgrade", "--all", "--binary", program)
        times.append(time.perf_counter() - began)
        wrong = [pid for pid in before.values() if os.stat(f"/proc/{pid}/exe").st_ino != os.stat(program).st_ino]
        if wrong or processes() != before:
            raise SystemExit(f"after upgrade {number} {len(wrong)} of {len(ids)} shims do not run {program}")
    running = len(API(manager.socket).json("/containers/json"))
    print(f"{len(ids)} shims upgraded, {options.rounds} times: median {statistics.median(times):.2f} s "
          f"[{min(times):.2f} … {max(times):.2f}]; {running} containers run, in the same processes; "
          f"load {os.getloadavg()[0]:.1f}")
    if running != len(ids):
        raise SystemExit(f"{len(ids) - running} containers do not run any more")
    hold(options, "shims replaced", statistics.median(times), f"{len(ids)} shims")


def frozen_disk(place, call):
    """A small ext4 of the benchmark's own mount namespace, and how to thaw it."""
    folder, image = place.path + "/disk", place.path + "/disk.img"
    os.makedirs(folder)
    call("truncate", "-s", "32M", image)
    call("mkfs.ext4", "-q", image)
    call("mount", "-o", "loop", image, folder)
    place.stack.callback(subprocess.run, ["umount", "-l", folder])
    return folder


def bench_list(place, options, image, call):
    place.make_image()
    disk = frozen_disk(place, call)
    manager = Manager(place, image, call)
    place.stack.callback(manager.remove_all)
    ids = manager.run_many(options.containers)
    writer = manager.run("-v", f"{disk}:/data", image, "sh", "-c", "while :; do echo x >/data/x; sleep 0.02; done")

    def percentile(values, share):
        return sorted(values)[min(len(values) - 1, int(len(values) * share))] * 1000

    def measure(label):
        api = API(manager.socket)
        for name, path in (("list", lambda n: "/containers/json"), ("inspect", lambda n: f"/containers/{ids[n % len(ids)]}/json"),
                           ("inspect of the sick", lambda n: f"/containers/{(ids[0], writer)[n % 2]}/json")):
            times = []
            for number in range(options.requests):
                began = time.perf_counter()
                api.json(path(number))
                times.append(time.perf_counter() - began)
            print(f"{label:12}{name:22}{percentile(times, 0.5):10.2f}{percentile(times, 0.99):10.2f}{max(times) * 1000:10.2f}"
                  f"   load {os.getloadavg()[0]:.1f}")
            hold(options, "p99", percentile(times, 0.99) / 1000, f"{label}, {name}")

    print(f"{options.containers} containers, {options.requests} requests each, ms{'median':>12}{'p99':>10}{'most':>10}")
    measure("all well")
    frozen = manager.freeze_shim(ids[0])
    call("fsfreeze", "-f", disk)
    try:
        stop = subprocess.Popen(manager.client + ["stop", "-t", "0", writer], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        measure("two sick")
        stop.wait(60)
        measure("one stuck")
    finally:
        subprocess.run(["fsfreeze", "-u", disk], check=True)
        os.kill(frozen, signal.SIGCONT)
