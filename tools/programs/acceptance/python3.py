#!/usr/bin/python3
"""Threads, processes, sockets, event loops and files."""

import asyncio
import concurrent.futures
import hashlib
import mmap
import multiprocessing
import os
import select
import signal
import socket
import socketserver
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def square(number: int) -> int:
    return number * number


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = self.path.encode() * 1000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def threads() -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(square, range(100))) == [n * n for n in range(100)]
    lock, total = threading.Lock(), [0]

    def add() -> None:
        for _ in range(1000):
            with lock:
                total[0] += 1
    several = [threading.Thread(target=add) for _ in range(4)]
    for each in several:
        each.start()
    for each in several:
        each.join()
    assert total[0] == 4000


def processes() -> None:
    done = subprocess.run(["sh", "-c", "cat; echo $MARK"], input=b"in ", capture_output=True, env={"MARK": "out"}, check=True)
    assert done.stdout == b"in out\n", done.stdout
    assert subprocess.run([sys.executable, "-c", "raise SystemExit(7)"], check=False).returncode == 7
    asleep = subprocess.Popen(["sleep", "60"])
    asleep.terminate()
    assert asleep.wait(10) == -signal.SIGTERM
    for method in ("fork", "spawn"):
        with multiprocessing.get_context(method).Pool(2) as pool:
            assert pool.map(square, range(20)) == [n * n for n in range(20)]
    child = os.fork()
    if child == 0:
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 3


def sockets() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever).start()
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/ab") as answer:
            assert answer.read() == b"/ab" * 1000
        server.shutdown()
    one, other = socket.socketpair()
    one.sendall(b"pair")
    assert select.select([other], [], [], 5)[0] and other.recv(9) == b"pair"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        datagrams.sendto(b"here", datagrams.getsockname())
        assert datagrams.recvfrom(9)[0] == b"here"
    with tempfile.TemporaryDirectory() as folder:
        class Echo(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(self.rfile.readline())
        with socketserver.UnixStreamServer(f"{folder}/s", Echo) as server:
            threading.Thread(target=server.handle_request).start()
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(f"{folder}/s")
                client.sendall(b"line\n")
                assert client.recv(9) == b"line\n"


async def loop() -> None:
    process = await asyncio.create_subprocess_exec("echo", "async", stdout=subprocess.PIPE)
    assert (await process.communicate())[0] == b"async\n"
    server = await asyncio.start_server(lambda reader, writer: (writer.write(b"served"), writer.close()), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    assert await reader.read() == b"served"
    writer.close()
    server.close()


def files() -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(os.urandom(65536))
        file.flush()
        with mmap.mmap(file.fileno(), 0) as view:
            assert hashlib.sha256(view).digest() == hashlib.sha256(open(file.name, "rb").read()).digest()
        os.utime(file.name, (1, 2))
        assert os.stat(file.name).st_mtime == 2
    with tempfile.TemporaryDirectory() as folder:
        database = sqlite3.connect(f"{folder}/db")
        database.execute("CREATE TABLE t (n)")
        database.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
        database.commit()
        assert database.execute("SELECT sum(n) FROM t").fetchone() == (4950,)
    caught = []
    signal.signal(signal.SIGALRM, lambda number, _: caught.append(number))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    end = time.monotonic() + 5
    while not caught and time.monotonic() < end:
        time.sleep(0.01)
    assert caught == [signal.SIGALRM]


if __name__ == "__main__":
    threads()
    processes()
    sockets()
    asyncio.run(loop())
    files()
    print("accepted")
