internal import ContentStore
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

/// `container.json`: what a container's file system stands on.
struct ContainerRecord: Codable, Sendable {
    var version = 1
    var chainID: Digest?
}

extension Snapshots {
    static let layerRecordName = "layer.json"
    static let containerRecordName = "container.json"

    /// The record of a layer.
    func layer(_ chainID: Digest) throws(SnapshotError) -> LayerRecord {
        try record("\(layerPath(chainID))/\(Snapshots.layerRecordName)", "layer \(chainID)")
    }

    /// The record of a container.
    func container(_ id: String) throws(SnapshotError) -> ContainerRecord {
        try Snapshots.verify(id)
        return try record("containers/\(id)/\(Snapshots.containerRecordName)", "container '\(id)'")
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

    /// The chains of all containers; a container whose record is damaged does not count, it cannot be mounted either.
    func containerChains() throws(SnapshotError) -> [Digest] {
        try containers().compactMap { try? container($0).chainID }
    }

    func names(in folder: String) throws(SnapshotError) -> [String] {
        try kernel("list '\(path)/\(folder)'") { () throws(KernelError) in
            try File.open(folder, [.read, .directory], at: root.raw).readDirectory().map(\.name)
        }
    }

    /// Writes a record durably.
    static func write(_ record: some Encodable, _ name: String, in folder: borrowing Descriptor) throws(SnapshotError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        guard let bytes = try? Array(encoder.encode(record)) else {
            throw .invalid("record '\(name)' cannot be written")
        }
        do throws(KernelError) { try File.writeAtomically(name, bytes, durable: true, at: folder.raw) } catch {
            throw .failed("write '\(name)'", error)
        }
    }

    private func record<Record: Decodable>(_ name: String, _ what: String) throws(SnapshotError) -> Record {
        let bytes: [UInt8]
        do throws(KernelError) { bytes = try File.read(name, limit: 1 << 16, at: root.raw) } catch {
            throw error.errno == .noEntry
                ? .notFound("no snapshot of \(what)") : .failed("read snapshot of \(what)", error)
        }
        guard let record = try? JSONDecoder().decode(Record.self, from: Data(bytes)) else {
            throw .invalid("'\(path)/\(name)' is damaged")
        }
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
