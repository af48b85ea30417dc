/// A scope of systemd, as `linux.cgroupsPath` names it: `slice:prefix:name`.
public struct SystemdScopeName: Hashable, Sendable {
    /// The slice, such as `kubepods-pod1.slice`.
    public let slice: String
    /// The scope, such as `cri-web.scope`.
    public let unit: String

    /// Reads a name.
    ///
    /// - Parameter cgroupsPath: `slice:prefix:name`; an empty slice is `system.slice`, with an empty prefix the name stands alone.
    /// - Throws: `CgroupError`, `invalidArgument` with the part that is wrong.
    public init(_ cgroupsPath: String) throws(CgroupError) {
        let parts = cgroupsPath.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 else {
            throw .invalid(
                "cgroupsPath",
                "'\(cgroupsPath)' is not of the form slice:prefix:name, which systemd's groups have"
            )
        }
        slice = parts[0].isEmpty ? "system.slice" : parts[0]
        unit = (parts[1].isEmpty ? "" : parts[1] + "-") + parts[2] + ".scope"
        guard SystemdScopeName.isSlice(slice) else {
            throw .invalid(
                "cgroupsPath",
                "slice '\(slice)' is not one: names end in .slice, with single dashes between levels"
            )
        }
        guard parts[1].utf8.allSatisfy(SystemdScopeName.isNameByte) else {
            throw .invalid("cgroupsPath", "prefix '\(parts[1])' has characters that no unit's name has")
        }
        guard !parts[2].isEmpty, parts[2].utf8.allSatisfy(SystemdScopeName.isNameByte), unit.utf8.count < 256 else {
            throw .invalid("cgroupsPath", "name '\(parts[2])' is not part of a unit's name")
        }
    }

    /// Path of the scope below the root: dashes in a slice's name are levels.
    public var path: String {
        guard slice != "-.slice" else { return "/" + unit }
        let words = slice.dropLast(".slice".count).split(separator: "-")
        let levels = words.indices.map { words[...$0].joined(separator: "-") + ".slice" }
        return "/" + (levels + [unit]).joined(separator: "/")
    }

    private static func isSlice(_ name: String) -> Bool {
        if name == "-.slice" { return true }
        guard name.hasSuffix(".slice"), name.utf8.count < 256 else { return false }
        let words = name.dropLast(".slice".count).split(separator: "-", omittingEmptySubsequences: false)
        return words.allSatisfy { word in !word.isEmpty && word.utf8.allSatisfy(isNameByte) }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "0")...UInt8(ascii: "9"): true
        case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "\\"): true
        default: false
        }
    }
}
