/// The state machine that turns header blocks into members; it does no I/O.
///
/// Feed it every 512-byte block that stands where a header is due. It asks for the content of extended headers, and gives
/// a member when its headers are complete. Everything that two programs could read differently is an error: sizes that
/// disagree, content where the type has none, keywords given twice, extended headers that follow one another, sparse files.
public struct TarParser {
    /// Bounds on what a header may hold.
    public struct Limits: Sendable {
        /// Bytes of one extended header.
        public var extendedBytes = 1 << 20
        /// Bytes of a path or a link's target.
        public var pathBytes = 4095

        /// The defaults.
        public init() {}
    }

    /// What to do after a header block.
    public enum Step: Equatable {
        /// Read this many bytes (and the padding to a full block) and hand them to `extended(_:)`.
        case readExtended(Int)
        /// A member; its content of `size` bytes and the padding follow.
        case entry(TarEntry)
        /// A block of zeros: the second one in a row is the archive's end.
        case zeros(isEnd: Bool)
    }

    private enum Extension {
        case pax
        case globalPax
        case longName
        case longLink
    }

    private let limits: Limits
    private var expecting: Extension?
    private var pax: PAXRecords?
    private var longName: [UInt8]?
    private var longLink: [UInt8]?
    private var sawZeros = false

    /// Creates a parser at the start of an archive.
    public init(limits: Limits = Limits()) {
        self.limits = limits
    }

    /// Whether the archive may end here: no extended header waits for its member.
    public var isComplete: Bool { expecting == nil && pax == nil && longName == nil && longLink == nil }

    /// Takes a header block.
    ///
    /// - Parameter block: Exactly 512 bytes.
    /// - Returns: What the reader has to do next.
    /// - Throws: `invalidArgument` for what breaks the format or is ambiguous, `unsupported` for sparse and unknown types.
    public mutating func header(_ block: [UInt8]) throws(ArchiveError) -> Step {
        if TarHeader.isZero(block) {
            guard isComplete else { throw .malformed("tar archive that ends after an extended header") }
            defer { sawZeros = true }
            return .zeros(isEnd: sawZeros)
        }
        guard !sawZeros else { throw .malformed("tar archive with a single block of zeros inside") }
        let header = try TarHeader(block)
        if let kind = try extensionKind(header.type) { return try begin(kind, header) }
        defer {
            pax = nil
            longName = nil
            longLink = nil
        }
        return .entry(try entry(header))
    }

    /// Takes the content of an extended header.
    ///
    /// - Parameter bytes: As many bytes as `Step.readExtended` said.
    /// - Throws: `invalidArgument` for what breaks the format, `unsupported` for sparse files.
    public mutating func extended(_ bytes: [UInt8]) throws(ArchiveError) {
        switch expecting {
        case .pax: pax = try PAXRecords(bytes, limits)
        case .globalPax: try PAXRecords.verifyGlobal(bytes, limits)
        case .longName: longName = try longText(bytes, "name")
        case .longLink: longLink = try longText(bytes, "link name")
        case nil: break
        }
        expecting = nil
    }

    private func extensionKind(_ type: UInt8) throws(ArchiveError) -> Extension? {
        switch type {
        case UInt8(ascii: "x"):
            guard pax == nil else { throw .malformed("tar archive with two extended headers for one member") }
            return .pax
        case UInt8(ascii: "g"): return .globalPax
        case UInt8(ascii: "L"):
            guard longName == nil else { throw .malformed("tar archive with two long names for one member") }
            return .longName
        case UInt8(ascii: "K"):
            guard longLink == nil else { throw .malformed("tar archive with two long link names for one member") }
            return .longLink
        default: return nil
        }
    }

    private mutating func begin(_ kind: Extension, _ header: TarHeader) throws(ArchiveError) -> Step {
        guard header.size <= Int64(limits.extendedBytes) else {
            throw .overLimit("tar extended header of \(header.size) bytes, more than \(limits.extendedBytes)")
        }
        guard header.size > 0 else { throw .malformed("tar extended header without content") }
        expecting = kind
        return .readExtended(Int(header.size))
    }

    /// GNU's long names end with one NUL.
    private func longText(_ bytes: [UInt8], _ what: String) throws(ArchiveError) -> [UInt8] {
        let content = bytes.last == 0 ? bytes.dropLast() : bytes[...]
        guard !content.contains(0), !content.isEmpty else { throw .malformed("tar long \(what) with a NUL inside") }
        return Array(content)
    }

    private func entry(_ header: TarHeader) throws(ArchiveError) -> TarEntry {
        guard pax?.path == nil || longName == nil, pax?.linkPath == nil || longLink == nil else {
            throw .malformed("tar member with a GNU and a PAX name")
        }
        let path = pax?.path ?? longName ?? header.name
        let kind = try kind(header, path)
        let target = pax?.linkPath ?? longLink ?? header.linkName
        guard !path.isEmpty else { throw .malformed("tar member without a name") }
        guard path.count <= limits.pathBytes, target.count <= limits.pathBytes else {
            throw .overLimit("tar member with a name longer than \(limits.pathBytes) bytes")
        }
        if kind == .hardLink || kind == .symbolicLink {
            guard !target.isEmpty else { throw .malformed("tar link '\(text(path))' without a target") }
        }
        let isLink = kind == .hardLink || kind == .symbolicLink
        return TarEntry(
            path: path,
            kind: kind,
            linkTarget: isLink ? target : [],
            mode: header.mode,
            uid: pax?.uid ?? header.uid,
            gid: pax?.gid ?? header.gid,
            size: try size(header, kind, path),
            modified: pax?.modified ?? TarEntry.Time(seconds: header.modified),
            attributes: pax?.attributes ?? []
        )
    }

    private func text(_ path: [UInt8]) -> String { String(decoding: path, as: UTF8.self) }

    private func kind(_ header: TarHeader, _ path: [UInt8]) throws(ArchiveError) -> TarEntry.Kind {
        switch header.type {
        case UInt8(ascii: "0"), UInt8(ascii: "7"): return .file
        // Before ustar a directory was a file whose name ends with a slash.
        case 0: return path.last == UInt8(ascii: "/") ? .directory : .file
        case UInt8(ascii: "1"): return .hardLink
        case UInt8(ascii: "2"): return .symbolicLink
        case UInt8(ascii: "3"): return .characterDevice(major: header.major, minor: header.minor)
        case UInt8(ascii: "4"): return .blockDevice(major: header.major, minor: header.minor)
        case UInt8(ascii: "5"): return .directory
        case UInt8(ascii: "6"): return .fifo
        case UInt8(ascii: "S"): throw .unsupported("tar member '\(text(path))' is sparse")
        default: throw .unsupported("tar member '\(text(path))' of unknown type \(header.type)")
        }
    }

    private func size(_ header: TarHeader, _ kind: TarEntry.Kind, _ path: [UInt8]) throws(ArchiveError) -> Int64 {
        let largestOctal: Int64 = 0o77777777777
        if let size = pax?.size, size != header.size {
            // A writer that cannot express the size in the header leaves 0 there; every other difference is a lie.
            guard size > largestOctal, header.size == 0 || header.size == largestOctal else {
                throw .malformed("tar member '\(text(path))' with sizes \(header.size) and \(size)")
            }
        }
        let size = pax?.size ?? header.size
        guard kind == .file || size == 0 else {
            throw .malformed("tar member '\(text(path))' has \(size) bytes of content, which its type cannot have")
        }
        return size
    }
}
