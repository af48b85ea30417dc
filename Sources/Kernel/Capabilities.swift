/// A set of capabilities.
public struct CapabilitySet: OptionSet, Hashable, Sendable {
    /// Bit n is capability n.
    public let rawValue: UInt64

    /// Wraps the kernel's bits.
    public init(rawValue: UInt64) { self.rawValue = rawValue }

    private static let names = [
        "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
        "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
        "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
        "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
        "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
        "CHECKPOINT_RESTORE",
    ]

    /// The capability of a name.
    ///
    /// - Parameter name: for example `CAP_CHOWN` or `chown`, in either case; nil results for unknown names.
    public init?(name: String) {
        var short = name.uppercased()
        if short.hasPrefix("CAP_") { short.removeFirst(4) }
        guard let index = CapabilitySet.names.firstIndex(of: short) else { return nil }
        self.init(rawValue: 1 << UInt64(index))
    }

    /// The members' names with `CAP_`, by number.
    public var names: [String] {
        CapabilitySet.names.indices.filter { rawValue & (1 << UInt64($0)) != 0 }.map {
            "CAP_" + CapabilitySet.names[$0]
        }
    }

    /// Every capability that this version knows by name.
    public static let allKnown = CapabilitySet(rawValue: (1 << UInt64(names.count)) - 1)
}

/// The five capability sets of a thread.
public struct Capabilities: Hashable, Sendable {
    /// In force.
    public var effective: CapabilitySet
    /// May be made effective.
    public var permitted: CapabilitySet
    /// Kept over exec by files that have them inheritable.
    public var inheritable: CapabilitySet
    /// Kept over exec by any program.
    public var ambient: CapabilitySet
    /// The most that exec can give.
    public var bounding: CapabilitySet

    /// Makes the five sets.
    public init(
        effective: CapabilitySet,
        permitted: CapabilitySet,
        inheritable: CapabilitySet = [],
        ambient: CapabilitySet = [],
        bounding: CapabilitySet
    ) {
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
        self.ambient = ambient
        self.bounding = bounding
    }
}
