internal import Archive
internal import Kernel
internal import OCISpec

/// An archive's files, spooled under `ingest/` as they stream by; small documents stay in memory.
final class ImportSpool: ImagePackage {
    private static let documentNames: Set<String> = [
        ImageLayout.fileName, ImageLayout.indexFileName, DockerImport.manifestName, "repositories",
    ]

    private let store: ContentStore
    private var documents: [String: [UInt8]] = [:]
    private var files: [String: Spooled] = [:]
    private var links: [String: String] = [:]
    private var blobs: [Digest: Spooled] = [:]

    init(store: ContentStore) { self.store = store }

    /// Reads a whole archive.
    func read(_ source: any ByteSource) throws(ContentError) {
        let reader = try ImportSpool.reader(source, store.limits)
        var members = 0
        while let entry = try ImportSpool.next(reader) {
            members += 1
            guard members <= store.limits.archiveMembers else {
                throw .overLimit("image archive with more than \(store.limits.archiveMembers) members")
            }
            try take(entry, MemberSource(reader))
        }
    }

    private static func reader(
        _ source: any ByteSource,
        _ limits: ContentStore.Limits
    ) throws(ContentError) -> TarReader {
        var bounds = limits.archive
        bounds.deadline = ContinuousClock.now + limits.importDuration
        do throws(ArchiveError) {
            let start = try LookAhead(source)
            return TarReader(try Decompressor(start, Compression.detect(start.head), limits: bounds))
        } catch { throw .failed("read image archive", error) }
    }

    private static func next(_ reader: TarReader) throws(ContentError) -> TarEntry? {
        do throws(ArchiveError) { return try reader.next() } catch { throw .failed("read image archive", error) }
    }

    private func take(_ entry: TarEntry, _ content: MemberSource) throws(ContentError) {
        guard let path = ImportSpool.normalise(entry.path) else {
            throw .invalid("image archive with the path '\(entry.path)'")
        }
        guard entry.kind == .directory || (documents[path] == nil && files[path] == nil && links[path] == nil) else {
            throw .invalid("image archive with two members '\(path)'")
        }
        let target = String(decoding: entry.linkTarget, as: UTF8.self)
        switch entry.kind {
        case .directory: return
        case .file: try take(path, entry.size, content)
        case .symbolicLink:
            // Docker's old layout names a repeated layer by a link to its first occurrence.
            let folder = path.split(separator: "/").dropLast().joined(separator: "/")
            guard let place = ImportSpool.normalise(folder + "/" + target), !target.hasPrefix("/")
            else {
                throw .invalid("image archive with a link from '\(path)' to '\(target)'")
            }
            links[path] = place
        case .hardLink:
            guard let place = ImportSpool.normalise(target) else {
                throw .invalid("image archive with a link from '\(path)' to '\(target)'")
            }
            links[path] = place
        default: throw .invalid("image archive with a device or pipe '\(path)'")
        }
    }

    private func take(_ path: String, _ size: Int64, _ content: MemberSource) throws(ContentError) {
        if ImportSpool.documentNames.contains(path) {
            guard size <= Int64(store.limits.documentBytes) else {
                throw .overLimit("'\(path)' of more than \(store.limits.documentBytes) bytes")
            }
            documents[path] = try ImportSpool.all(content, path)
            return
        }
        let spooled = try store.spool(content, expecting: ImportSpool.digest(of: path), size: size)
        files[path] = spooled
        if let first = blobs[spooled.digest] {
            // The same content under two names is kept once.
            store.discard(spooled)
            files[path] = first
        } else {
            blobs[spooled.digest] = spooled
        }
    }

    private static func all(_ content: MemberSource, _ path: String) throws(ContentError) -> [UInt8] {
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 64 << 10)
        do throws(ArchiveError) {
            while case let count = try content.read(into: &buffer), count > 0 { bytes += buffer[..<count] }
        } catch { throw .failed("read '\(path)' of image archive", error) }
        return bytes
    }

    /// The digest that a file of an image layout claims by its name.
    private static func digest(of path: String) -> Digest? {
        let parts = path.split(separator: "/")
        guard parts.count == 3, parts[0] == "blobs" else { return nil }
        return Digest("\(parts[1]):\(parts[2])")
    }

    /// A relative path without `.` and `..`; nil when it leads out of the archive or is empty.
    static func normalise(_ path: String) -> String? {
        guard !path.hasPrefix("/") else { return nil }
        var parts: [Substring] = []
        for part in path.split(separator: "/") where part != "." {
            if part != ".." {
                parts.append(part)
            } else if parts.popLast() == nil {
                return nil
            }
        }
        return parts.joined(separator: "/")
    }

    func document(_ name: String) -> [UInt8]? { documents[name] }

    func blob(_ digest: Digest) -> Spooled? { blobs[digest] }

    func file(_ path: String) throws(ContentError) -> Spooled? {
        guard var place = ImportSpool.normalise(path) else { throw .invalid("image archive names the path '\(path)'") }
        for _ in 0..<8 {
            if let file = files[place] { return file }
            guard let target = links[place] else { return nil }
            place = target
        }
        throw .invalid("image archive with links in a circle at '\(path)'")
    }

    func add(_ bytes: [UInt8]) throws(ContentError) -> Spooled {
        let digest = Digester.sha256(bytes)
        if let present = blobs[digest] { return present }
        let spooled = try store.spool(BytesSource(bytes), expecting: digest, size: Int64(bytes.count))
        blobs[digest] = spooled
        return spooled
    }

    func read(_ file: Spooled, limit: Int) throws(ContentError) -> [UInt8] { try store.read(file, limit: limit) }

    func discardAll() { for blob in blobs.values { store.discard(blob) } }
}
