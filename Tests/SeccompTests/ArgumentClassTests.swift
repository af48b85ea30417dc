import OCISpec
import Seccomp
import Testing

@Suite struct ArgumentClassTests {
    static let x86_64: UInt32 = 0xc000_003e
    static let i386: UInt32 = 0x4000_0003
    static let arm64: UInt32 = 0xc000_00b7

    /// The numbers stand in the program as constants; libseccomp's tables say the same.
    @Test(arguments: [x86_64, i386, arm64])
    func everyNumberHasTheKindOfItsName(_ architecture: UInt32) {
        var found: Set<ArgumentClass> = []
        for number: UInt32 in 0..<600 {
            let kind = ArgumentClass.kind(architecture: architecture, number: number)
            let name = SyscallNames.name(architecture: architecture, number: number)
            if let kind { found.insert(kind) }
            // Its arguments are in memory.
            if architecture == Self.i386, number == 90 {
                #expect(kind == nil && name == "mmap")
                continue
            }
            // Numbers of x32 without their bit have no name among the 64-bit ones.
            if architecture == Self.x86_64, number >= 512, number < 600, name == nil { continue }
            #expect(kind == name.flatMap(ArgumentClass.init(call:)), "\(name ?? "none") \(number)")
        }
        #expect(found == Set(ArgumentClass.allCases))
        for number: UInt32 in [0x4000_0000 + 41, 0x4000_0000 + 514] where architecture == Self.x86_64 {
            let name = SyscallNames.name(architecture: architecture, number: number)
            #expect(name == (number == 0x4000_0029 ? "socket" : "ioctl"))
            let kind = ArgumentClass.kind(architecture: architecture, number: number)
            #expect(kind == name.flatMap(ArgumentClass.init(call:)))
        }
    }

    static func value(_ name: String, _ arguments: [UInt64]) -> UInt64? {
        SyscallNames.number(of: name).flatMap {
            ArgumentClass.of(architecture: SyscallNames.native, number: $0, arguments: arguments)
        }
    }

    @Test func classesAreWhatTheKernelTakes() {
        #expect(Self.value("socket", [2, 1, 0]) == 2)
        // An int: what stands above is dropped by the kernel too.
        #expect(Self.value("socket", [0xffff_ffff_0000_0026, 5, 9]) == 38)
        #expect(Self.value("socket", [16, 3, 9]) == 16 | 9 << 32)
        #expect(Self.value("socket", [16, 3, 0]) == 16)
        #expect(Self.value("clone", [0x003d_0f00]) == 0)
        #expect(Self.value("clone", [0x1000_0011]) == 0x1000_0000)
        #expect(Self.value("unshare", [0x2000_0080]) == 0x2000_0080)
        #expect(Self.value("setns", [7, 0x4000_0000]) == 0x4000_0000)
        #expect(Self.value("ioctl", [1, 0xdead_0000_5401, 3]) == 0x5401)
        #expect(Self.value("mmap", [0, 4096, 0x0100_0007]) == 7)
        #expect(Self.value("mprotect", [0, 4096, 1]) == 1)
        #expect(Self.value("fcntl", [3, 1030]) == 1030)
        #expect(Self.value("prctl", []) == 0)
        #expect(Self.value("read", [1, 2, 3]) == nil)
        #expect(Self.value("clone3", [1, 2]) == nil)
    }

    static let named: [(ArgumentClass, UInt64, String)] = [
        (.socket, 2, "AF_INET"), (.socket, 38, "AF_ALG"), (.socket, 40, "AF_VSOCK"), (.socket, 45, "AF_MCTP"),
        (.socket, 16, "AF_NETLINK/NETLINK_ROUTE"), (.socket, 16 | 9 << 32, "AF_NETLINK/NETLINK_AUDIT"),
        (.socket, 16 | 21 << 32, "AF_NETLINK/NETLINK_CRYPTO"), (.socketPair, 1, "AF_UNIX"), (.socket, 99, "0x63"),
        (.clone, 0, "0"), (.clone, 0x1002_0000, "CLONE_NEWNS|CLONE_NEWUSER"), (.unshare, 0x80, "CLONE_NEWTIME"),
        (.setns, 0x4000_0000, "CLONE_NEWNET"), (.ioctl, 0x5401, "TCGETS"), (.ioctl, 0x1234_5678, "0x12345678"),
        (.prctl, 15, "PR_SET_NAME"), (.prctl, 0x5356_4d41, "PR_SET_VMA"), (.fcntl, 1030, "F_DUPFD_CLOEXEC"),
        (.protection, 0, "PROT_NONE"), (.protection, 5, "PROT_READ|PROT_EXEC"),
        (.personality, 0x40000, "ADDR_NO_RANDOMIZE"),
        (.personality, 0x20008, "PER_LINUX32|UNAME26"),
    ]

    @Test(arguments: named)
    func namesLeadThereAndBack(_ entry: (kind: ArgumentClass, value: UInt64, name: String)) {
        #expect(entry.kind.name(of: entry.value) == entry.name)
        #expect(entry.kind.value(named: entry.name) == entry.value)
        #expect(entry.kind.isPossible(entry.value))
    }

    @Test func everyClassHasATextThatIsReadBack() {
        var random = SeccompPropertyTests.Generator(state: 7)
        for kind in ArgumentClass.allCases {
            for bit in 0..<64 {
                for raw in [1 << UInt64(bit), random.next(), UInt64(bit)] {
                    let value = kind.value(of: [raw, raw, raw, raw])
                    #expect(kind.value(named: kind.name(of: value)) == value, "\(kind) \(value)")
                }
            }
        }
    }

