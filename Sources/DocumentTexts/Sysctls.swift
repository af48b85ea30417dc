internal import Kernel
package import OCISpec

/// Kernel parameters of a container: only those that belong to one of its own namespaces.
package enum Sysctls {
    /// Checks the parameters against the namespaces and gives their files below `/proc/sys`.
    ///
    /// A parameter outside a namespace is the whole machine's, and one of a namespace that the container shares with the
    /// host is the host's; both are refused. So is whatever could make a file name out of a value or two names out of one.
    ///
    /// - Parameters:
    ///   - values: The `sysctl` of the document, by dotted name.
    ///   - own: Namespaces that are not the host's.
    /// - Returns: Name, relative path and value, in the order of the names.
    /// - Throws: `invalidArgument` with the name.
    package static func check(
        _ values: [String: String],
        own: Set<RuntimeSpec.NamespaceType>
    ) throws(TextError) -> [(name: String, path: String, value: String)] {
        var result: [(name: String, path: String, value: String)] = []
        for (name, value) in values.sorted(by: { $0.key < $1.key }) {
            let field = "linux.sysctl.\(name)"
            guard isCleanName(name) else { throw .invalid(field, "malformed name") }
            guard value.utf8.allSatisfy({ $0 >= 0x20 || $0 == 0x09 }), value.utf8.count <= 4096 else {
                throw .invalid(field, "the value has control characters or is too long")
            }
            guard let namespace = namespace(of: name) else { throw .invalid(field, "not a parameter of a namespace") }
            guard own.contains(namespace) else {
                throw .invalid(field, "the container shares the \(namespace.rawValue) namespace with the host")
            }
            result.append((name, path(name), value))
        }
        return result
    }

    /// The namespace that a parameter belongs to, nil when it is the machine's.
    package static func namespace(of name: String) -> RuntimeSpec.NamespaceType? {
        let name = name.contains("/") ? swapSeparators(name) : name
        switch name {
        case "kernel.domainname", "kernel.hostname": return .uts
        case "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
            "kernel.shmmni", "kernel.shm_rmid_forced", "kernel.msg_next_id", "kernel.sem_next_id",
            "kernel.shm_next_id", "kernel.auto_msgmni":
            return .ipc
        default: break
        }
        if name.hasPrefix("fs.mqueue.") { return .ipc }
        if name.hasPrefix("net.") { return .network }
        return nil
    }

    /// Letters, digits and a few signs, no empty component and none of dots alone.
    private static func isCleanName(_ name: String) -> Bool {
        let components = name.utf8.split(omittingEmptySubsequences: false) { $0 == 0x2e || $0 == 0x2f }
        guard components.count >= 2, name.utf8.count <= 256 else { return false }
        return components.allSatisfy { component in
            !component.isEmpty
                && component.allSatisfy { byte in
                    (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
                        || byte == 0x5f || byte == 0x2d || byte == 0x3a || byte == 0x40
                }
        }
    }

    /// `net.ipv4.ip_forward` names `net/ipv4/ip_forward`.
    ///
    /// In a name with slashes, dots are part of the components.
    private static func path(_ name: String) -> String {
        name.contains("/") ? name : String(decoding: name.utf8.map { $0 == 0x2e ? 0x2f : $0 }, as: UTF8.self)
    }

    private static func swapSeparators(_ name: String) -> String {
        let swapped = name.utf8.map { byte -> UInt8 in byte == 0x2e ? 0x2f : byte == 0x2f ? 0x2e : byte }
        return String(decoding: swapped, as: UTF8.self)
    }
}
