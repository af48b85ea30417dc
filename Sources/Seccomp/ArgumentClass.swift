package import OCISpec

/// What a filter tells apart beyond a call's number: for chosen calls, the part of their arguments that says what is meant.
///
/// A class is one number for each call: the family of a socket, the namespaces of a clone, the request of an ioctl. It is
/// taken from argument registers only, so a filter can decide by it; what stands in memory has no class.
package enum ArgumentClass: Sendable, CaseIterable {
    /// `socket`: the family in the low half; for AF_NETLINK the protocol in the high half.
    case socket
    /// `socketpair`: the family.
    case socketPair
    /// `clone`: the CLONE_NEW* bits of the flags.
    case clone
    /// `unshare`: the CLONE_NEW* bits.
    case unshare
    /// `setns`: the CLONE_NEW* bits of the wanted kinds; 0 is any.
    case setns
    /// `ioctl`: the request.
    case ioctl
    /// `prctl`: the option.
    case prctl
    /// `fcntl`: the command.
    case fcntl
    /// `mmap`, `mprotect`, `pkey_mprotect`: reading (1), writing (2), executing (4).
    case protection
    /// `personality`: the domain.
    case personality

    /// The class of a call's arguments.
    ///
    /// Made for being asked at every call: no table is built, nothing is allocated.
    ///
    /// - Parameters:
    ///   - architecture: AUDIT_ARCH_* as the kernel tells it to a filter.
    ///   - number: The call's number, with the bit of x32 where it is one of its.
    ///   - arguments: The argument registers; those that are missing count as 0.
    /// - Returns: Nil when the call has no classes.
    package static func of(architecture: UInt32, number: UInt32, arguments: [UInt64]) -> UInt64? {
        kind(architecture: architecture, number: number)?.value(of: arguments)
    }

    /// The class that a call's arguments have under this kind.
    package func value(of arguments: [UInt64]) -> UInt64 {
        func argument(_ index: Int) -> UInt64 { index < arguments.count ? arguments[index] : 0 }
        let first = argument(index) & mask
        guard self == .socket, first == Self.netlinkFamily else { return first }
        return first | (argument(2) & 0xffff_ffff) << 32
    }

    /// The conditions that hold for exactly the calls of one class.
    ///
    /// - Parameter value: The class.
    /// - Returns: One condition for each argument that decides; all must hold.
    package func conditions(for value: UInt64) -> [RuntimeSpec.Seccomp.Argument] {
        func equal(_ index: Int, _ mask: UInt64, _ value: UInt64) -> RuntimeSpec.Seccomp.Argument {
            .init(index: UInt32(index), value: mask, valueTwo: value, op: .maskedEqual)
        }
        let first = equal(index, mask, value & mask)
        guard self == .socket, value & 0xffff_ffff == Self.netlinkFamily else { return [first] }
        return [first, equal(2, 0xffff_ffff, value >> 32)]
    }

    /// Arguments that a call of this class may have; all others are 0.
    package func arguments(for value: UInt64) -> [UInt64] {
        var arguments: [UInt64] = [0, 0, 0, 0, 0, 0]
        arguments[index] = value & mask
        if self == .socket, value & 0xffff_ffff == Self.netlinkFamily { arguments[2] = value >> 32 }
        return arguments
    }

    /// Whether any call can be of this class.
    package func isPossible(_ value: UInt64) -> Bool { self.value(of: arguments(for: value)) == value }

    /// Which argument decides.
    private var index: Int {
        switch self {
        case .socket, .socketPair, .clone, .unshare, .prctl, .personality: 0
        case .setns, .ioctl, .fcntl: 1
        case .protection: 2
        }
    }

    /// The bits of it that decide: the kernel takes most of these arguments as 32 bits, so those above must not count.
    private var mask: UInt64 {
        switch self {
        case .socket, .socketPair, .ioctl, .prctl, .fcntl, .personality: 0xffff_ffff
        case .clone: Self.namespaces
        case .unshare, .setns: Self.namespaces | Self.timeNamespace
        case .protection: 7
        }
    }

    /// CLONE_NEW* that `clone` can take.
    static let namespaces: UInt64 = 0x7e02_0000
    /// CLONE_NEWTIME, a bit that `clone` takes for the signal of the child's end.
    static let timeNamespace: UInt64 = 0x80
    /// AF_NETLINK: one family, but the protocol is what reaches another part of the kernel.
    static let netlinkFamily: UInt64 = 16
}

extension ArgumentClass {
    /// The kind of classes that a call has, by its name.
    package init?(call name: String) {
        switch name {
        case "socket": self = .socket
        case "socketpair": self = .socketPair
        case "clone": self = .clone
        case "unshare": self = .unshare
        case "setns": self = .setns
        case "ioctl": self = .ioctl
        case "prctl": self = .prctl
        case "fcntl", "fcntl64": self = .fcntl
        // The 32-bit x86 `mmap` has its arguments in memory; profiles are about the machine's own convention.
        case "mmap", "mmap2", "mprotect", "pkey_mprotect": self = .protection
        case "personality": self = .personality
        default: return nil
        }
    }

    /// The kind of classes that a call has, by its number.
    package static func kind(architecture: UInt32, number: UInt32) -> ArgumentClass? {
        switch architecture {
        case 0xc000_003e: wide86(number)
        case 0x4000_0003: narrow86(number)
        case 0xc000_00b7: arm64(number)
        default: nil
        }
    }

    /// Also the calls of x32, of which only `ioctl` has a number of its own.
    private static func wide86(_ number: UInt32) -> ArgumentClass? {
        switch number & ~ProfileMeaning.x32Bit {
        case 41: .socket
        case 53: .socketPair
        case 56: .clone
        case 272: .unshare
        case 308: .setns
        case 16, 514: .ioctl
        case 157: .prctl
        case 72: .fcntl
        case 9, 10, 329: .protection
        case 135: .personality
        default: nil
        }
    }

    private static func narrow86(_ number: UInt32) -> ArgumentClass? {
        switch number {
        case 359: .socket
        case 360: .socketPair
        case 120: .clone
        case 310: .unshare
        case 346: .setns
        case 54: .ioctl
        case 172: .prctl
        case 55, 221: .fcntl
        case 192, 125, 380: .protection
        case 136: .personality
        default: nil
        }
    }

    private static func arm64(_ number: UInt32) -> ArgumentClass? {
        switch number {
        case 198: .socket
        case 199: .socketPair
        case 220: .clone
        case 97: .unshare
        case 268: .setns
        case 29: .ioctl
        case 167: .prctl
        case 25: .fcntl
        case 222, 226, 288: .protection
        case 92: .personality
        default: nil
        }
    }
}
