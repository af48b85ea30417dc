import Archive
import ContentStore
import Kernel
import OCISpec
import Testing

import Snapshots

/// Layers that want out: nothing outside the layer's directory may change, whether they are refused or not.
@Suite(.serialized)
struct HostileLayerTests {
    /// What becomes of a hostile layer.
    enum Outcome: Sendable {
        case refused(ErrorCode)
        /// Unpacked with everything inside the layer; the paths must be there.
        case contained([String])
    }

    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var outcome: Outcome
        var members: [(TarEntry, [UInt8])]

        var testDescription: String { name }

        init(_ name: String, _ outcome: Outcome, _ members: (TarEntry, String)...) {
            self.name = name
            self.outcome = outcome
            self.members = members.map { ($0.0, Array($0.1.utf8)) }
        }
    }

    static let invalid = Outcome.refused(.invalidArgument)
    /// The canary directory by its path from the root, which tests put at a fixed place.
    static let canary = "/tmp/berth-canary"

    static let cases: [Case] = paths + links + hardLinks + whiteouts + nodes + shapes

    static let paths = [
        Case("dot dot at the start", invalid, (.file("../x"), "x")),
        Case("dot dot inside", invalid, (.directory("a"), ""), (.file("a/../../x"), "x")),
        Case("dot dot at the end", invalid, (.directory("a/.."), "")),
        Case("many dot dots", invalid, (.file(String(repeating: "../", count: 40) + "tmp/berth-canary/x"), "x")),
        Case("absolute path", .contained(["tmp/berth-canary/new"]), (.file("/tmp/berth-canary/new"), "x")),
        Case("absolute path with slashes", .contained(["etc/x"]), (.file("//etc///x"), "x")),
        Case(
            "absolute directory",
            .contained(["tmp/berth-canary"]),
            (.directory("/tmp/berth-canary", mode: 0o777), "")
        ),
        Case("root as file", invalid, (.file("."), "x")),
        Case("root as link", invalid, (.link("./", to: canary), "")),
        Case("file below a file", invalid, (.file("a"), "x"), (.file("a/b"), "x")),
        Case("very deep", .refused(.resourceExhausted), (.file(String(repeating: "d/", count: 300) + "x"), "x")),
        Case("component too long", .refused(.resourceExhausted), (.file(String(repeating: "n", count: 300)), "x")),
        Case("path too long", .refused(.resourceExhausted), (.file(String(repeating: "n/", count: 4000)), "x")),
    ]

    static let links = [
        Case(
            "file through a link out",
            .contained(["tmp/berth-canary/new"]),
            (.link("l", to: canary), ""),
            (.file("l/new"), "x")
        ),
        Case(
            "file through a relative link out",
            .contained(["tmp/berth-canary/new"]),
            (.link("l", to: "../../../../../../../../tmp/berth-canary"), ""),
            (.file("l/new"), "x")
        ),
        Case("file over a link out", .contained(["l"]), (.link("l", to: canary + "/file"), ""), (.file("l"), "x")),
        Case(
            "directory over a link out",
            .contained(["l"]),
            (.link("l", to: canary), ""),
            (.directory("l", mode: 0o777), "")
        ),
        Case(
            "directory through a link out",
            .contained(["tmp/berth-canary/d"]),
            (.link("l", to: canary), ""),
            (.directory("l/d"), "")
        ),
        Case(
            "chain of links out",
            .contained(["tmp/berth-canary/new"]),
            (.link("a", to: "b"), ""),
            (.link("b", to: "/c"), ""),
            (.link("c", to: canary), ""),
            (.file("a/new"), "x")
        ),
        Case("loop of links", invalid, (.link("a", to: "b"), ""), (.link("b", to: "a"), ""), (.file("a/x"), "x")),
        Case("link to itself", invalid, (.link("a", to: "a"), ""), (.file("a/x"), "x")),
        Case("forty links", invalid, loop),
        Case(
            "link to proc",
            .contained(["proc/self/root/x"]),
            (.link("l", to: "/proc/self/root"), ""),
            (.file("l/x"), "x")
        ),
        Case(
            "link to a descriptor",
            .contained(["proc/self/fd/3/x"]),
            (.link("l", to: "/proc/self/fd/3"), ""),
            (.file("l/x"), "x")
        ),
        Case(
            "link then link through it",
            .contained(["tmp/berth-canary/m"]),
            (.link("l", to: canary), ""),
            (.link("l/m", to: "/etc"), "")
        ),
        Case(
            "fifo through a link out",
            .contained(["tmp/berth-canary/p"]),
            (.link("l", to: canary), ""),
            (TarEntry(path: "l/p".utf8, kind: .fifo), "")
        ),
        Case(
            "long link text",
            .refused(.resourceExhausted),
            (.link("l", to: String(repeating: "a/", count: 3000)), "")
        ),
        Case("link through a file", invalid, (.file("f"), "x"), (.link("f/l", to: "x"), "")),
        Case(
            "dangling link as a parent",
            .contained(["nowhere/x"]),
            (.link("l", to: "nowhere"), ""),
            (.file("l/x"), "x")
        ),
    ]

    static let hardLinks = [
        Case("hard link to a host file", invalid, (.hardLink("h", to: canary + "/file"), "")),
        Case("hard link with dot dot", invalid, (.hardLink("h", to: "../../../../tmp/berth-canary/file"), "")),
        Case(
            "hard link through a link out",
            invalid,
            (.link("l", to: canary), ""),
            (.hardLink("h", to: "l/file"), "")
        ),
        Case(
            "hard link to a link out, then written",
            .contained(["h"]),
            (.link("l", to: canary + "/file"), ""),
            (.hardLink("h", to: "l"), ""),
            (.file("h"), "x")
        ),
        Case(
            "hard link to a link out, then entered",
            .contained(["tmp/berth-canary/x"]),
            (.link("l", to: canary), ""),
            (.hardLink("h", to: "l"), ""),
            (.file("h/x"), "x")
        ),
        Case("hard link to a directory", invalid, (.directory("d"), ""), (.hardLink("h", to: "d"), "")),
        Case("hard link to the root", invalid, (.hardLink("h", to: "/"), "")),
        Case("hard link to nothing", invalid, (.hardLink("h", to: "nothing"), "")),
        Case("hard link to itself", .contained(["f"]), (.file("f"), "x"), (.hardLink("f", to: "f"), "")),
        Case("hard link to a whiteout", invalid, (.file(".wh.f"), ""), (.hardLink("h", to: "f"), "")),
        Case("hard link to a whiteout's name", invalid, (.file(".wh.f"), ""), (.hardLink("h", to: ".wh.f"), "")),
        Case(
            "hard link over a directory",
            .contained(["d"]),
            (.file("f"), "x"),
            (.directory("d"), ""),
            (.file("d/e"), "x"),
            (.hardLink("d", to: "f"), "")
        ),
        Case(
            "hard link out of the way of a link",
            .contained(["tmp/berth-canary/h"]),
            (.file("f"), "x"),
            (.link("l", to: canary), ""),
            (.hardLink("l/h", to: "f"), "")
        ),
    ]

    static let whiteouts = [
        Case("whiteout of nothing", invalid, (.file(".wh."), "")),
        Case("whiteout of dot", invalid, (.file(".wh.."), "")),
        Case("whiteout of dot dot", invalid, (.file(".wh..."), "")),
        Case("whiteout of dot dot below", invalid, (.directory("a"), ""), (.file("a/.wh..."), "")),
        Case(
            "whiteout through a link out",
            .contained(["tmp/berth-canary/file"]),
            (.link("l", to: canary), ""),
            (.file("l/.wh.file"), "")
        ),
        Case(
            "opaque through a link out",
            .contained(["tmp/berth-canary"]),
            (.link("l", to: canary), ""),
            (.file("l/.wh..wh..opq"), "")
        ),
        Case("whiteout with content", invalid, (.file(".wh.x"), "content")),
        Case("whiteout as a directory", invalid, (.directory(".wh.x"), "")),
        Case("whiteout as a link", invalid, (.link(".wh.x", to: canary), "")),
        Case("below a whiteout", invalid, (.file(".wh.x/y"), "")),
        Case("opaque root", .contained(["f"]), (.file(".wh..wh..opq"), ""), (.file("f"), "x")),
        Case("bookkeeping", .contained(["f"]), (.file(".wh..wh.plnk"), ""), (.file("f"), "x")),
        Case("whiteout of this layer's own", .contained(["f"]), (.file("f"), "x"), (.file(".wh.f"), "")),
    ]

    static let nodes = [
        Case(
            "whiteout as a device",
            invalid,
            (TarEntry(path: "w".utf8, kind: .characterDevice(major: 0, minor: 0)), "")
        ),
        Case(
            "device",
            .contained(["dev/null"]),
            (TarEntry(path: "dev/null".utf8, kind: .characterDevice(major: 1, minor: 3)), "")
        ),
        Case(
            "device through a link out",
            .contained(["tmp/berth-canary/null"]),
            (.link("l", to: canary), ""),
            (TarEntry(path: "l/null".utf8, kind: .characterDevice(major: 1, minor: 3)), "")
        ),
        Case("write into a pipe", .contained(["p"]), (TarEntry(path: "p".utf8, kind: .fifo), ""), (.file("p"), "x")),
        Case(
            "write into a device",
            .contained(["d"]),
            (TarEntry(path: "d".utf8, kind: .blockDevice(major: 7, minor: 0)), ""),
            (.file("d"), "x")
        ),
        Case("overlay attribute", .contained(["d"]), (attributed("d", "trusted.overlay.redirect", "/etc"), "")),
        Case("overlay attribute of users", .contained(["d"]), (attributed("d", "user.overlay.opaque", "y"), "")),
        Case("attribute of the system", .contained(["d"]), (attributed("d", "security.selinux", "x"), "")),
    ]

    static let shapes = [
        Case(
            "directory becomes a file",
            .contained(["d"]),
            (.directory("d"), ""),
            (.file("d/x"), "x"),
            (.file("d"), "x")
        ),
        Case(
            "directory becomes a link, then a parent",
            .contained(["tmp/berth-canary/x"]),
            (.directory("d"), ""),
            (.file("d/y"), "x"),
            (.link("d", to: canary), ""),
            (.file("d/x"), "x")
        ),
        Case(
            "parent becomes a link while in use",
            .contained(["a/tmp/berth-canary"]),
            (.file("a/b/x"), "x"),
            (.link("a/b", to: canary), ""),
            (.directory("a/tmp/berth-canary"), "")
        ),
        Case("file twice", .contained(["f"]), (.file("f"), "x"), (.file("f"), "y")),
    ]

    static var loop: (TarEntry, String) { (.link("x", to: "x/x"), "") }

    static func attributed(_ path: String, _ name: String, _ value: String) -> TarEntry {
        var entry = TarEntry.directory(path)
        entry.attributes = [TarEntry.Attribute(name: name, value: Array(value.utf8))]
        return entry
    }

    @Test(arguments: cases)
    func nothingLeaves(_ hostile: Case) throws {
        let scratch = try Scratch()
        try scratch.run(
            "rm -rf \(Self.canary); mkdir -m 755 \(Self.canary); echo keep > \(Self.canary)/file; mkdir \(Self.canary)/sub"
        )
        let print =
            "cd \(Self.canary); find . -printf '%p %m %u %g %T@ %l %n\\n' | sort; sha256sum file"
        let before = try scratch.run(print)
        let store = try scratch.store()
        var members = hostile.members
        if hostile.name == "forty links" { members.append((.file("x/y"), Array("x".utf8))) }
        let image = try store.makeImage(layers: [BytesSource(Tar.of(members))])
        let snapshots = try scratch.snapshots()
        var code: ErrorCode?
        do throws(SnapshotError) { try snapshots.unpack(image, from: store) } catch { code = error.code }
        #expect(try scratch.run(print) == before)
        let names = try File.open(scratch.path + "/snapshots", [.read, .directory]).readDirectory().map(\.name)
        #expect(names.sorted() == ["containers", "ingest", "layers", "trash"])
        switch hostile.outcome {
        case .refused(let expected):
            #expect(code == expected)
            #expect(try snapshots.layers().isEmpty)
        case .contained(let paths):
            #expect(code == nil)
            let top = try #require(image.chainID).hex
            let root = try RootedDir(scratch.path + "/snapshots/layers/\(top)/fs")
            for path in paths { _ = try root.openPath(path) }
            // None of the cases may set an attribute but the marks of an opaque directory, which come together.
            for path in paths {
                let names = try root.listxattr(path).sorted()
                #expect(names.isEmpty || names == ["trusted.overlay.opaque", "user.overlay.opaque"])
            }
        }
        for folder in ["ingest", "trash"] {
            #expect(try File.open(scratch.path + "/snapshots/" + folder, [.read, .directory]).readDirectory().isEmpty)
        }
    }
}
