package import EngineModel

/// Where a container's cgroup is, in the two forms of the runtime document's `linux.cgroupsPath`.
///
/// Values in, value out.
package struct CgroupPlace: Sendable, Equatable {
    /// As the document has it: a path below each hierarchy, or `slice:prefix:name`.
    package let text: String

    package init(text: String) {
        self.text = text
    }

    /// The place of a new container.
    ///
    /// - Parameters:
    ///   - id: its id.
    ///   - manager: who makes it.
    ///   - own: the engine's own directory or scope prefix, such as `berth`.
    ///   - parent: what the client asked for; empty for the engine's own.
    /// - Throws: `.invalidArgument` for a parent that is not of the manager's form.
    package init(_ id: ContainerID, manager: CgroupManager, own: String, parent: String) throws {
        try ConfigurationCheck.oneLine(parent, "cgroup parent")
        if manager == .systemd {
            let slice = parent.isEmpty ? Self.defaultSlice : parent
            guard Self.isSlice(slice) else {
                throw EngineError.invalid(
                    "invalid cgroup parent '\(parent)': with the systemd manager it is the name of a slice, such as 'workers.slice'"
                )
            }
            text = "\(slice):\(own):\(id)"
            return
        }
        let parts = parent.split(separator: "/").filter { $0 != "." }
        guard !parts.contains(".."), !parent.contains(":"), !parent.hasSuffix(".slice"),
            parent.isEmpty || !parts.isEmpty
        else {
            throw EngineError.invalid(
                "invalid cgroup parent '\(parent)': with the cgroupfs manager it is a path below each hierarchy, such as '/workers', "
                    + "without '..', ':' and '.slice'"
            )
        }
        text = "/" + (parts.isEmpty ? own : parts.joined(separator: "/")) + "/\(id)"
    }

    package static let defaultSlice = "system.slice"

    /// The name of the process that keeps a scope from being empty, which `berth-scope` has started.
    package static let keeper = "berth-keeper"

    /// Whether systemd makes it.
    package var isScope: Bool { parts != nil }

    /// The directory below each hierarchy, absolute.
    package var directory: String {
        guard let parts else { return text }
        return Self.directory(ofSlice: parts.slice) + "/\(parts.prefix)-\(parts.name).scope"
    }

    private var parts: (slice: String, prefix: String, name: String)? {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        return fields.count == 3 ? (fields[0].isEmpty ? Self.defaultSlice : fields[0], fields[1], fields[2]) : nil
    }

    /// systemd nests slices by their names: `a-b.slice` is in `a.slice`.
    private static func directory(ofSlice slice: String) -> String {
        var path = ""
        var name = ""
        for part in slice.dropLast(".slice".count).split(separator: "-") {
            name += (name.isEmpty ? "" : "-") + part
            path += "/\(name).slice"
        }
        return path
    }

    private static func isSlice(_ name: String) -> Bool {
        guard name.hasSuffix(".slice"), name.utf8.count <= 200, !name.contains("/"), !name.contains(":") else {
            return false
        }
        if name == "-.slice" { return true }
        let stem = name.dropLast(".slice".count)
        return !stem.isEmpty && !stem.hasPrefix("-") && !stem.hasSuffix("-") && !stem.contains("--")
            && stem.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7f }
    }
}
