"""The images of the programs, made before any namespace is: later there is no way out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from harness.place import REPOSITORY, Trouble, run_checked

from .catalogue import BASE, PATH, Program, base_extras
from .debian import Debian
from .images import Extra, Image, Layer, Layers, write_archive

HOSTILE = REPOSITORY / "Tests" / "Support" / "hostile-calls" / "hostile-calls.c"


class Library:
    """Makes layers and archives in a directory that is kept."""

    def __init__(self, cache: Path) -> None:
        self.cache = cache
        cache.mkdir(parents=True, exist_ok=True)
        self._layers = Layers(cache)
        self._debian: Debian | None = None

    def archive(self, programs: list[Program], output: Path) -> None:
        """One archive with the images of all these programs."""
        hostile = self._hostile()
        write_archive([self._image(program, hostile) for program in programs], output)

    def _image(self, program: Program, hostile: Extra) -> Image:
        layers = [*self._layers_of(program), self._layers.make([], [program.script, hostile, *program.extras])]
        config = {"Env": [PATH], "Cmd": program.server or ["/acceptance"], "WorkingDir": "/"}
        return Image(program.image, layers, config)

    def _layers_of(self, program: Program) -> list[Layer]:
        if not program.packages:
            return [self._busybox()]
        self._debian = self._debian or Debian(self.cache)
        base = self._debian.closure(BASE)
        own = [file for file in self._debian.closure([*BASE, *program.packages]) if file not in base]
        return [self._layers.make(base, base_extras(), is_base=True), self._layers.make(own, [])]

    def _busybox(self) -> Layer:
        """The base of a program without packages: this machine's busybox alone."""
        found = shutil.which("busybox")
        if found is None:
            raise Trouble("busybox is missing: install busybox-static")
        applets = run_checked([found, "--list"], "install busybox-static").split()
        content = Path(found).read_bytes()
        links = [Extra(f"bin/{name}", link="busybox") for name in applets if name != "busybox"]
        places = [Extra(name, mode=0o755) for name in ("dev", "proc", "sys", "run", "root", "etc", "usr", "usr/bin", "var")]
        return self._layers.make([], [*places, Extra("bin/busybox", content, mode=0o755), *links, Extra("tmp", mode=0o1777),
                                      Extra("var/tmp", mode=0o1777), Extra("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\n"),
                                      Extra("etc/group", b"root:x:0:\n")])

    def _hostile(self) -> Extra:
        program = self.cache / "hostile-calls"
        # Nothing of a C library: what that asks for when it starts is no part of what is tried.
        run_checked(["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-nostdlib", "-ffreestanding",
                     "-fno-stack-protector", "-fno-tree-loop-distribute-patterns", "-fno-pie", "-no-pie", "-s", "-o", str(program),
                     str(HOSTILE)], "install gcc")
        return Extra("hostile-calls", content=program.read_bytes(), mode=0o755)
