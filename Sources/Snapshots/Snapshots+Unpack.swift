internal import Archive
internal import ContentStore
internal import Kernel
internal import OCISpec

extension Snapshots {
    /// Unpacks one layer and renames it into place.
    func unpack(_ layer: Image.Layer, onto below: [Digest], from store: ContentStore) throws(SnapshotError) {
        guard let compression = Snapshots.compression(of: layer.descriptor.mediaType) else {
            throw .unsupported("a layer of type '\(layer.descriptor.mediaType)'")
        }
        let temporary = "ingest/" + Random.hex(16)
        do throws(SnapshotError) {
            let folder = try make(temporary)
            let unpacker = try LayerUnpacker(
                target: try makeRoot(in: folder),
                lowers: try lowers(below),
                limits: limits
            )
            let stream = try open(layer, compression, from: store)
            try unpacker.unpack(stream)
            guard stream.digest == layer.diffID else {
                throw .invalid("the content has the digest \(stream.digest), not \(layer.diffID)")
            }
            let size = try usage(of: temporary + "/fs")
            let record = LayerRecord(
                version: unpacker.isMarkedForUsers ? Snapshots.markedLayerVersion : 1,
                chainID: layer.chainID,
                diffID: layer.diffID,
                parent: below.last,
                bytes: size.bytes,
                entries: size.entries,
                isOpaque: unpacker.isOpaque
            )
            try Snapshots.write(record, in: folder)
            try kernel("store layer") { () throws(KernelError) in
                // One call for all files of the layer: after the rename a power cut must not leave empty ones.
                try folder.syncFileSystem()
                try File.rename(temporary, to: layerPath(layer.chainID), at: root.raw)
                try File.open("layers", [.read, .directory], at: root.raw).sync()
            }
        } catch {
            // What is left of it goes when the directory is opened; the first error is what matters.
            _ = try? discard(temporary)
            throw error
        }
    }

    private func makeRoot(in folder: borrowing Descriptor) throws(SnapshotError) -> RootedDir {
        try kernel("make layer directory") { () throws(KernelError) in
            try File.makeDirectory("fs", at: folder.raw)
            let root = try File.open("fs", [.path, .directory, .noFollow], at: folder.raw)
            try root.changeMode(0o755)
            return RootedDir(adopting: root)
        }
    }

    /// The layers below, the topmost first, down to one that hides the rest.
    private func lowers(_ below: [Digest]) throws(SnapshotError) -> [LowerLayer] {
        var lowers: [LowerLayer] = []
        for record in try chain(below.last) {
            lowers.append(
                LowerLayer(
                    try kernel("open layer \(record.chainID)") { () throws(KernelError) in
                        RootedDir(
                            adopting: try File.open(
                                layerPath(record.chainID) + "/fs",
                                [.path, .directory, .noFollow],
                                at: root.raw
                            )
                        )
                    }
                )
            )
        }
        return lowers
    }

    private func open(
        _ layer: Image.Layer,
        _ compression: Compression,
        from store: ContentStore
    ) throws(SnapshotError) -> DigestingSource {
        let file: Descriptor
        do throws(ContentError) { file = try store.open(layer.descriptor.digest) } catch { throw .failed(error) }
        let bounds = StreamLimits(
            bytes: limits.bytes,
            ratio: limits.ratio,
            ratioFloor: limits.ratioFloor,
            deadline: ContinuousClock.now + limits.duration
        )
        let source = DescriptorSource(file, name: "blob \(layer.descriptor.digest)")
        let unpacked: Decompressor
        do throws(ArchiveError) { unpacked = try Decompressor(source, compression, limits: bounds) } catch {
            throw .failed("open layer", error)
        }
        guard let stream = DigestingSource(unpacked, layer.diffID.algorithm) else {
            throw .unsupported("digest algorithm of \(layer.diffID)")
        }
        return stream
    }

    private static func compression(of mediaType: String) -> Compression? {
        switch MediaType.layerCompression(mediaType) {
        case .some(.none): Compression.none
        case .gzip: .gzip
        case .zstd: .zstd
        case nil: nil
        }
    }
}
