"""The programs: what they are made of, how they run, and what they ask for by name."""

from __future__ import annotations

import platform
from dataclasses import dataclass, field
from pathlib import Path

from .images import Extra

SCRIPTS = Path(__file__).resolve().parent / "acceptance"

# What every image of packages has. usr-is-merged spares it perl.
BASE = ["base-files", "base-passwd", "bash", "coreutils", "dash", "diffutils", "findutils", "grep", "hostname", "libc-bin", "procps",
        "sed", "usr-is-merged"]
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# What the scripts of the packages would have added to /etc/passwd: name -> (number, home).
USERS = {
    "root": (0, "/root"), "www-data": (33, "/var/www"), "redis": (101, "/var/lib/redis"), "postgres": (102, "/var/lib/postgresql"),
    "sshd": (103, "/run/sshd"), "memcache": (104, "/nonexistent"), "app": (1000, "/home/app"), "nobody": (65534, "/nonexistent"),
}


@dataclass(frozen=True)
class Program:
    """One program in an image of its own.

    Without `server` the acceptance script is the container's process. With it the server is, and the script is executed
    beside it; then the server is stopped and has to end with `server_ends`.
    """

    name: str
    packages: list[str]
    about: str
    server: list[str] = field(default_factory=list)
    server_ends: int = 0
    user: str = ""
    capabilities: list[str] = field(default_factory=list)
    temporary: list[str] = field(default_factory=list)
    # Dangerous calls that it really needs, which learning takes up only when they are named.
    named_calls: list[str] = field(default_factory=list)
    extras: list[Extra] = field(default_factory=list)

    @property
    def image(self) -> str:
        return f"berth-programs/{self.name}:test"

    @property
    def script(self) -> Extra:
        """The acceptance script, which its first line runs."""
        (file,) = SCRIPTS.glob(f"{self.name}.*")
        return Extra("acceptance", content=file.read_bytes(), mode=0o755)

    @property
    def options(self) -> list[str]:
        """Options of `berth run` that belong to the program, whatever confines it."""
        words = [word for path in self.temporary for word in ("--tmpfs", path)]
        words += [word for name in self.capabilities for word in ("--cap-add", name)]
        return words + (["--user", self.user] if self.user else [])


def base_extras() -> list[Extra]:
    """Files of the base layer that the scripts of packages make, and places to mount on."""
    passwd = "".join(f"{name}:x:{number}:{number}::{home}:/bin/sh\n" for name, (number, home) in USERS.items())
    group = "".join(f"{name}:x:{number}:\n" for name, (number, _) in USERS.items())
    # The password "*" can never be given, and does not lock the account as "!" does.
    shadow = "".join(f"{name}:*:19000:0:99999:7:::\n" for name in USERS)
    places = [Extra(name, mode=0o755) for name in ("dev", "proc", "sys", "run", "root", "etc", "var", "var/lib")]
    return [*places, Extra("tmp", mode=0o1777), Extra("var/tmp", mode=0o1777),
            Extra("etc/passwd", passwd.encode()), Extra("etc/group", group.encode()), Extra("etc/shadow", shadow.encode(), mode=0o600),
            Extra("etc/hosts", b"127.0.0.1 localhost\n"),
            Extra("home/app", mode=0o755, owner=1000), Extra("usr/bin/awk", link="mawk")]


NGINX = b"""server {
    listen 127.0.0.1:8080;
    root /var/www/html;
    gzip on;
    gzip_types text/plain;
    location /private { auth_basic_user_file /nowhere; deny all; }
    location /upstream { proxy_pass http://127.0.0.1:8080/; }
}
"""

BUSYBOX = Program("busybox", [], "httpd with CGI, wget, archives, pipes", temporary=["/srv:exec,mode=1777"], extras=[Extra("srv")])

PROGRAMS = [
    BUSYBOX,
    Program("nginx", ["nginx", "curl"], "files, ranges, compression, a proxy, a reload",
            server=["nginx", "-g", "daemon off;"], capabilities=["CHOWN", "SETGID", "SETUID"],
            temporary=["/var/log/nginx", "/var/lib/nginx"],
            extras=[Extra("etc/nginx/sites-enabled/default", NGINX),
                    Extra("var/www/html/index.html", b"<h1>it works</h1>\n"),
                    Extra("var/www/html/large.txt", b"".join(b"line %07d\n" % line for line in range(100_000)))]),
    Program("redis", ["redis-server"], "keys, Lua, a snapshot by a child, the log rewritten",
            server=["redis-server", "--bind", "127.0.0.1", "--dir", "/data", "--appendonly", "yes"], user="redis",
            temporary=["/data:mode=1777"], extras=[Extra("data")]),
    Program("postgresql", ["postgresql-15"], "initdb, tables, an index, parallel queries, vacuum, restart", user="postgres",
            temporary=["/var/lib/postgresql:mode=1777"]),
    Program("sqlite3", ["sqlite3"], "transactions, WAL with two processes, backup, integrity"),
    Program("python3", ["python3"], "threads, processes, asyncio, sockets, files, sqlite"),
    Program("perl", ["perl"], "fork, pipes, threads, sockets, files"),
    Program("node", ["nodejs"], "http, child process, worker threads, files, zlib, crypto"),
    Program("git", ["git"], "init, commit, merge, clone over a pipe and over TCP, gc, fsck"),
    Program("curl", ["curl", "busybox-static", "openssl"], "http, https, ranges, parallel transfers, upload"),
    Program("gcc", ["gcc", "g++", "make"], "C and C++ with threads compiled by make, and run",
            temporary=["/work:exec,mode=1777"], extras=[Extra("work")]),
    Program("memcached", ["memcached"], "set, get, incr, cas, expiry by its protocol",
            server=["memcached", "-l", "127.0.0.1", "-t", "2"], user="memcache"),
    Program("openssh", ["openssh-server", "openssh-client"], "keys, a command, a terminal, sftp, a forwarded port",
            capabilities=["CHOWN", "FOWNER", "DAC_OVERRIDE", "KILL", "SETGID", "SETUID", "SYS_CHROOT"],
            # Where it cannot ask for the audit of logins, it lets nobody in.
            named_calls=["chroot", "socket:AF_NETLINK/NETLINK_AUDIT"]),
]


def supported() -> bool:
    """Whether the hostile program and the images are for this machine."""
    return platform.machine() == "x86_64"
