internal import ContentStore
internal import DocumentTexts
internal import FoundationEssentials
internal import Kernel
internal import OCISpec

/// `layer.json`: what is known of an unpacked layer; its presence says that the layer is whole.
struct LayerRecord: Codable, Sendable {
    var version = 1
    var chainID: Digest
    var diffID: Digest
    var parent: Digest?
    var bytes: Int64
    var entries: Int64
    /// Whether the layer hides everything below it; overlayfs does not heed the attribute on a layer's root.
    var isOpaque: Bool
}

extension Snapshots {
    static let layerRecordName = "layer.json"
    /// The same again: without its record a layer could not be used.
    static let layerCopyName = "layer.copy.json"
    /// Holds the chain id that a container's file system stands on, and is empty for an image without layers.
    ///
    /// An attribute of the directory reaches the disk together with the directory's name, so that a container starts without
    /// waiting for a disk.
    static let chainAttribute = "trusted.berth.chain"

    /// The record of a layer.
    func layer(_ chainID: Digest) throws(SnapshotError) -> LayerRecord {
        do throws(SnapshotError) {
            return try record("\(layerPath(chainID))/\(Snapshots.layerRecordName)", chainID)
        } catch  where error.code == .invalidArgument {
            // Looked at again, and told of, by `examine`.
            let copy = "\(layerPath(chainID))/\(Snapshots.layerCopyName)"
            guard let record = try? record(copy, chainID) else { throw error }
            return record
        }
    }

    /// The chain id that a container's file system stands on; nil for an image without layers.
    func chainID(container id: String) throws(SnapshotError) -> Digest? {
        try Snapshots.verify(id)
        let value: [UInt8]?
        do throws(KernelError) {
            value = try File.open("containers/" + id, [.path, .directory, .noFollow], at: root.raw)
                .extendedAttribute(Snapshots.chainAttribute)
        } catch {
            let what = "snapshot of container '\(id)'"
            throw error.errno == .noEntry ? .notFound("no \(what)") : .failed("read \(what)", error)
        }
        if value == [] { return nil }
        guard let value, let digest = Digest(String(decoding: value, as: UTF8.self)) else {
            throw .invalid("'\(path)/containers/\(id)' is damaged")
        }
        return digest
    }

    /// The layers of a chain, the topmost first, down to the base or to one that hides the rest.
    func chain(_ top: Digest?) throws(SnapshotError) -> [LayerRecord] {
        var chain: [LayerRecord] = []
        var next = top
        while let chainID = next {
            // A damaged record could make a circle; overlayfs takes no more layers than this.
            guard chain.count < 500 else { throw .invalid("layer \(chainID) stands on more than 500 layers") }
            let record = try layer(chainID)
            chain.append(record)
            next = record.isOpaque ? nil : record.parent
        }
        return chain
    }

    /// The chains of all containers.
    ///
    /// - Throws: What keeps a container's chain from being read; its layers must not go because of that.
    func containerChains() throws(SnapshotError) -> [Digest] {
        var chains: [Digest] = []
        for id in try containers() {
            do throws(SnapshotError) {
                if let chainID = try chainID(container: id) { chains.append(chainID) }
            } catch  where error.code == .notFound {}
        }
        return chains
    }

    func names(in folder: String) throws(SnapshotError) -> [String] {
        try kernel("list '\(path)/\(folder)'") { () throws(KernelError) in
            try File.open(folder, [.read, .directory], at: root.raw).readDirectory().map(\.name)
        }
    }

    /// Writes a layer's record and its copy, durably.
    static func write(_ record: LayerRecord, in folder: borrowing Descriptor) throws(SnapshotError) {
        for name in [layerCopyName, layerRecordName] { try write(record, name, in: folder) }
    }

    static func write(_ record: LayerRecord, _ name: String, in folder: borrowing Descriptor) throws(SnapshotError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let bytes = try? Array(encoder.encode(record)) else {
            throw .invalid("record '\(name)' cannot be written")
        }
        let sealed = CheckedObject.sealed(bytes)
        do throws(KernelError) { try File.writeAtomically(name, sealed, durable: true, at: folder.raw) } catch {
            throw .failed("write '\(name)'", error)
        }
    }

    func record(_ name: String, _ chainID: Digest) throws(SnapshotError) -> LayerRecord {
        let what = "layer \(chainID)"
        let bytes: [UInt8]
        do throws(KernelError) { bytes = try File.read(name, limit: 1 << 16, at: root.raw) } catch {
            throw error.errno == .noEntry
                ? .notFound("no snapshot of \(what)") : .failed("read snapshot of \(what)", error)
        }
        guard CheckedObject.isSound(bytes),
            let record = try? JSONDecoder().decode(LayerRecord.self, from: Data(bytes)), record.chainID == chainID
        else { throw .invalid("'\(path)/\(name)' is damaged") }
        return record
    }

    /// Refuses ids that would be paths.
    static func verify(_ id: String) throws(SnapshotError) {
        func isWord(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte) || byte == 0x5f
        }
        guard let first = id.utf8.first, isWord(first), id.utf8.count <= 128,
            id.utf8.allSatisfy({ isWord($0) || $0 == 0x2e || $0 == 0x2d })
        else { throw .invalid("container id '\(id)'") }
    }
}
