internal import CKernel

/// One name in a directory.
public struct DirectoryEntry: Hashable, Sendable {
    /// The name as the kernel gave it, never `.` or `..`.
    public let nameBytes: [UInt8]
    /// What it is; nil when the file system does not tell.
    public let kind: FileKind?
    /// Its number in the file system.
    public let inode: UInt64

    /// The name as text; bytes that are not UTF-8 become replacement characters, so use `nameBytes` to name the file again.
    public var name: String { String(decoding: nameBytes, as: UTF8.self) }
}

extension DescriptorHolder where Self: ~Copyable {
    /// All names in the open directory, in the file system's order.
    ///
    /// Moves the descriptor's offset; the descriptor must not be O_PATH.
    ///
    /// - Parameter limit: the most names to accept.
    /// - Returns: the names.
    /// - Throws: `KernelError`; errno is `.fileTooBig` when there are more than `limit`.
    public func readDirectory(limit: Int = 1 << 20) throws(KernelError) -> [DirectoryEntry] {
        try seek(to: 0)
        var entries: [DirectoryEntry] = []
        while true {
            let part = try readDirectoryPart()
            if part.isEmpty { return entries }
            entries += part
            guard entries.count <= limit else {
                throw .failed("read directory", .fileTooBig, detail: "more than \(limit) entries")
            }
        }
    }

    /// The next names from the descriptor's offset; none at the end.
    func readDirectoryPart() throws(KernelError) -> [DirectoryEntry] {
        var buffer = [UInt8](repeating: 0, count: 16384)
        while true {
            let count = try system("read directory") {
                unsafe buffer.withUnsafeMutableBytes { unsafe ck_getdents64(raw, $0.baseAddress, $0.count) }
            }
            var entries: [DirectoryEntry] = []
            DirectoryEntry.parse(buffer[..<count], into: &entries)
            // A part may hold nothing but "." and "..", which is not the end.
            if count == 0 || !entries.isEmpty { return entries }
        }
    }
}

extension DirectoryEntry {
    /// struct linux_dirent64: inode (8), offset (8), record length (2), type (1), name up to its NUL.
    fileprivate static func parse(_ buffer: ArraySlice<UInt8>, into entries: inout [DirectoryEntry]) {
        var start = buffer.startIndex
        while start + 19 < buffer.endIndex {
            let length = Int(buffer[start + 16]) | Int(buffer[start + 17]) << 8
            guard length > 19, start + length <= buffer.endIndex else { return }
            let name = buffer[(start + 19)..<(start + length)].prefix { $0 != 0 }
            if name != [UInt8(ascii: ".")], name != [UInt8(ascii: "."), UInt8(ascii: ".")] {
                let inode = (0..<8).reduce(UInt64(0)) { $0 | UInt64(buffer[start + $1]) << UInt64(8 * $1) }
                entries.append(
                    DirectoryEntry(
                        nameBytes: Array(name),
                        kind: FileKind(rawValue: UInt32(buffer[start + 18]) << 12),
                        inode: inode
                    )
                )
            }
            start += length
        }
    }
}
