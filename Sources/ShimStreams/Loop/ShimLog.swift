import Kernel

/// The shim's own log: short structured lines on standard error.
package enum ShimLog {
    /// Writes one line.
    ///
    /// A log that cannot be written is no reason to fail.
    package static func write(_ message: StaticString, _ fields: (String, String)...) {
        write(message, fields)
    }

    /// The same for fields that were passed on.
    package static func write(_ message: StaticString, _ fields: [(String, String)]) {
        var line = "\(Timestamp.now) \(message)"
        for (name, value) in fields {
            line += " \(name)=\(quoted(value))"
        }
        try? BorrowedDescriptor.standardError.writeAll(line + "\n")
    }

    private static func quoted(_ value: String) -> String {
        let isPlain = !value.isEmpty && value.utf8.allSatisfy { $0 > 0x20 && $0 != 0x22 && $0 != 0x3d && $0 < 0x7f }
        guard !isPlain else {
            return value
        }
        var text = "\""
        for scalar in value.unicodeScalars {
            text += scalar.escaped(asASCII: false)
        }
        return text + "\""
    }
}
