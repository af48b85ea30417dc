import Archive
import ContentStore
import Foundation
import Kernel
import OCISpec
import Synchronization
import Testing

/// A source that says how much was read and can fail.
final class Probe: ByteSource, Sendable {
    let read = Mutex(0)
    let total: Int
    let fails: Bool

    init(total: Int, fails: Bool = false) {
        self.total = total
        self.fails = fails
    }

    func read(into buffer: inout [UInt8]) throws(ArchiveError) -> Int {
        let done = read.withLock { $0 }
        if done >= total, fails { throw .truncated("probe") }
        let count = min(buffer.count, total - done)
        for index in 0..<count { buffer[index] = 7 }
        read.withLock { $0 += count }
        return count
    }
}

struct StoreTests {
    private func code(_ body: () throws -> Void) -> (ErrorCode, Digest?)? {
        do { try body() } catch let error as ContentError { return (error.code, error.blob) } catch { return nil }
        return nil
    }

    @Test func blobsAreVerified() throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let bytes = Array("content".utf8)
        let digest = Digester.sha256(bytes)
        let other = Digester.sha256([1])
        #expect(code { _ = try store.ingest(bytes, expecting: other) }?.1 == other)
        #expect(code { _ = try store.ingest(BytesSource(bytes), expecting: digest, size: 6) }?.0 == .invalidArgument)
        #expect(code { _ = try store.ingest(BytesSource(bytes), expecting: digest, size: 8) }?.0 == .invalidArgument)
        #expect(code { _ = try store.ingest(Probe(total: 9, fails: true)) }?.0 == .invalidArgument)
        #expect(try store.list().isEmpty && fixture.leftovers().isEmpty)
        #expect(try store.ingest(bytes, expecting: digest) == .init(digest: digest, size: 7))
        #expect(try store.read(digest, limit: 7) == bytes)
        #expect(code { _ = try store.read(digest, limit: 6) }?.0 == .resourceExhausted)
        #expect(code { _ = try store.read(other, limit: 6) }?.0 == .notFound)
        #expect(try store.open(digest).readToEnd(limit: 10) == bytes)
        let probe = Probe(total: 7)
        #expect(try store.ingest(probe, expecting: digest).size == 7)
        #expect(probe.read.withLock { $0 } == 0)
        try File.writeAtomically(fixture.path + "/content/blobs/sha256/" + digest.hex, [1], durable: false)
        #expect(code { _ = try store.read(digest, limit: 9) }?.0 == .invalidArgument)
        #expect(try store.delete(digest) && !store.delete(digest))
    }

    @Test func longerDigestsWork() throws {
        let fixture = try Fixture()
        var digester = try #require(Digester(.sha512))
        digester.update([1, 2, 3])
        let digest = digester.finish()
        let store = try fixture.store()
        try store.ingest([1, 2, 3], expecting: digest)
        #expect(try store.read(digest, limit: 3) == [1, 2, 3])
        #expect(try store.list().map(\.digest) == [digest])
    }

    @Test func onlyOneOfManyIngestsReads() async throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let size = 1 << 20
        let digest = Digester.sha256([UInt8](repeating: 7, count: size))
        let probes = (0..<8).map { _ in Probe(total: size) }
        await withTaskGroup(of: Bool.self) { group in
            for probe in probes { group.addTask { (try? store.ingest(probe, expecting: digest)) != nil } }
            for await isGood in group { #expect(isGood) }
        }
        #expect(probes.filter { $0.read.withLock { $0 } > 0 }.count == 1)
        #expect(try fixture.leftovers().isEmpty)
    }

    @Test func crashLeavesNothing() throws {
        let fixture = try Fixture()
        _ = try fixture.store()
        try File.writeAtomically(fixture.path + "/content/ingest/half", [1], durable: false)
        _ = try fixture.store()
        #expect(try fixture.leftovers().isEmpty)
    }

    @Test func everythingBelongsToRootAlone() throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let digest = try store.ingest([1]).digest
        for name in ["", "/blobs", "/blobs/sha256", "/ingest"] {
            #expect(try File.status(store.path + name).permissions == 0o700)
        }
        #expect(try File.status(store.path + "/blobs/sha256/" + digest.hex).permissions == 0o600)
        #expect(try File.status(store.path + "/index.json").permissions == 0o600)
    }

    @Test func garbageGoesAndImagesStay() throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let name = try ImageReference(parsing: "a")
        let image = try store.makeImage(layers: [BytesSource(Package.layer)], reference: name)
        let kept = try store.makeImage(layers: [BytesSource(Package.tar([]))])
        let stray = try store.ingest([1, 2, 3])
        do {
            let hold = store.hold()
            #expect(try store.collectGarbage(keeping: []).isPostponed)
            withExtendedLifetime(hold) {}
        }
        #expect(try store.collectGarbage(keeping: []).removed == [stray])
        #expect(try store.removeImage(id: kept.id) == [])
        #expect(try store.collectGarbage(keeping: [kept.descriptor.digest]).removed.isEmpty)
        #expect(try store.collectGarbage(keeping: []).removed.count == 3)
        #expect(try store.untag(name) == image.descriptor)
        #expect(try store.collectGarbage(keeping: []).removed.isEmpty)
        #expect(try store.images() == [StoredImage(image: image, references: [])])
        #expect(try store.removeImage(id: image.id) == [])
        #expect(try store.collectGarbage(keeping: []).removed.count == 3)
        #expect(try store.list().isEmpty && store.images().isEmpty)
    }

    @Test func namesMove() throws {
        let fixture = try Fixture()
        let store = try fixture.store()
        let name = try ImageReference(parsing: "a")
        let first = try store.makeImage(layers: [BytesSource(Package.layer)], reference: name)
        let second = try store.makeImage(layers: [BytesSource(Package.tar([]))], reference: name)
        #expect(try store.image(named: name) == second)
        #expect(try store.images().map(\.references) == [[], [name.tagged]])
        try store.tag(first.descriptor, as: ImageReference(parsing: "b:2"))
        try store.tag(first.descriptor, as: ImageReference(parsing: "b:2"))
        #expect(try store.image(id: String(first.id.hex.prefix(12))).references.map(\.familiar) == ["b:2"])
        #expect(try fixture.store().images().count == 2)
        #expect(try store.untag(ImageReference(parsing: "none")) == nil)
        #expect(code { _ = try store.image(id: "") }?.0 == .notFound)
        #expect(code { _ = try store.image(named: ImageReference(parsing: "none")) }?.0 == .notFound)
    }

    @Test func damagedIndexIsSetAside() throws {
        let fixture = try Fixture()
        let image = try fixture.store().makeImage(layers: [BytesSource(Package.layer)])
        try File.writeAtomically(fixture.path + "/content/index.json", Array("{".utf8), durable: false)
        let store = try fixture.store()
        #expect(try store.images().isEmpty)
        #expect(File.exists(fixture.path + "/content/index.json.damaged"))
        #expect(code { _ = try store.collectGarbage(keeping: []) }?.0 == .failedPrecondition)
        #expect(try store.image(image.descriptor) == image)
    }
}

