public import Archive
internal import Kernel
public import OCISpec

/// Bytes that were written to the store's `ingest/` and are not a blob yet.
struct Spooled: Sendable {
    var name: String
    var digest: Digest
    var size: Int64
    /// The first bytes, which tell how a layer is packed.
    var head: [UInt8]
}

extension ContentStore {
    /// Stores a stream as a blob.
    ///
    /// Idempotent: a blob that is there is not read again. Two ingests of one expected digest join: the second waits for the
    /// first and then finds the blob. A blob that nothing refers to lives until the next `collectGarbage` unless `hold()`
    /// keeps that away.
    ///
    /// - Parameters:
    ///   - source: The bytes.
    ///   - digest: What their digest must be; nil takes what comes, under SHA-256.
    ///   - size: How many there must be; nil takes what comes.
    /// - Returns: The blob's name and size.
    /// - Throws: `invalidArgument` naming the blob when digest or size differ or the stream ends early; what the source
    ///   throws; nothing is stored then.
    @discardableResult
    public func ingest(
        _ source: any ByteSource,
        expecting digest: Digest? = nil,
        size: Int64? = nil
    ) throws(ContentError) -> Blob {
        guard let digest else { return try store(source, nil, size) }
        return try gates.withLock(digest) { () throws(ContentError) in
            if try locked({ (_) throws(ContentError) in contains(digest) }) {
                let present = try self.size(of: digest)
                guard size ?? present == present else {
                    throw .mismatch(digest, "has \(present) bytes, not \(size ?? 0)")
                }
                return Blob(digest: digest, size: present)
            }
            return try store(source, digest, size)
        }
    }

    /// Stores bytes in memory as a blob.
    ///
    /// - Throws: `invalidArgument` when their digest is not the expected one.
    @discardableResult
    public func ingest(_ bytes: [UInt8], expecting digest: Digest? = nil) throws(ContentError) -> Blob {
        try ingest(BytesSource(bytes), expecting: digest, size: Int64(bytes.count))
    }

    private func store(_ source: any ByteSource, _ digest: Digest?, _ size: Int64?) throws(ContentError) -> Blob {
        let spooled = try spool(source, expecting: digest, size: size)
        defer { discard(spooled) }
        try locked { (_) throws(ContentError) in _ = try commit(spooled) }
        return Blob(digest: spooled.digest, size: spooled.size)
    }

    /// Writes a stream to `ingest/`, verified and synced.
    func spool(_ source: any ByteSource, expecting digest: Digest?, size: Int64?) throws(ContentError) -> Spooled {
        guard let stream = DigestingSource(source, digest?.algorithm ?? .sha256) else {
            throw .unsupported("digest algorithm of \(digest?.description ?? "")", blob: digest)
        }
        let name = Random.hex(16)
        let what = digest.map { "blob \($0)" } ?? "content"
        do throws(ContentError) {
            let head = try write(stream, to: name, what, limit: size, blob: digest)
            if let size, stream.count != size {
                throw digest.map { .mismatch($0, "has \(stream.count) bytes, not \(size)") }
                    ?? .invalid("\(what) has \(stream.count) bytes, not \(size)")
            }
            if let digest, stream.digest != digest { throw .mismatch(digest, "has the digest \(stream.digest)") }
            return Spooled(name: name, digest: stream.digest, size: stream.count, head: head)
        } catch {
            discard(name)
            throw error
        }
    }

    /// Copies a stream to a new file; stops behind the limit.
    ///
    /// - Returns: The first four bytes.
    private func write(
        _ stream: DigestingSource,
        to name: String,
        _ what: String,
        limit: Int64?,
        blob: Digest?
    ) throws(ContentError) -> [UInt8] {
        let file = try kernel("store \(what)") { () throws(KernelError) in
            let file = try File.open(name, [.write, .create, .exclusive, .noFollow], mode: 0o600, at: ingests.raw)
            try file.changeMode(0o600)
            return file
        }
        var head: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 256 << 10)
        while stream.count <= limit ?? .max {
            let count: Int
            do throws(ArchiveError) { count = try stream.read(into: &buffer) } catch {
                throw .failed("read \(what)", error, blob: blob)
            }
            if count == 0 { break }
            if head.count < 4 { head += buffer[..<min(count, 4 - head.count)] }
            do throws(KernelError) { try file.writeAll(buffer[..<count]) } catch {
                throw .failed("store \(what)", error)
            }
        }
        do throws(KernelError) { try file.sync() } catch { throw .failed("store \(what)", error) }
        return head
    }

    /// The content of spooled bytes.
    func read(_ spooled: Spooled, limit: Int) throws(ContentError) -> [UInt8] {
        do throws(KernelError) { return try File.read(spooled.name, limit: limit, at: ingests.raw) } catch {
            guard error.errno == .fileTooBig else { throw .failed("read blob \(spooled.digest)", error) }
            throw .overLimit("blob \(spooled.digest) is a document of more than \(limit) bytes", blob: spooled.digest)
        }
    }

    /// Makes spooled bytes a blob; inside the critical section.
    ///
    /// - Returns: True when the blob is new.
    func commit(_ spooled: Spooled) throws(ContentError) -> Bool {
        let target = blobName(spooled.digest)
        guard !File.exists(target, at: root.raw) else { return false }
        do throws(KernelError) {
            let folder = "blobs/\(spooled.digest.algorithm.rawValue)"
            if !File.exists(folder, at: root.raw) { try ContentStore.makeDirectory(folder, in: root) }
            try File.rename("ingest/" + spooled.name, to: target, at: root.raw)
            try File.open(folder, [.read, .directory], at: root.raw).sync()
        } catch { throw .failed("store blob \(spooled.digest)", error) }
        return true
    }

    /// Removes spooled bytes if they are still there; a failure is made good when the store is opened next.
    func discard(_ spooled: Spooled) { discard(spooled.name) }

    private func discard(_ name: String) { _ = try? File.remove(name, at: ingests.raw) }
}
