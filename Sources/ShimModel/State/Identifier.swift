/// The form of ids of containers, exec sessions and namespaces.
package enum Identifier {
    /// Longest id; containerd allows 76.
    package static let maximumLength = 128

    /// Whether a text is an id: letters and digits, with single dots, dashes and underscores between them.
    package static func isValid(_ text: String) -> Bool {
        guard (1...maximumLength).contains(text.utf8.count) else {
            return false
        }
        var wasSeparator = true
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                wasSeparator = false
            case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                guard !wasSeparator else {
                    return false
                }
                wasSeparator = true
            default:
                return false
            }
        }
        return !wasSeparator
    }
}
