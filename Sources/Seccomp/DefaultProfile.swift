public import OCISpec

/// The filter that a container gets when nobody asks for another one.
///
/// An allow-list. What it does not know fails with ENOSYS, so that programs fall back as on an older kernel; what it
/// refuses on purpose fails with EPERM. Calls that need a capability anyway are open when the container has it.
public enum DefaultProfile {
    /// The profile for a container with these capabilities.
    ///
    /// - Parameter capabilities: Names such as `CAP_SYS_ADMIN`, the bounding set of the container.
    /// - Returns: A section for this machine's architecture and the 32-bit one that it also runs. The x32 convention is
    ///   left out: its calls meet the verdict for foreign architectures.
    public static func profile(capabilities: some Sequence<String>) -> RuntimeSpec.Seccomp {
        let granted = Set(capabilities)
        var allowed = Syscalls.always
        var refused = Syscalls.never
        for (capability, calls) in Syscalls.byCapability {
            if granted.contains(capability) { allowed += calls } else { refused += calls }
        }
        // A call that several capabilities open is open with any of them; clone and clone3 get rules of their own.
        let open = Set(allowed)
        refused = Set(refused).subtracting(open).subtracting(["clone", "clone3"]).sorted()

        var rules = [rule(open.sorted(), .allow), rule(refused, .errno, errno: permissionDenied)]
        rules += personality
        rules += sockets
        if !granted.contains("CAP_SYS_ADMIN") { rules += cloneWithoutNamespaces }
        return RuntimeSpec.Seccomp(
            defaultAction: .errno,
            defaultErrnoRet: noSystemCall,
            architectures: architectures,
            syscalls: rules
        )
    }

    private static let permissionDenied: UInt32 = 1
    private static let noSystemCall: UInt32 = 38

    private static var architectures: [String] {
        #if arch(x86_64)
        ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]
        #elseif arch(arm64)
        ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]
        #else
        []
        #endif
    }

    /// Execution domains that only change how a program sees itself: Linux and Linux32, each also with the old address
    /// space layout, and the question which one is in force.
    private static var personality: [RuntimeSpec.Seccomp.Rule] {
        [0x0, 0x8, 0x20000, 0x20008, 0xffff_ffff].map { domain in
            rule(["personality"], .allow, [.init(index: 0, value: domain, op: .equal)])
        }
    }

    /// Socket families: all up to 45 but AF_ALG (38), whose kernel code has been a way to root, and AF_VSOCK (40), which
    /// reaches the host around the container's network.
    ///
    /// The family is an `int`: the kernel drops the upper half of the register, so the conditions look at the lower half
    /// only. A plain comparison of 64 bits would let a family with a bit above through.
    private static var sockets: [RuntimeSpec.Seccomp.Rule] {
        let ranges: [(first: UInt64, bits: UInt64)] = [
            (0, 0x1f), (32, 0x3), (36, 0x1), (39, 0), (41, 0), (42, 0x1), (44, 0x1),
        ]
        let open = ranges.map { range in
            rule(["socket"], .allow, [lowerHalf(0, except: range.bits, equals: range.first)])
        }
        let closed: [RuntimeSpec.Seccomp.Rule] = [38, 40].map { (family: UInt64) in
            rule(["socket"], .errno, [lowerHalf(0, except: 0, equals: family)], errno: permissionDenied)
        }
        return open + closed
    }

    /// Threads and processes, but no new namespaces.
    ///
    /// `clone3` has its flags in memory, where a filter cannot look; it is
    /// absent, and programs use `clone`.
    private static var cloneWithoutNamespaces: [RuntimeSpec.Seccomp.Rule] {
        let flags: [UInt64] = [
            0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000,
        ]
        let none = RuntimeSpec.Seccomp.Argument(index: 0, value: flags.reduce(0, |), valueTwo: 0, op: .maskedEqual)
        let refused = flags.map { flag in
            rule(
                ["clone"],
                .errno,
                [.init(index: 0, value: flag, valueTwo: flag, op: .maskedEqual)],
                errno: permissionDenied
            )
        }
        return [rule(["clone"], .allow, [none])] + refused + [rule(["clone3"], .errno, errno: noSystemCall)]
    }

    private static func lowerHalf(
        _ index: UInt32,
        except bits: UInt64,
        equals value: UInt64
    ) -> RuntimeSpec.Seccomp.Argument {
        .init(index: index, value: 0xffff_ffff & ~bits, valueTwo: value, op: .maskedEqual)
    }

    private static func rule(
        _ names: [String],
        _ action: RuntimeSpec.Seccomp.Action,
        _ arguments: [RuntimeSpec.Seccomp.Argument] = [],
        errno: UInt32? = nil
    ) -> RuntimeSpec.Seccomp.Rule {
        .init(names: names, action: action, errnoRet: errno, args: arguments.isEmpty ? nil : arguments)
    }
}