/// Blobs that somebody has changed.
@Suite struct DamagedBlobTests {
    /// The place in the archive's files of the manifest, the configuration and the layer.
    @Test(arguments: ["manifest", "config", "layer"], [true, false])
    func damagedBlobIsSetAsideAndComesWithTheNextImport(_ kind: String, isCut: Bool) throws {
        let fixture = try Fixture()
        let package = try Package.layout("team/app:3")
        let image = try fixture.store().importArchive(BytesSource(package.tar), ImportOptions())[0].image
        let digest =
            switch kind {
            case "manifest": image.descriptor.digest
            case "config": image.manifest.config.digest
            default: image.layers[0].descriptor.digest
            }
        let path = fixture.path + "/content/blobs/sha256/" + digest.hex
        let whole = try File.read(path, limit: 1 << 20)
        try File.writeAtomically(path, isCut ? [] : [whole[0] ^ 1] + whole.dropFirst(), durable: false)
        let store = try fixture.store()
        // The bytes of layers are looked at when they are read: here only their number is.
        let isSeen = kind != "layer" || isCut
        #expect(try store.examine().compactMap(\.place).count == (isSeen ? 1 : 0))
        if !isSeen { #expect(try store.setAsideIfDamaged(digest)?.place != nil) }
        _ = try store.importArchive(BytesSource(package.tar), ImportOptions())
        #expect(try File.read(path, limit: 1 << 20) == whole)
        #expect(try fixture.store().examine().isEmpty)
        #expect(try fixture.store().image(named: ImageReference(parsing: "team/app:3")).id == image.id)
    }
}
