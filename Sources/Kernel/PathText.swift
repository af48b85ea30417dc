/// A path as the caller has it: text, or bytes that need not be UTF-8 (names in archives and on disk).
public protocol PathText {
    /// The bytes, without a terminating NUL.
    var pathBytes: [UInt8] { get }
}

extension String: PathText {
    /// The UTF-8 bytes.
    public var pathBytes: [UInt8] { Array(utf8) }
}

extension Substring: PathText {
    /// The UTF-8 bytes.
    public var pathBytes: [UInt8] { Array(utf8) }
}

extension [UInt8]: PathText {
    /// The bytes themselves.
    public var pathBytes: [UInt8] { self }
}

extension ArraySlice<UInt8>: PathText {
    /// The bytes as an array.
    public var pathBytes: [UInt8] { Array(self) }
}

/// A path without NUL inside and with one at the end, ready for C.
struct TerminatedPath {
    private let bytes: [CChar]

    init(_ path: some PathText, _ operation: @autoclosure () -> String) throws(KernelError) {
        var bytes = path.pathBytes
        guard !bytes.contains(0) else {
            throw .failed(operation(), String(decoding: bytes, as: UTF8.self), .invalid, detail: "contains a NUL byte")
        }
        bytes.append(0)
        self.bytes = bytes.map { CChar(bitPattern: $0) }
    }

    /// For messages; bytes that are not UTF-8 become replacement characters.
    var text: String { String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self) }

    /// The path for one call; valid as long as this value lives.
    var pointer: [CChar] { bytes }
}

/// A path taken apart at its last slash.
struct ParentAndName {
    let parent: [UInt8]
    let name: [UInt8]

    /// Refuses paths that do not end in a real name: empty, `/`, `.` and `..` name a directory by position, and an operation
    /// on them relative to their parent could leave the root.
    init(_ path: some PathText, _ operation: @autoclosure () -> String) throws(KernelError) {
        var bytes = path.pathBytes[...]
        while bytes.last == UInt8(ascii: "/") { bytes.removeLast() }
        let slash = bytes.lastIndex(of: UInt8(ascii: "/"))
        name = Array(slash.map { bytes[($0 + 1)...] } ?? bytes)
        parent = slash.map { $0 == 0 ? [UInt8(ascii: "/")] : Array(bytes[..<$0]) } ?? [UInt8(ascii: ".")]
        guard !name.isEmpty, name != Array(".".utf8), name != Array("..".utf8) else {
            throw .failed(operation(), String(decoding: path.pathBytes, as: UTF8.self), .invalid, detail: "not a name")
        }
    }
}
