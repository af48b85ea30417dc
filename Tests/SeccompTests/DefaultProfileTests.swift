import OCISpec
import Seccomp
import Testing

/// The compiled default profile, asked through the interpreter about the calls that matter.
@Suite struct DefaultProfileTests {
    static let x86_64: UInt32 = 0xc000_003e
    static let i386: UInt32 = 0x4000_0003
    static let permissionDenied = Verdict.errno(1)
    static let absent = Verdict.errno(38)

    static let plain = interpreter([])
    static let administrator = interpreter(["CAP_SYS_ADMIN"])

    static func interpreter(_ capabilities: [String]) -> BPFInterpreter? {
        let profile = DefaultProfile.profile(capabilities: capabilities)
        return (try? SeccompCompiler.compile(profile)).map(BPFInterpreter.init)
    }

    func verdict(_ number: UInt32, _ arguments: [UInt64] = [], on architecture: UInt32 = x86_64) -> UInt32? {
        Self.plain?.verdict(on: SystemCall(architecture: architecture, number: number, arguments: arguments))
    }

    @Test func everySystemCallOfTheProfileIsDecidedAsItSays() throws {
        for capabilities in [[], ["CAP_SYS_ADMIN"], DefaultProfile.Syscalls.byCapability.map(\.capability)] {
            // The compiler checks each program against the profile; an error here is a difference.
            let program = try SeccompCompiler.compile(DefaultProfile.profile(capabilities: capabilities))
            #expect(program.count < 1200)
        }
    }

    static let ordinaryCalls: [(number: UInt32, name: String)] = [
        (0, "read"), (59, "execve"), (257, "openat"), (202, "futex"), (231, "exit_group"), (39, "getpid"),
        (16, "ioctl"), (158, "arch_prctl"), (435 - 1, "pidfd_open"), (101, "ptrace"),
    ]

    @Test(arguments: ordinaryCalls)
    func ordinaryCallsAreOpen(_ call: (number: UInt32, name: String)) {
        #expect(verdict(call.number) == Verdict.allow, "\(call.name)")
    }

    static let dangerousCalls: [(number: UInt32, name: String)] = [
        (425, "io_uring_setup"), (426, "io_uring_enter"), (323, "userfaultfd"), (250, "keyctl"), (321, "bpf"),
        (165, "mount"), (272, "unshare"), (308, "setns"), (246, "kexec_load"), (175, "init_module"),
        (155, "pivot_root"),
        (298, "perf_event_open"), (304, "open_by_handle_at"), (169, "reboot"), (428, "open_tree"),
        (442, "mount_setattr"),
    ]

    @Test(arguments: dangerousCalls)
    func dangerousCallsAreRefused(_ call: (number: UInt32, name: String)) {
        #expect(verdict(call.number) == Self.permissionDenied, "\(call.name)")
    }

    @Test(arguments: [UInt32(435), 600, 1000, 0x3fff_ffff])
    func cloneThreeAndUnknownCallsAreAbsent(_ number: UInt32) {
        #expect(verdict(number) == Self.absent)
    }

    @Test(arguments: [
        UInt64(0x0002_0000), 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000, 0x7e02_0011,
    ])
    func cloneMakesNoNamespaces(_ flags: UInt64) {
        #expect(verdict(56, [flags]) == Self.permissionDenied)
        #expect(verdict(56, [flags | 0xf_0000_0000]) == Self.permissionDenied)
        #expect(verdict(120, [flags], on: Self.i386) == Self.permissionDenied)
    }

    @Test func cloneMakesThreadsAndProcesses() {
        #expect(verdict(56, [0x003d_0f00]) == Verdict.allow)
        #expect(verdict(56, [17]) == Verdict.allow)
        #expect(verdict(120, [17], on: Self.i386) == Verdict.allow)
    }

    @Test(arguments: [UInt64(38), 40])
    func cryptoAndHostSocketsAreRefused(_ family: UInt64) {
        #expect(verdict(41, [family]) == Self.permissionDenied)
        // The kernel takes the family as an int: bits above the lower half must not hide it.
        #expect(verdict(41, [family | 1 << 32]) == Self.permissionDenied)
        #expect(verdict(41, [family | 0xffff_ffff << 32]) == Self.permissionDenied)
        #expect(verdict(359, [family], on: Self.i386) == Self.permissionDenied)
    }

    @Test func otherSocketsAreOpen() {
        for family: UInt64 in 0...45 where family != 38 && family != 40 {
            #expect(verdict(41, [family]) == Verdict.allow, "family \(family)")
            #expect(verdict(359, [family], on: Self.i386) == Verdict.allow, "family \(family)")
        }
        #expect(verdict(41, [46]) == Self.absent)
        #expect(verdict(102, [1], on: Self.i386) == Verdict.allow)
    }

    @Test func foreignConventionsAreKilled() {
        #expect(verdict(0, on: 0xc000_00b7) == Verdict.killProcess)
        // x32: the 64-bit architecture with a bit in the number.
        #expect(verdict(0x4000_0000) == Verdict.killProcess)
        #expect(verdict(0x4000_003b) == Verdict.killProcess)
    }

    @Test func aCapabilityOpensItsCalls() {
        func open(_ number: UInt32, _ arguments: [UInt64] = []) -> Bool {
            let call = SystemCall(architecture: Self.x86_64, number: number, arguments: arguments)
            return Self.administrator?.verdict(on: call) == Verdict.allow
        }
        for number: UInt32 in [165, 166, 272, 308, 435, 321, 298] { #expect(open(number), "call \(number)") }
        #expect(open(56, [0x7e02_0000]))
        for number: UInt32 in [425, 323, 250, 246, 304, 161] { #expect(!open(number), "call \(number)") }
    }

    @Test func personalityOnlyChangesTheView() {
        for domain: UInt64 in [0, 8, 0x20000, 0x20008, 0xffff_ffff] { #expect(verdict(135, [domain]) == Verdict.allow) }
        for domain: UInt64 in [1, 0x40000, 0x400_0000] { #expect(verdict(135, [domain]) != Verdict.allow) }
    }
}
