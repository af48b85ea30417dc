internal import CLibSeccomp

/// Names of system calls by number, and back.
///
/// libseccomp's tables, and for what is younger than the library a list of our own: a name for people only, for a filter
/// knows just the calls of the library.
package enum SyscallNames {
    /// AUDIT_ARCH_* of this machine.
    package static var native: UInt32 { seccomp_arch_native() }

    /// The name that people know the call by.
    ///
    /// - Returns: Nil when the number stands in no table.
    package static func name(architecture: UInt32, number: UInt32) -> String? {
        let isX32 = architecture == ProfileMeaning.x86_64Token && number & ProfileMeaning.x32Bit != 0
        let token = isX32 ? ProfileMeaning.x32Token : architecture
        guard let signed = Int32(exactly: number) else { return nil }
        // The library wants the number of x32 with its bit.
        if let text = unsafe seccomp_syscall_resolve_num_arch(token, signed) {
            defer { unsafe libseccomp_release_name(text) }
            return unsafe String(cString: text)
        }
        return younger(isX32 ? number & ~ProfileMeaning.x32Bit : number, architecture)
    }

    /// What to call a call: its name, or its number when it has none; those of a foreign convention with that in front.
    package static func label(architecture: UInt32, number: UInt32) -> String {
        // What a guard calls all for which it had no place.
        if number == .max { return "others" }
        let name = name(architecture: architecture, number: number) ?? "number \(number)"
        guard let convention = convention(architecture: architecture, number: number) else { return name }
        return "\(convention):\(name)"
    }

    /// The convention of a call that is not the machine's own.
    ///
    /// - Returns: Such as `i386` or `x32`; nil for the machine's own.
    package static func convention(architecture: UInt32, number: UInt32) -> String? {
        if architecture == ProfileMeaning.x86_64Token, number != .max, number & ProfileMeaning.x32Bit != 0 {
            return "x32"
        }
        guard architecture != native else { return nil }
        return switch architecture {
        case ProfileMeaning.i386Token: "i386"
        case ProfileMeaning.x86_64Token: "x86_64"
        case 0x4000_0028: "arm"
        case 0xc000_00b7: "aarch64"
        default: "architecture 0x\(String(architecture, radix: 16))"
        }
    }

    /// The number of a call of the machine's own convention, as a filter can name it.
    ///
    /// - Returns: Nil when the library does not know the name, or this machine has no such call.
    package static func number(of name: String) -> UInt32? {
        guard !name.isEmpty, !name.utf8.contains(0) else { return nil }
        return ProfileMeaning.number(of: name, native)
    }

    /// Calls that came after the tables of Debian 12; from 424 on all architectures number alike.
    private static func younger(_ number: UInt32, _ architecture: UInt32) -> String? {
        if architecture == ProfileMeaning.x86_64Token, number == 335 { return "uretprobe" }
        if architecture == ProfileMeaning.x86_64Token, number == 336 { return "uprobe" }
        return switch number {
        case 449: "futex_waitv"
        case 450: "set_mempolicy_home_node"
        case 451: "cachestat"
        case 452: "fchmodat2"
        case 453: "map_shadow_stack"
        case 454: "futex_wake"
        case 455: "futex_wait"
        case 456: "futex_requeue"
        case 457: "statmount"
        case 458: "listmount"
        case 459: "lsm_get_self_attr"
        case 460: "lsm_set_self_attr"
        case 461: "lsm_list_modules"
        case 462: "mseal"
        case 463: "setxattrat"
        case 464: "getxattrat"
        case 465: "listxattrat"
        case 466: "removexattrat"
        case 467: "open_tree_attr"
        case 468: "file_getattr"
        case 469: "file_setattr"
        default: nil
        }
    }
}
