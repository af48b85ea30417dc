import Archive
import ContentStore
import Foundation
import Kernel
import OCISpec
import Testing

struct ImportTests {
    private func take(_ package: Package, _ store: ContentStore) throws -> [ImportedImage] {
        try store.importArchive(BytesSource(package.tar))
    }

    /// The code of a refused import, which leaves nothing behind.
    private func refusal(_ package: Package, _ limits: ContentStore.Limits = .init()) throws -> (ErrorCode, Digest?)? {
        let fixture = try Fixture()
        let store = try fixture.store(limits)
        do {
            _ = try take(package, store)
            return nil
        } catch let error as ContentError {
            #expect(try store.list().isEmpty && fixture.leftovers().isEmpty && store.images().isEmpty)
            return (error.code, error.blob)
        }
    }

    @Test func layoutWithItsNames() throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let imported = try take(try .layout("team/app:3"), store)
        #expect(imported.map { $0.references.map(\.familiar) } == [["team/app:3"]])
        #expect(try store.list().count == 3 && fixture.leftovers().isEmpty)
        #expect(try take(try .layout("latest"), store).first?.references == [])
        #expect(try store.image(named: ImageReference(parsing: "team/app:3")).id == imported[0].image.id)
        let named = try store.importArchive(
            BytesSource(Package.layout().tar),
            ImportOptions(reference: ImageReference(parsing: "given"))
        )
        #expect(named.first?.references.map(\.familiar) == ["given:latest"])
    }

    @Test func oldDockerLayout() throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let imported = try take(try .legacy(), store)
        let image = try #require(imported.first)
        #expect(image.references.map(\.familiar) == ["old:1", "other:latest"])
        #expect(image.image.layers.map(\.diffID) == [Digester.sha256(Package.layer), Digester.sha256(Package.layer)])
        #expect(image.image.layers[1].chainID == ChainID.all(image.image.config.rootfs.diffIDs)[1])
        #expect(image.image.manifest.layers.map(\.mediaType) == [MediaType.layer, MediaType.layer])
        #expect(try store.list().count == 3)
        #expect(try take(try .legacy(), store) == imported)
    }

    @Test func hybridTakesTheNamesOfBoth() throws {
        var package = try Package.layout()
        let config = try #require(package.files.first { String(decoding: $0.bytes, as: UTF8.self).contains("rootfs") })
        let manifest = #"[{"Config":"\#(config.name)","RepoTags":["h:1"],"Layers":[]}]"#
        package.files.append(("manifest.json", Array(manifest.utf8)))
        let fixture = try Fixture()
        #expect(try take(package, fixture.store()).map { $0.references.map(\.familiar) } == [["h:1"]])
    }

    @Test func platformIsChosenThroughNestedIndexes() throws {
        var package = Package()
        let foreign = try package.image([Package.tar([])], architecture: "s390x")
        let own = try package.image()
        let inner = try package.blob(
            ImageIndex(mediaType: MediaType.dockerIndex, manifests: [foreign, own]),
            MediaType.dockerIndex
        )
        let outer = try package.blob(ImageIndex(manifests: [foreign, inner]), MediaType.index)
        try package.finish([outer])
        let fixture = try Fixture()
        let store = try fixture.store()
        let imported = try take(package, store)
        #expect(imported.map(\.image.descriptor.digest) == [own.digest])
        // What is for others is not kept.
        #expect(try store.list().count == 3)
        var alone = Package()
        try alone.finish([try alone.image(architecture: "s390x")])
        #expect(try refusal(alone)?.0 == .notFound)
    }

    @Test func indexesWithoutEndAreRefused() throws {
        var package = Package()
        var descriptor = try package.image()
        for _ in 0..<6 {
            descriptor = try package.blob(ImageIndex(manifests: [descriptor]), MediaType.index)
        }
        try package.finish([descriptor])
        #expect(try refusal(package)?.0 == .resourceExhausted)
        var many = Package()
        let image = try many.image()
        try many.finish(Array(repeating: image, count: 1001))
        #expect(try refusal(many)?.0 == .resourceExhausted)
    }

    @Test func documentsThatAreTwoThingsAreRefused() throws {
        for (keys, type) in [
            (#","manifests":[]"#, MediaType.manifest), (#","fsLayers":[]"#, MediaType.manifest),
            (#","mediaType":"application/vnd.oci.image.index.v1+json""#, MediaType.manifest),
        ] {
            var package = Package()
            _ = try package.image { manifest, _ in manifest.mediaType = nil }
            var bytes = try #require(package.files.last).bytes
            bytes.removeLast()
            bytes += Array(keys.utf8) + Array("}".utf8)
            let blob = package.blob(bytes, type)
            try package.finish([blob])
            let refusal = try refusal(package)
            #expect(refusal?.0 == .invalidArgument && refusal?.1 == blob.digest)
        }
        var package = Package()
        let image = try package.image()
        let both: [UInt8] = Array(#"{"schemaVersion":2,"manifests":[],"layers":[]}"#.utf8)
        let index = package.blob(both, MediaType.index)
        try package.finish([image, index])
        #expect(try refusal(package)?.1 == index.digest)
    }

    @Test func damageNamesTheBlob() throws {
        for change in [0, 1, 2] {
            var package = try Package.layout()
            let layer = "blobs/sha256/" + Digester.sha256(Package.layer).hex
            switch change {
            case 0: package.replace(layer) { $0[0] ^= 1 }
            case 1: package.replace(layer) { $0.removeLast() }
            default: package.files.removeAll { $0.name == layer }
            }
            #expect(try refusal(package)?.1 == Digester.sha256(Package.layer))
        }
        var legacy = try Package.legacy()
        legacy.replace("one/layer.tar") { $0[0] ^= 1 }
        #expect(try refusal(legacy)?.1 == Digester.sha256(Package.layer))
    }

    @Test func sizeOfADescriptorMustBeTrue() throws {
        var package = Package()
        let image = try package.image { manifest, _ in manifest.layers[0].size += 1 }
        try package.finish([image])
        #expect(try refusal(package)?.1 == Digester.sha256(Package.layer))
    }

    static let bends: [@Sendable (inout ImageManifest, inout ImageConfig) -> Void] = [
        { _, config in config.rootfs.diffIDs = [] },
        { _, config in config.rootfs.diffIDs.append(Digester.sha256([])) },
        { manifest, _ in manifest.layers = Array(repeating: manifest.layers[0], count: 2) },
        { _, config in config.config = .init(environment: ["A=b\u{0}c"]) },
        { _, config in config.config = .init(user: "root\nx") },
        { _, config in config.config = .init(workingDirectory: "/a\u{0}") },
        { _, config in config.config = .init(labels: ["a\u{0}": "b"]) },
        { _, config in config.config = .init(volumes: ["/a\n/b": .init()]) },
    ]

    @Test(arguments: bends.indices) func lyingDocumentsAreRefused(_ index: Int) throws {
        var package = Package()
        let image = try package.image(bend: Self.bends[index])
        try package.finish([image])
        #expect(try refusal(package)?.0 == .invalidArgument)
    }

    @Test func otherKinds() throws {
        var package = Package()
        var image = try package.image { manifest, _ in manifest.config.mediaType = "application/vnd.example.config" }
        try package.finish([image])
        #expect(try refusal(package)?.0 == .unsupported)
        // Storing asks nothing of a layer's type; unpacking does.
        package = Package()
        image = try package.image { manifest, _ in manifest.layers[0].mediaType = "application/vnd.example.erofs" }
        try package.finish([image])
        #expect(try refusal(package) == nil)
    }

    static let shapes: [(String, [(String, [UInt8])])] = [
        ("nothing", []),
        ("climbing", [("../index.json", [1])]),
        ("absolute", [("/etc/x", [1])]),
        ("no image at all", [("file", [1])]),
        ("twice", [("index.json", [1]), ("./index.json", [1])]),
        ("layout alone", [("oci-layout", Array(#"{"imageLayoutVersion":"1.0.0"}"#.utf8))]),
        ("wrong blob name", [("blobs/sha256/" + String(repeating: "0", count: 64), [1])]),
        ("manifest of nothing", [("manifest.json", Array(#"[{"Config":"x","Layers":[]}]"#.utf8))]),
        ("manifest that climbs", [("manifest.json", Array(#"[{"Config":"../../etc/passwd","Layers":[]}]"#.utf8))]),
        ("manifest that is absolute", [("manifest.json", Array(#"[{"Config":"/etc/passwd","Layers":[]}]"#.utf8))]),
        ("manifest of garbage", [("manifest.json", [0, 1, 2])]),
    ]

    @Test(arguments: shapes.indices) func archivesThatAreNone(_ index: Int) throws {
        var package = Package()
        package.files = Self.shapes[index].1
        let code = try refusal(package)?.0
        #expect(code == .invalidArgument || code == .unsupported, "\(Self.shapes[index].0)")
    }

    @Test func linksInACircle() throws {
        var package = try Package.legacy()
        package.files.removeAll { $0.name == "one/layer.tar" }
        package.links.append(("one/layer.tar", "../two/layer.tar"))
        #expect(try refusal(package)?.0 == .invalidArgument)
        package = try Package.legacy()
        package.links = [("two/layer.tar", "/etc/passwd")]
        #expect(try refusal(package)?.0 == .invalidArgument)
        package.links = [("two/layer.tar", "../../../etc/passwd")]
        #expect(try refusal(package)?.0 == .invalidArgument)
    }

    @Test func boundsAreTypedErrors() throws {
        var limits = ContentStore.Limits()
        limits.documentBytes = 100
        var package = Package()
        package.files = [("index.json", [UInt8](repeating: 0x20, count: 101))]
        #expect(try refusal(package, limits)?.0 == .resourceExhausted)
        limits = .init()
        limits.archiveMembers = 3
        #expect(try refusal(try .layout(), limits)?.0 == .resourceExhausted)
        limits = .init()
        limits.archive.bytes = 1000
        #expect(try refusal(try .layout(), limits)?.0 == .resourceExhausted)
        limits = .init()
        limits.configBytes = 10
        #expect(try refusal(try .layout(), limits)?.0 == .resourceExhausted)
        limits = .init()
        limits.importDuration = .zero
        #expect(try refusal(try .layout(), limits)?.0 == .timedOut)
        limits = .init()
        limits.layers = 1
        #expect(try refusal(try .legacy(), limits)?.0 == .resourceExhausted)
    }

    @Test func layoutDirectoryWithLinksIsRefused() throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let package = try Package.layout("a:1")
        let layer = Digester.sha256(Package.layer).hex
        for name in ["", "blobs", "index.json", "blobs/sha256/" + layer] {
            let directory = fixture.path + "/layout" + Random.hex(4)
            try File.makeDirectories(directory + "/blobs/sha256")
            for (name, bytes) in package.files {
                try File.writeAtomically(directory + "/" + name, bytes, durable: false)
            }
            if !name.isEmpty {
                try File.rename(directory + "/" + name, to: directory + "/moved")
                try RootedDir(directory).symlink(name, to: directory + "/moved")
                #expect(throws: ContentError.self) { try store.importLayout(at: directory) }
                #expect(try store.list().isEmpty && fixture.leftovers().isEmpty)
            }
        }
        let directory = fixture.path + "/good"
        try File.makeDirectories(directory + "/blobs/sha256")
        for (name, bytes) in package.files { try File.writeAtomically(directory + "/" + name, bytes, durable: false) }
        #expect(try store.importLayout(at: directory).first?.references.map(\.familiar) == ["a:1"])
    }

    @Test func bytesAtRandomNeverTrap() throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let whole = [try Package.layout("a:1").tar, try Package.legacy().tar]
        var state: UInt64 = 42
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        for round in 0..<300 {
            var bytes = whole[round % 2]
            // Documents are text, so most changes are made among bytes that are not zero.
            for _ in 0...next(3) {
                var place = next(bytes.count)
                for _ in 0..<2000 where bytes[place] == 0 { place = (place + 1) % bytes.count }
                bytes[place] = UInt8(next(256))
            }
            _ = try? store.importArchive(BytesSource(bytes))
        }
        #expect(try fixture.leftovers().isEmpty)
        for blob in try store.list() { _ = try store.read(blob.digest, limit: 1 << 20) }
    }
}
