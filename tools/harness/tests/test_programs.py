"""Layers of packages hold what packages hold, and the hostile program's words are understood."""

import subprocess
import tarfile
import tempfile
import unittest
from pathlib import Path

from programs import attacks, catalogue, images
from programs.runs import Outcome


def package(folder: Path, name: str, files: dict[str, str]) -> Path:
    """A Debian package with these files; a content that begins with "->" is a link's target."""
    tree = folder / name
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: none\n")
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("->"):
            (tree / path).symlink_to(content.removeprefix("->"))
        else:
            (tree / path).write_text(content)
    file = folder / f"{name}.deb"
    subprocess.run(["dpkg-deb", "--build", "--root-owner-group", tree, file], check=True, stdout=subprocess.DEVNULL)
    return file


class LayerTests(unittest.TestCase):
    def setUp(self) -> None:
        place = tempfile.TemporaryDirectory()
        self.addCleanup(place.cleanup)
        self.place = Path(place.name)
        self.layers = images.Layers(self.place / "cache")

    def members(self, layer: images.Layer) -> dict[str, str]:
        with tarfile.open(layer.file) as content:
            names = content.getnames()
            self.assertEqual(len(names), len(set(names)), "nothing is there twice")
            return {member.name: f"->{member.linkname}" if member.issym() else
                    content.extractfile(member).read().decode() if member.isreg() else "/" for member in content}

    def test_what_is_below_a_link_into_usr_goes_to_usr(self) -> None:
        one = package(self.place, "one", {"bin/a": "a", "usr/share/doc/one/copyright": "c", "lib/x/b": "b", "lib/x/c": "->b"})
        found = self.members(self.layers.make([one], []))
        self.assertEqual(found["usr/bin/a"], "a")
        self.assertEqual(found["usr/lib/x/b"], "b")
        self.assertEqual(found["usr/lib/x/c"], "->b")
        self.assertFalse([name for name in found if name.startswith(("bin", "lib", "usr/share/doc/"))])

    def test_extras_win_and_the_first_package_stays(self) -> None:
        one, two = (package(self.place, name, {"etc/both": name, f"etc/{name}": name}) for name in ("one", "two"))
        extras = [images.Extra("etc/two", b"extra"), images.Extra("srv/new/file", b"new"), images.Extra("etc/link", link="both")]
        found = self.members(self.layers.make([one, two], extras, is_base=True))
        self.assertEqual((found["etc/both"], found["etc/one"], found["etc/two"]), ("one", "one", "extra"))
        self.assertEqual((found["srv/new/file"], found["srv/new"], found["etc/link"]), ("new", "/", "->both"))
        self.assertEqual(found["bin"], "->usr/bin")

    def test_a_layer_is_the_same_for_the_same_input_and_another_for_another(self) -> None:
        one = package(self.place, "one", {"etc/one": "one"})
        first = self.layers.make([one], [images.Extra("a", b"1")])
        again = images.Layers(self.place / "other").make([one], [images.Extra("a", b"1")])
        other = self.layers.make([one], [images.Extra("a", b"2")])
        self.assertEqual(first.digest, again.digest)
        self.assertNotEqual(first.digest, other.digest)
        self.assertEqual(images.digest_of(first.file), first.digest)

    def test_an_archive_holds_a_shared_layer_once(self) -> None:
        shared, own = self.layers.make([], [images.Extra("a", b"1")]), self.layers.make([], [images.Extra("b", b"2")])
        file = self.place / "archive.tar"
        images.write_archive([images.Image("x:1", [shared, own]), images.Image("y:1", [shared])], file)
        with tarfile.open(file) as archive:
            names = archive.getnames()
        self.assertEqual(sum(name.endswith("layer.tar") for name in names), 2)
        self.assertEqual(names[-1], "manifest.json")


class AttackTests(unittest.TestCase):
    def test_an_answer_is_a_refusal_only_when_it_is_a_filters(self) -> None:
        found = attacks.results(Outcome(0, "bpf 321 -1\nmount 165 -38\nptrace 101 0\nuserfaultfd 323 -22\n"),
                                ["bpf", "mount", "ptrace", "userfaultfd"])
        self.assertEqual(found, {"bpf": "EPERM", "mount": "ENOSYS", "ptrace": "answered 0", "userfaultfd": "answered -22"})
        self.assertEqual([attacks.is_refused(each) for each in found.values()], [True, True, False, False])

    def test_who_says_nothing_was_killed_only_when_a_signal_says_so(self) -> None:
        self.assertEqual(attacks.results(Outcome(159, "warning: a\n"), ["x32"]), {"x32": "killed"})
        self.assertFalse(attacks.is_refused(attacks.results(Outcome(127, "error: no such file\n"), ["x32"])["x32"]))
        self.assertFalse(attacks.is_refused(attacks.results(Outcome(0, "end\n"), ["x32"])["x32"]))

    def test_the_hostile_program_and_the_table_know_the_same_attempts(self) -> None:
        source = (Path(__file__).resolve().parents[3] / "Tests/Support/hostile-calls/hostile-calls.c").read_text()
        begin = source.index("attempts[] = {")
        names = [line.split('"')[1] for line in source[begin:source.index("};", begin)].splitlines() if '{"' in line]
        self.assertEqual(names, [each.name for each in attacks.ATTEMPTS])


class CatalogueTests(unittest.TestCase):
    def test_every_program_has_one_script_that_says_accepted(self) -> None:
        self.assertEqual(len({program.name for program in catalogue.PROGRAMS}), len(catalogue.PROGRAMS))
        for program in catalogue.PROGRAMS:
            script = program.script.content or b""
            self.assertTrue(script.startswith(b"#!/"), program.name)
            self.assertIn(b"accepted", script, program.name)

    def test_an_image_of_packages_is_refused_when_apt_fails(self) -> None:
        from harness.place import Trouble
        from programs.debian import Debian
        with tempfile.TemporaryDirectory() as place, self.assertRaises(Trouble) as caught:
            Debian(Path(place)).closure(["no-such-package-of-debian"])
        self.assertIn("no-such-package-of-debian", str(caught.exception))


if __name__ == "__main__":
    unittest.main()
