/// The mounts that a process sees, from the text of its `mountinfo` (proc_pid_mountinfo(5)).
struct MountTable: Equatable {
    /// One mount.
    struct Entry: Equatable {
        let id: UInt64
        let parent: UInt64
        /// Where it is, below the process's root.
        let path: String
        /// Whether nothing can be written through it, by the mount or by its file system.
        let isReadOnly: Bool
        /// Whether devices on it cannot be opened.
        let hasNoDevices: Bool
    }

    let entries: [Entry]

    /// Reads the text; lines of another form are left out.
    init(_ text: String) {
        entries = text.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            // Fields of a number that varies lie between the mount's own options and a hyphen.
            guard fields.count >= 10, let id = UInt64(fields[0]), let parent = UInt64(fields[1]),
                let hyphen = fields[6...].firstIndex(of: "-"), fields.count > hyphen + 3
            else { return nil }
            let own = fields[5].split(separator: ",")
            let fileSystem = fields[hyphen + 3].split(separator: ",")
            return Entry(
                id: id,
                parent: parent,
                path: Self.decode(fields[4]),
                isReadOnly: own.contains("ro") || fileSystem.contains("ro"),
                hasNoDevices: own.contains("nodev")
            )
        }
    }

    /// Blanks, tabs, line ends and backslashes are three octal digits after a backslash.
    private static func decode(_ text: Substring) -> String {
        guard text.utf8.contains(UInt8(ascii: "\\")) else { return String(text) }
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            let digits = rest.prefix(3)
            guard byte == UInt8(ascii: "\\"), digits.count == 3,
                let code = UInt8(String(decoding: digits, as: UTF8.self), radix: 8)
            else {
                bytes.append(byte)
                continue
            }
            bytes.append(code)
            rest = rest.dropFirst(3)
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
