import EngineModel
import Kernel

/// Names and sets of capabilities.
package enum Capabilities {
    /// Every capability of Linux 6.18 by number.
    package static let all: [String] = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_DAC_READ_SEARCH", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID",
        "CAP_SETUID", "CAP_SETPCAP", "CAP_LINUX_IMMUTABLE", "CAP_NET_BIND_SERVICE", "CAP_NET_BROADCAST",
        "CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_IPC_LOCK", "CAP_IPC_OWNER", "CAP_SYS_MODULE", "CAP_SYS_RAWIO",
        "CAP_SYS_CHROOT", "CAP_SYS_PTRACE", "CAP_SYS_PACCT", "CAP_SYS_ADMIN", "CAP_SYS_BOOT", "CAP_SYS_NICE",
        "CAP_SYS_RESOURCE", "CAP_SYS_TIME", "CAP_SYS_TTY_CONFIG", "CAP_MKNOD", "CAP_LEASE", "CAP_AUDIT_WRITE",
        "CAP_AUDIT_CONTROL", "CAP_SETFCAP", "CAP_MAC_OVERRIDE", "CAP_MAC_ADMIN", "CAP_SYSLOG", "CAP_WAKE_ALARM",
        "CAP_BLOCK_SUSPEND", "CAP_AUDIT_READ", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    ]

    /// Those that this process could give: what it has not got itself, no child of it can have.
    package static let available: Set<String> = {
        // Where that cannot be known, whoever sets them up says what is wrong.
        guard let own = try? Credentials.capabilities() else { return Set(all) }
        return Set(own.permitted.intersection(own.bounding).names)
    }()

    /// What a container has without asking: Docker's set without `CAP_NET_RAW`, since an echo socket needs none.
    package static let standard: Set<String> = [
        "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_SETGID", "CAP_SETUID",
        "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL", "CAP_AUDIT_WRITE",
    ]

    /// The set after additions and removals, in the order of the numbers.
    ///
    /// "All" are those of `available`; what is named and not available is for the backend to refuse.
    ///
    /// - Throws: `.invalidArgument` for a name that is no capability.
    package static func resolve(
        privileged: Bool,
        adding: [String],
        dropping: [String],
        available: Set<String> = available
    ) throws -> [String] {
        let added = try adding.map(canonical)
        let dropped = try dropping.map(canonical)
        if privileged { return all.filter(available.contains) }
        var set = added.contains("ALL") ? available.intersection(all) : standard
        if dropped.contains("ALL") { set = added.contains("ALL") ? set : [] }
        set.formUnion(added.filter { $0 != "ALL" })
        set.subtract(dropped.filter { $0 != "ALL" })
        return all.filter(set.contains)
    }

    private static func canonical(_ name: String) throws -> String {
        let upper = name.uppercased()
        if upper == "ALL" || upper == "CAP_ALL" { return "ALL" }
        let full = upper.hasPrefix("CAP_") ? upper : "CAP_" + upper
        guard all.contains(full) else {
            throw EngineError.invalid("invalid capability: unknown capability: \"\(name)\"")
        }
        return full
    }
}
