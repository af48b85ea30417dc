/// What a profile never gets by being watched: only an operator who names it gives it to a workload.
///
/// These calls make namespaces and mounts, look into other processes, load code into the kernel, belong to the host, or
/// reach parts of the kernel that few programs need and many exploits used. A workload that was attacked while it was
/// watched would otherwise teach its profile what the attack needs.
package enum DangerousCalls {
    /// Why a call is dangerous.
    ///
    /// - Parameters:
    ///   - architecture: AUDIT_ARCH_* of the call.
    ///   - number: Its number.
    ///   - argument: Its class, see `ArgumentClass`.
    /// - Returns: A short reason; nil when the call is an ordinary one.
    package static func reason(architecture: UInt32, number: UInt32, argument: UInt64?) -> String? {
        if SyscallNames.convention(architecture: architecture, number: number) != nil {
            return "a call of another convention than the machine's own"
        }
        guard let name = SyscallNames.name(architecture: architecture, number: number) else { return nil }
        return reason(name: name, argument: argument)
    }

    /// Whether a call is dangerous.
    package static func contains(architecture: UInt32, number: UInt32, argument: UInt64?) -> Bool {
        reason(architecture: architecture, number: number, argument: argument) != nil
    }

    /// Why a call of the machine's own convention is dangerous.
    ///
    /// - Parameters:
    ///   - name: The call.
    ///   - argument: Its class; nil for what the call may do at its worst.
    /// - Returns: A short reason; nil when the call is an ordinary one.
    package static func reason(name: String, argument: UInt64?) -> String? {
        if let kind = ArgumentClass(call: name) { return reason(kind, argument) }
        return reason(name)
    }

    private static func reason(_ kind: ArgumentClass, _ argument: UInt64?) -> String? {
        switch kind {
        case .socket, .socketPair: argument.map(isOrdinaryFamily) == true ? nil : "an unusual family of sockets"
        case .clone, .unshare: argument == 0 ? nil : "makes namespaces"
        case .setns: "enters namespaces"
        // Typing into a terminal, and the console's own tricks: ways out of a container that shares one.
        case .ioctl: argument == 0x5412 || argument == 0x541c ? "puts input into a terminal" : nil
        case .personality: argument.map(isOrdinaryDomain) == true ? nil : "weakens the layout of memory"
        case .prctl, .fcntl, .protection: nil
        }
    }

    /// AF_UNSPEC, AF_UNIX, AF_INET, AF_INET6, and AF_NETLINK for routes, which programs read to find their addresses.
    private static func isOrdinaryFamily(_ family: UInt64) -> Bool { [0, 1, 2, 10, 16].contains(family) }

    /// Linux and Linux32, each also with the old address space layout, and the question which one is in force.
    private static func isOrdinaryDomain(_ domain: UInt64) -> Bool {
        [0x0, 0x8, 0x20000, 0x20008, 0xffff_ffff].contains(domain)
    }

    /// A switch, not a table: a shim asks this and has no memory to spare.
    private static func reason(_ name: String) -> String? {
        switch name {
        case "mount", "umount", "umount2", "mount_setattr", "move_mount", "open_tree", "open_tree_attr", "fsopen",
            "fsconfig", "fsmount", "fspick", "pivot_root", "chroot":
            "changes what is mounted"
        case "clone3": "its flags are out of a filter's sight"
        case "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp":
            "reaches into other processes"
        case "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
            "add_key",
            "keyctl", "request_key", "fanotify_init", "lookup_dcookie", "migrate_pages", "move_pages", "modify_ldt",
            "vm86", "vm86old", "uselib", "sysfs", "_sysctl", "ustat", "nfsservctl":
            "reaches kernel code that few programs need"
        case "init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms",
            "kexec_load", "kexec_file_load":
            "loads code into the kernel"
        case "open_by_handle_at": "opens files around the container's root"
        case "reboot", "swapon", "swapoff", "quotactl", "quotactl_fd", "acct", "iopl", "ioperm", "settimeofday",
            "clock_settime", "clock_settime64", "stime", "sethostname", "setdomainname", "vhangup", "syslog":
            "changes the machine"
        default: nil
        }
    }
}
