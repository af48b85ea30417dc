import Archive
import ContentStore
import Foundation
import Kernel
import OCISpec
import Snapshots
import Testing

/// What layers become on disk and in an overlay.
@Suite(.serialized)
struct LayerTests {
    private func image(_ store: ContentStore, _ layers: [(TarEntry, [UInt8])]...) throws -> Image {
        try store.makeImage(layers: layers.map { BytesSource(Tar.of($0)) })
    }

    /// Prints what a command says inside the mounted overlay.
    private func seen(_ mounts: [Snapshots.Mount], _ command: String, _ scratch: Scratch) throws -> String {
        let options = try #require(mounts.first).options.joined(separator: ",")
        return try scratch.run(
            """
            mkdir -p m; unshare -m --propagation private bash -euc 'mount -t overlay o -o \(options) m; cd m; \(command)'
            """
        )
    }

    @Test func linkOfAnotherLayerIsFollowed() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let image = try image(
            store,
            [(.directory("run", mode: 0o1777), []), (.directory("var"), []), (.link("var/run", to: "/run"), [])],
            [(.file("var/run/pid"), Array("1".utf8))]
        )
        let mounts = try scratch.snapshots().prepare(container: "c", image: image, from: store)
        let text = try seen(mounts, "readlink var/run; cat run/pid; stat -c \" %a\" run", scratch)
        #expect(text == "/run\n1 1777\n")
    }

    @Test func missingParentsKeepTheAttributesOfTheLayersBelow() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        var home = TarEntry.directory("home/u", mode: 0o750)
        home.uid = 1000
        home.gid = 100
        let image = try image(store, [(.directory("home"), []), (home, [])], [(.file("home/u/f"), [1])])
        let mounts = try scratch.snapshots().prepare(container: "c", image: image, from: store)
        #expect(try seen(mounts, "stat -c \"%a %u %g %Y\" home/u", scratch) == "750 1000 100 1000000000\n")
    }

    @Test func whiteoutsHideOnlyWhatIsBelow() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let image = try image(
            store,
            [
                (.file("a"), [1]), (.file("d/old"), [1]), (.file("o/old"), [1]), (.file("r/old"), [1]),
                (.file("k/old"), [1]),
            ],
            [
                (.file(".wh.a"), []), (.file("o/new"), [1]), (.file("o/.wh..wh..opq"), []), (.file(".wh.r"), []),
                (.directory("r"), []), (.file("r/new"), [1]), (.file("d/.wh.old"), []), (.file("d/new"), [1]),
                (.file("k/.wh.old"), []), (.file("k/old"), [2]),
            ]
        )
        let mounts = try scratch.snapshots().prepare(container: "c", image: image, from: store)
        #expect(try seen(mounts, "find . -type f | sort", scratch) == "./d/new\n./k/old\n./o/new\n./r/new\n")
    }

    @Test func opaqueRootHidesAllLayersBelow() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let image = try image(
            store,
            [(.file("a"), [1])],
            [(.file(".wh..wh..opq"), []), (.file("b"), [1])],
            [(.file("c"), [1])]
        )
        let mounts = try scratch.snapshots().prepare(container: "c", image: image, from: store)
        #expect(try seen(mounts, "find . -type f | sort", scratch) == "./b\n./c\n")
    }

    @Test func attributesAreKept() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        var file = TarEntry.file("f", mode: 0o6755)
        file.uid = 4_000_000_000
        file.gid = 12
        file.modified = TarEntry.Time(seconds: -5, nanoseconds: 250_000_000)
        let capability: [UInt8] = [1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        file.attributes = [TarEntry.Attribute(name: "security.capability", value: capability)]
        var directory = TarEntry.directory("d", mode: 0o2711)
        directory.modified = TarEntry.Time(seconds: 77, nanoseconds: 5)
        let odd = TarEntry(path: [0x64, 0x2f, 0xff, 0xfe], kind: .file, size: 0)
        let image = try image(store, [(directory, []), (.file("d/x"), [1]), (file, [1, 2]), (odd, [])])
        let snapshots = try scratch.snapshots()
        try snapshots.unpack(image, from: store)
        let root = try RootedDir(scratch.path + "/snapshots/layers/\(try #require(image.chainID).hex)/fs")
        let status = try root.stat("f")
        #expect(status.permissions == 0o6755 && status.uid == 4_000_000_000 && status.gid == 12)
        #expect(status.modified == Timestamp(seconds: -5, nanoseconds: 250_000_000))
        #expect(try root.getxattr("f", "security.capability") == capability)
        #expect(try root.stat("d").modified == Timestamp(seconds: 77, nanoseconds: 5))
        #expect(try root.stat("d").permissions == 0o2711)
        _ = try root.openPath([0x64, 0x2f, 0xff, 0xfe] as [UInt8])
    }

    @Test func wrongDiffIDIsRefusedByName() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let good = try image(store, [(.file("a"), [1])])
        var config = good.config
        config.rootfs.diffIDs = [good.id]
        let configBlob = try store.ingest(Array(JSONEncoder().encode(config)))
        var manifest = good.manifest
        manifest.config.digest = configBlob.digest
        manifest.config.size = configBlob.size
        let blob = try store.ingest(Array(JSONEncoder().encode(manifest)))
        let lying = try store.image(
            ImageDescriptor(mediaType: MediaType.manifest, digest: blob.digest, size: blob.size)
        )
        let snapshots = try scratch.snapshots()
        var error: SnapshotError?
        do throws(SnapshotError) { try snapshots.unpack(lying, from: store) } catch let thrown { error = thrown }
        #expect(error?.code == .invalidArgument)
        #expect(error?.blob == good.layers[0].descriptor.digest)
        #expect(try snapshots.layers().isEmpty)
    }

    @Test func boundsAreTypedErrors() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        var limits = Snapshots.Limits()
        limits.entries = 3
        limits.bytes = 1 << 20
        let many = try image(store, (0..<4).map { (TarEntry.file("f\($0)"), []) })
        let large = try image(store, [(.file("f"), [UInt8](repeating: 1, count: 2 << 20))])
        let snapshots = try scratch.snapshots(limits)
        for image in [many, large] {
            var code: ErrorCode?
            do throws(SnapshotError) { try snapshots.unpack(image, from: store) } catch { code = error.code }
            #expect(code == .resourceExhausted)
        }
        limits = Snapshots.Limits()
        limits.duration = .zero
        var code: ErrorCode?
        do throws(SnapshotError) {
            try Snapshots(path: scratch.path + "/s2", limits: limits).unpack(large, from: store)
        } catch {
            code = error.code
        }
        #expect(code == .timedOut)
        #expect(try snapshots.layers().isEmpty)
    }

    @Test func bombIsRefused() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        try scratch.run("truncate -s 64M zeros; tar -c zeros | gzip > bomb; rm zeros")
        let image = try store.makeImage(layers: [scratch.source("bomb")])
        var limits = Snapshots.Limits()
        limits.ratioFloor = 8 << 20
        let snapshots = try scratch.snapshots(limits)
        var code: ErrorCode?
        do throws(SnapshotError) { try snapshots.unpack(image, from: store) } catch { code = error.code }
        #expect(code == .resourceExhausted)
    }

    @Test func containerIsKeptAndRemoved() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let first = try image(store, [(.directory(".", mode: 0o711), []), (.file("a"), [1])])
        let second = try image(store, [(.file("b"), [1])])
        let snapshots = try scratch.snapshots()
        let mounts = try snapshots.prepare(container: "c1", image: first, from: store)
        #expect(try File.status(scratch.path + "/snapshots/containers/c1/upper").permissions == 0o711)
        try File.writeAtomically(scratch.path + "/snapshots/containers/c1/upper/w", [1], durable: false)
        #expect(try snapshots.prepare(container: "c1", image: first, from: store) == mounts)
        #expect(File.exists(scratch.path + "/snapshots/containers/c1/upper/w"))
        #expect(throws: SnapshotError.self) { try snapshots.prepare(container: "c1", image: second, from: store) }
        #expect(try snapshots.collectGarbage(keeping: []) == [try #require(second.chainID)])
        for bad in ["", "..", "a/b", ".x", "-x", "a\nb"] {
            #expect(throws: SnapshotError.self) { try snapshots.remove(container: bad) }
        }
        #expect(try Snapshots(path: scratch.path + "/snapshots").mounts(container: "c1") == mounts)
        #expect(try snapshots.remove(container: "c1"))
        #expect(try !snapshots.remove(container: "c1"))
        #expect(try snapshots.containers().isEmpty)
    }

    /// A container makes directories as deep as it likes, and goes all the same.
    @Test func deepTreesAreRemoved() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let snapshots = try scratch.snapshots()
        _ = try snapshots.prepare(container: "c", image: store.makeImage(layers: []), from: store)
        try scratch.run("cd snapshots/containers/c/upper; for i in {1..1500}; do mkdir d; cd d; touch f; done")
        #expect(throws: SnapshotError.self) { try snapshots.usage(container: "c") }
        #expect(try snapshots.remove(container: "c"))
        #expect(try File.open(scratch.path + "/snapshots/trash", [.read, .directory]).readDirectory().isEmpty)
    }

    @Test func damageKeepsLayers() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let image = try image(store, [(.file("a"), [1])], [(.file("b"), [1])])
        let snapshots = try scratch.snapshots()
        _ = try snapshots.prepare(container: "c", image: image, from: store)
        try RootedDir(scratch.path + "/snapshots/containers").setxattr(
            "c",
            "trusted.berth.chain",
            Array("nonsense".utf8)
        )
        #expect(throws: SnapshotError.self) { try snapshots.collectGarbage(keeping: []) }
        #expect(throws: SnapshotError.self) { try snapshots.mounts(container: "c") }
        #expect(try snapshots.layers().count == 2)
        #expect(try snapshots.remove(container: "c"))
        #expect(try snapshots.collectGarbage(keeping: []).count == 2)
    }

    @Test func imageWithoutLayers() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let mounts = try scratch.snapshots().prepare(container: "c", image: store.makeImage(layers: []), from: store)
        #expect(try seen(mounts, "touch x; ls", scratch) == "x\n")
    }

    @Test func oneLayerIsUnpackedOnceByManyThreads() async throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let image = try image(store, (0..<200).map { (TarEntry.file("f\($0)"), [1]) })
        let snapshots = try scratch.snapshots()
        await withTaskGroup(of: Bool.self) { group in
            for index in 0..<8 {
                group.addTask { (try? snapshots.prepare(container: "c\(index)", image: image, from: store)) != nil }
            }
            for await isGood in group { #expect(isGood) }
        }
        #expect(try snapshots.layers().count == 1)
        #expect(try snapshots.containers().count == 8)
    }

    @Test func crashLeavesNothingVisible() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let image = try image(store, [(.file("a"), [1])])
        _ = try scratch.snapshots()
        try scratch.run("mkdir -p snapshots/ingest/half/fs snapshots/trash/old; echo x > snapshots/ingest/half/fs/x")
        let snapshots = try scratch.snapshots()
        #expect(try snapshots.layers().isEmpty)
        for folder in ["ingest", "trash"] {
            #expect(try File.open(scratch.path + "/snapshots/" + folder, [.read, .directory]).readDirectory().isEmpty)
        }
        try snapshots.unpack(image, from: store)
    }

    /// The image of the two tests below: `d` is opaque, `gone` is whited out, `r` is a file that became a directory again.
    private func opaqueImage(_ store: ContentStore) throws -> Image {
        try image(
            store,
            [(.file("d/old"), [1]), (.file("gone"), [1]), (.file("keep"), [1]), (.file("r/old"), [1])],
            [
                (.file("d/new"), [1]), (.file("d/.wh..wh..opq"), []), (.file(".wh.gone"), []), (.file(".wh.r"), []),
                (.file("r/new"), [1]),
            ]
        )
    }

    /// What an overlay with `userxattr` shows, which is how it is mounted inside a user namespace.
    private func seenByUsers(_ mounts: [Snapshots.Mount], _ scratch: Scratch) throws -> String {
        let options = try #require(mounts.first).options.joined(separator: ",")
        return try scratch.run(
            """
            mkdir -p m; unshare -m --propagation private bash -euc \
                'mount -t overlay o -o \(options),userxattr m; cd m; find . -type f | sort | tr "\\n" " "'
            """
        )
    }

    @Test func opaqueDirectoriesHideAlsoInAUserNamespacesOverlay() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let mounts = try scratch.snapshots().prepare(container: "c", image: try opaqueImage(store), from: store)
        #expect(try seenByUsers(mounts, scratch) == "./d/new ./keep ./r/new ")
        #expect(try seen(mounts, "find . -type f | sort | tr \"\\n\" \" \"", scratch) == "./d/new ./keep ./r/new ")
    }

    @Test func layerOfTheVersionBeforeGetsTheSecondMark() throws {
        let scratch = try Scratch()
        let store = try scratch.store()
        let image = try opaqueImage(store)
        try scratch.snapshots().unpack(image, from: store)
        // As the version before wrote it: one mark, and a record of version 1.
        for chainID in try scratch.snapshots().layers() {
            let layer = "\(scratch.path)/snapshots/layers/\(chainID.hex)"
            for name in ["d", "r"] where File.exists("\(layer)/fs/\(name)") {
                let folder = try File.open("\(layer)/fs/\(name)", [.directory])
                if try folder.extendedAttribute("user.overlay.opaque") != nil {
                    try folder.removeExtendedAttribute("user.overlay.opaque")
                }
            }
            // Nor had that version a check value and a copy.
            let record = try File.readText("\(layer)/layer.json").replacing("\"version\":2", with: "\"version\":1")
            let end = try #require(record.range(of: ",\"check\"")?.lowerBound)
            try File.writeAtomically("\(layer)/layer.json", Array((record[..<end] + "}").utf8), durable: false)
            try File.remove("\(layer)/layer.copy.json")
        }
        let mounts = try scratch.snapshots().prepare(container: "c", image: image, from: store)
        #expect(try seenByUsers(mounts, scratch) == "./d/new ./keep ./r/new ")
    }
}
