internal import DocumentTexts
internal import Kernel
package import OCISpec

/// Something in a store that is not as it was written.
public struct ContentDamage: Sendable {
    /// Of the file.
    public let path: String
    /// What is wrong with it.
    public let reason: String
    /// Where its bytes are kept as they were found; nil where they were.
    public let place: String?
}

// The list of images has the form of a standard that has no room for a check value: it stands in a file beside it.
extension ContentStore {
    /// Check values of `index.json` as it is and as it was before the last change, which may not have come so far.
    static let checksName = "index.json.check"

    /// Writes down what the index may be from now on.
    func writeChecks(_ contents: [[UInt8]?]) throws(KernelError) {
        let values = contents.compactMap { $0.map(ContentStore.check) }.joined(separator: " ")
        let document = CheckedObject.sealed(Array("{\"values\":\"\(values)\"}".utf8))
        try File.writeAtomically(ContentStore.checksName, document, durable: true, at: root.raw)
    }

    private static func check(_ bytes: [UInt8]) -> String { String(CheckedObject.fingerprint(bytes), radix: 16) }

    /// Looks whether the documents of each image and the layout's own file are as they were written, and at the lengths of layers, whose
    /// bytes are checked each time that they are read.
    ///
    /// A blob with other bytes is set aside, so that the next load or pull brings it again.
    ///
    /// - Returns: What is not.
    /// - Throws: The class of the failed system call.
    public func examine() throws(ContentError) -> [ContentDamage] {
        let (layout, suspects) = try look()
        var damages = layout.map { [$0] } ?? []
        for (digest, reason) in suspects {
            let kept = try setAsideIfDamaged(digest)?.place
            damages.append(ContentDamage(path: place(digest), reason: reason, place: kept))
        }
        return damages
    }

    /// What is wrong with the layout's own file, and the blobs that are not as they should be, with the reason.
    private func look() throws(ContentError) -> (layout: ContentDamage?, suspects: [(Digest, String)]) {
        try locked { (shared) throws(ContentError) in
            let layout = try examineLayout()
            var suspects: [(Digest, String)] = []
            var seen = Set<Digest>()
            for entry in try readIndex().manifests where seen.insert(entry.digest).inserted {
                do throws(ContentError) {
                    for layer in try load(entry, &shared).layers {
                        let size = contains(layer.descriptor.digest) ? try size(of: layer.descriptor.digest) : nil
                        guard let size, size != layer.descriptor.size else { continue }
                        let reason = "it has \(size) bytes, not \(layer.descriptor.size): load or pull the image again"
                        suspects.append((layer.descriptor.digest, reason))
                    }
                } catch {
                    suspects.append((error.blob ?? entry.digest, "\(error): load or pull the image again"))
                }
            }
            return (layout, suspects)
        }
    }

    /// Compares a blob with its name; one that has other bytes is set aside, so that the next load or pull brings it again.
    ///
    /// - Returns: What is wrong; nil when nothing is, or when the blob is not there.
    /// - Throws: The class of the failed system call.
    package func setAsideIfDamaged(_ digest: Digest) throws(ContentError) -> ContentDamage? {
        try gates.withLock(digest) { () throws(ContentError) in
            guard contains(digest), try !isWhole(digest) else { return nil }
            return try locked { (shared) throws(ContentError) in
                shared.images.removeAll()
                let own = place(digest)
                do throws(KernelError) {
                    let reason = "it has other content than its name says: load or pull the image again"
                    return ContentDamage(path: own, reason: reason, place: try DamagedFile.moveAside(own))
                } catch { throw .failed("set '\(own)' aside", error) }
            }
        }
    }

    private func isWhole(_ digest: Digest) throws(ContentError) -> Bool {
        guard var digester = Digester(digest.algorithm) else { return true }
        let file = try open(digest)
        do throws(KernelError) {
            while true {
                let bytes = try file.read(upTo: 1 << 18)
                if bytes.isEmpty { break }
                digester.update(bytes[...])
            }
        } catch { throw .failed("read blob \(digest)", error) }
        return digester.finish() == digest
    }

    private func place(_ digest: Digest) -> String { "\(path)/\(blobName(digest))" }

    /// Compares an index that can be read with its check value.
    ///
    /// One that was changed may have lost images: it is kept as it was found, and nothing is collected until somebody removes that.
    func checkIndex() throws(ContentError) {
        do throws(KernelError) {
            let bytes = try File.read(ContentStore.indexName, limit: 64 << 20, at: root.raw)
            // Earlier versions write none.
            if File.exists(ContentStore.checksName, at: root.raw) {
                let document = try File.read(ContentStore.checksName, limit: 4096, at: root.raw)
                let words = String(decoding: document, as: UTF8.self).split { $0 == " " || $0 == "\"" }
                if CheckedObject.isSealed(document), words.contains(where: { $0 == ContentStore.check(bytes) }) {
                    return
                }
                if !File.exists(ContentStore.damagedIndexName, at: root.raw) {
                    try File.writeAtomically(ContentStore.damagedIndexName, bytes, durable: true, at: root.raw)
                }
            }
            try writeChecks([bytes])
        } catch { throw .failed("check '\(path)/\(ContentStore.indexName)'", error) }
    }

    private func examineLayout() throws(ContentError) -> ContentDamage? {
        do throws(KernelError) {
            let own = "\(path)/\(ImageLayout.fileName)"
            let found = try File.read(ImageLayout.fileName, limit: 4096, at: root.raw)
            if found == ContentStore.layout { return nil }
            let place = try DamagedFile.moveAside(own)
            try File.writeAtomically(ImageLayout.fileName, ContentStore.layout, durable: true, at: root.raw)
            return ContentDamage(path: own, reason: "it does not say which layout this is", place: place)
        } catch { throw .failed("read '\(path)/\(ImageLayout.fileName)'", error) }
    }
}
