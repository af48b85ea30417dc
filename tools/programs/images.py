"""Layers made of Debian packages, and an archive of images in Docker's form.

No package's scripts run and nothing is unpacked: members go from the packages' archives to the layer's. What the scripts would
have done is in the files that a layer is given beside them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.place import Trouble

# Directories that are links into /usr.
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# What no program needs while it runs.
LEFT_OUT = ("usr/share/doc/", "usr/share/man/", "usr/share/locale/", "usr/share/info/", "usr/share/lintian/", "usr/share/bug/")
# Of the form of layers below: when it changes, layers are made anew.
FORM = "1"


@dataclass(frozen=True)
class Extra:
    """One thing beside the packages: a file, or a link, or (neither given) a directory."""

    path: str
    content: bytes | None = None
    link: str | None = None
    mode: int = 0o644
    owner: int = 0

    @property
    def identity(self) -> bytes:
        return repr((self.path, hashlib.sha256(self.content or b"").hexdigest(), self.content is None, self.link, self.mode,
                     self.owner)).encode()


@dataclass(frozen=True)
class Layer:
    """A layer as a file, known by the digest of its bytes."""

    file: Path
    digest: str


@dataclass(frozen=True)
class Image:
    """What `docker load` makes an image of."""

    name: str
    layers: list[Layer]
    config: dict[str, object] = field(default_factory=dict)


class Layers:
    """Layers that are made once, in `<cache>/layers`."""

    def __init__(self, cache: Path) -> None:
        self.folder = cache / "layers"
        self.folder.mkdir(parents=True, exist_ok=True)

    def make(self, packages: list[Path], extras: list[Extra], *, is_base: bool = False) -> Layer:
        """The layer of these packages and extras; of what is there twice, an extra wins, then the first."""
        key = hashlib.sha256(FORM.encode())
        for package in packages:
            key.update(f"{package.name} {package.stat().st_size}\n".encode())
        for extra in extras:
            key.update(extra.identity)
        key.update(b"base" if is_base else b"")
        file, note = self.folder / f"{key.hexdigest()}.tar", self.folder / f"{key.hexdigest()}.digest"
        if not note.exists():
            with tempfile.NamedTemporaryFile(dir=self.folder, delete=False) as output:
                self._write(output, packages, extras, is_base)
            os.rename(output.name, file)
            note.write_text(digest_of(file))
        return Layer(file, note.read_text())

    def _write(self, output: io.BufferedIOBase, packages: list[Path], extras: list[Extra], is_base: bool) -> None:
        have: set[str] = set()
        with tarfile.open(fileobj=output, mode="w", format=tarfile.PAX_FORMAT) as layer:
            if is_base:
                extras = [*(Extra(name, link=f"usr/{name}") for name in MERGED), *extras]
            for extra in extras:
                have.update(self._add_parents(layer, extra.path, have))
                have.add(extra.path)
                _add(layer, extra)
            for package in packages:
                self._copy(layer, package, have)

    def _add_parents(self, layer: tarfile.TarFile, path: str, have: set[str]) -> Iterator[str]:
        parts = path.split("/")[:-1]
        for index in range(len(parts)):
            parent = "/".join(parts[:index + 1])
            if parent not in have:
                _add(layer, Extra(parent, mode=0o755))
                yield parent

    def _copy(self, layer: tarfile.TarFile, package: Path, have: set[str]) -> None:
        """Adds the package's members that are not there yet."""
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacker:
            with tarfile.open(fileobj=unpacker.stdout, mode="r|") as members:
                for member in members:
                    name = merged(member.name)
                    if not name or name in MERGED or name in have or name.startswith(LEFT_OUT):
                        continue
                    have.add(name)
                    member.name, member.mtime, member.pax_headers = name, 0, {}
                    if member.islnk():
                        member.linkname = merged(member.linkname)
                    layer.addfile(member, members.extractfile(member) if member.isreg() else None)
        if unpacker.returncode:
            raise Trouble(f"dpkg-deb cannot read {package}: remove it, so that it is downloaded again")


def merged(name: str) -> str:
    """A member's name where /bin, /sbin and /lib are links into /usr."""
    name = name.removeprefix("./").strip("/")
    return f"usr/{name}" if name.split("/")[0] in MERGED and "/" in name else name


def _add(layer: tarfile.TarFile, extra: Extra) -> None:
    member = tarfile.TarInfo(extra.path)
    member.mode, member.uid, member.gid = extra.mode, extra.owner, extra.owner
    if extra.link is not None:
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, extra.link, 0o777
    elif extra.content is None:
        member.type = tarfile.DIRTYPE
    else:
        member.size = len(extra.content)
    layer.addfile(member, io.BytesIO(extra.content) if extra.content is not None else None)


def digest_of(file: Path) -> str:
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def write_archive(images: list[Image], output: Path) -> None:
    """All images in one archive, where a layer of several is there once."""
    with tarfile.open(output, mode="w", format=tarfile.PAX_FORMAT) as archive:
        manifest = []
        written: set[str] = set()
        for image in images:
            config = json.dumps({
                "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z", "config": image.config,
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.digest}" for layer in image.layers]},
            }, sort_keys=True).encode()
            name = hashlib.sha256(config).hexdigest()
            manifest.append({"Config": f"{name}.json", "RepoTags": [image.name],
                             "Layers": [f"{layer.digest}/layer.tar" for layer in image.layers]})
            _add(archive, Extra(f"{name}.json", content=config))
            for layer in image.layers:
                if layer.digest not in written:
                    written.add(layer.digest)
                    archive.add(layer.file, arcname=f"{layer.digest}/layer.tar")
        _add(archive, Extra("manifest.json", content=json.dumps(manifest).encode()))