    @Test(arguments: [
        (ArgumentClass.socket, "AF_NONSENSE"), (.socket, ""), (.socket, "AF_INET/NETLINK_ROUTE"),
        (.socket, "AF_NETLINK/"),
        (.socket, "-1"), (.socket, "0x+2"), (.socket, "0x100000000"), (.clone, "CLONE_THREAD"), (.clone, "0x100"),
        (.clone, "CLONE_NEWTIME"), (.clone, "CLONE_NEWNS|"), (.ioctl, "tcgets"), (.protection, "PROT_NONE|PROT_READ"),
        (.protection, "8"),
    ])
    func otherTextsAreNone(_ kind: ArgumentClass, _ text: String) {
        #expect(kind.value(named: text) == nil)
    }

    /// What the filter does with a class's conditions is what the class says, for arguments of every shape.
    @Test func aRuleOfAClassHoldsForItsCallsOnly() throws {
        var random = SeccompPropertyTests.Generator(state: 11)
        for (kind, value, _) in Self.named {
            let name =
                [
                    "socket", "socketpair", "clone", "unshare", "setns", "ioctl", "prctl", "fcntl", "mprotect",
                    "personality",
                ]
                .first { ArgumentClass(call: $0) == kind } ?? ""
            let number = try #require(SyscallNames.number(of: name))
            let rule = RuntimeSpec.Seccomp.Rule(names: [name], action: .allow, args: kind.conditions(for: value))
            let program = try SeccompCompiler.compile(.init(defaultAction: .errno, syscalls: [rule]))
            let interpreter = BPFInterpreter(program)
            for _ in 0..<200 {
                let base = Bool.random(using: &random) ? kind.arguments(for: value) : [0, 0, 0, 0, 0, 0]
                let arguments = base.map { Bool.random(using: &random) ? $0 ^ random.next() & random.next() << 20 : $0 }
                let call = SystemCall(architecture: SyscallNames.native, number: number, arguments: arguments)
                let isOf = kind.value(of: arguments) == value
                #expect(
                    interpreter.verdict(on: call) == (isOf ? Verdict.allow : Verdict.errno(1)),
                    "\(name) \(arguments)"
                )
            }
        }
    }
}

@Suite struct DangerousCallsTests {
    func isDangerous(_ name: String, _ argument: UInt64? = nil) throws -> Bool {
        let number = try #require(SyscallNames.number(of: name), "\(name)")
        return DangerousCalls.contains(architecture: SyscallNames.native, number: number, argument: argument)
    }

    @Test(arguments: [
        "mount", "umount2", "mount_setattr", "move_mount", "open_tree", "fsopen", "pivot_root", "chroot", "ptrace",
        "process_vm_readv", "process_vm_writev", "bpf", "perf_event_open", "keyctl", "add_key", "request_key",
        "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd", "init_module", "finit_module",
        "delete_module", "kexec_load", "open_by_handle_at", "reboot", "swapon", "quotactl", "acct", "settimeofday",
        "clock_settime", "clone3", "setns", "pidfd_getfd",
    ])
    func callsThatAreNeverLearned(_ name: String) throws {
        #expect(try isDangerous(name))
    }

    @Test func classesThatAreNeverLearned() throws {
        for bit: UInt64 in [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
            #expect(try isDangerous("clone", bit) && isDangerous("unshare", bit))
        }
        #expect(try !isDangerous("clone", 0) && !isDangerous("unshare", 0))
        for family: UInt64 in 0..<64 {
            #expect(try isDangerous("socket", family) == ![0, 1, 2, 10, 16].contains(family), "\(family)")
        }
        #expect(try isDangerous("socket", 16 | 9 << 32) && isDangerous("socket", 16 | 12 << 32))
        #expect(try isDangerous("ioctl", 0x5412) && !isDangerous("ioctl", 0x5401))
        #expect(try isDangerous("personality", 0x40000) && !isDangerous("personality", 0xffff_ffff))
        // Without its class a call is taken for the worst that it can be.
        #expect(try isDangerous("socket") && isDangerous("clone"))
    }

    @Test func foreignConventionsAreNeverLearned() {
        #expect(DangerousCalls.contains(architecture: 0x4000_0003, number: 4, argument: nil))
        #expect(DangerousCalls.contains(architecture: ArgumentClassTests.x86_64, number: 0x4000_0001, argument: nil))
        #expect(SyscallNames.label(architecture: 0x4000_0003, number: 4) == "i386:write")
        #expect(SyscallNames.label(architecture: ArgumentClassTests.x86_64, number: 0x4000_0001) == "x32:write")
    }

    /// What the default profile refuses to everybody is not learned either.
    @Test func whatNobodyGetsIsDangerous() {
        let open = DefaultProfile.Syscalls.never.filter { DangerousCalls.reason(name: $0, argument: nil) == nil }
        #expect(open.isEmpty)
    }

    @Test func ordinaryCallsAreLearned() throws {
        for name in ["read", "execve", "openat", "futex", "exit_group", "name_to_handle_at", "seccomp", "memfd_create"]
        {
            #expect(try !isDangerous(name))
        }
        #expect(!DangerousCalls.contains(architecture: SyscallNames.native, number: 9999, argument: nil))
        #expect(SyscallNames.label(architecture: SyscallNames.native, number: 9999) == "number 9999")
        #expect(SyscallNames.name(architecture: SyscallNames.native, number: 462) == "mseal")
    }
}
