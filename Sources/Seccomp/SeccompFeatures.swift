internal import CLibSeccomp

/// What profiles may say, beside actions and operators.
public enum SeccompFeatures {
    /// Flags by their bits.
    static let flagBits: [String: UInt32] = [
        // One thread loads the filter, so there are no others to synchronise with.
        "SECCOMP_FILTER_FLAG_TSYNC": 0,
        "SECCOMP_FILTER_FLAG_LOG": 1 << 1, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
        "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 1 << 5,
    ]

    /// Names of flags; sorted.
    public static var flags: [String] { flagBits.keys.sorted() }

    /// Names of the runtime-spec's architectures that the compiler knows; sorted.
    ///
    /// Those of the other byte order are accepted, for no call of this machine is one of theirs.
    public static var architectures: [String] {
        let names = [
            "X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64",
            "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64", "LOONGARCH64",
            "M68K", "SH", "SHEB",
        ]
        return names.filter { unsafe seccomp_arch_resolve_name($0.lowercased()) != 0 }.map { "SCMP_ARCH_\($0)" }
            .sorted()
    }
}
