import OCISpec
import Seccomp
import Testing

/// A program with questions in the place of its decisions, beside the program as it was.
@Suite struct AskingTests {
    static let (question, failure): (UInt32, UInt32) = (0x7fc0_0000, 0x0005_0000)
    static let clone3: UInt32 = 435

    let program: SeccompProgram
    let original: BPFInterpreter

    init() throws {
        program = try SeccompCompiler.compile(DefaultProfile.profile(capabilities: ["CAP_CHOWN"]))
        original = BPFInterpreter(program)
    }

    /// Calls of three conventions and of none, with arguments on both sides of what the profile tells apart.
    static let calls: [SystemCall] = [0xc000_003e, 0x4000_0003, 0xc000_00b7].flatMap { architecture in
        (Array(0..<500) + [1024, 0x4000_0000 | 39, .max]).flatMap { number in
            [[], [16], [40], [0x1000_0000, .max], [.max]].map {
                SystemCall(architecture: architecture, number: number, arguments: $0)
            }
        }
    }

    @Test func onlyWhatIsRefusedIsAskedAbout() {
        let asking = BPFInterpreter(program.asking(about: .refused, flags: 1 << 5))
        for call in Self.calls {
            let verdict = original.verdict(on: call)
            let isClone3 = call.number == Self.clone3 && call.architecture == SyscallNames.native
            let isRefused = verdict == 0x8000_0000 || (verdict ?? 0) & 0xffff_0000 == Self.failure
            let wanted = isRefused && !isClone3 ? Self.question : verdict
            #expect(asking.verdict(on: call) == wanted, "\(call)")
        }
        #expect(program.asking(about: .refused, flags: 1 << 5).flags == program.flags | 1 << 5)
    }

    @Test func everythingIsAskedAboutButClone3() {
        let asking = BPFInterpreter(program.asking(about: .all, flags: 0))
        for call in Self.calls {
            let isClone3 = call.number == Self.clone3 && call.architecture == SyscallNames.native
            #expect(asking.verdict(on: call) == (isClone3 ? Self.failure | 38 : Self.question), "\(call)")
        }
    }

    /// A signal to the program itself and a tracer cannot be had by an answer.
    @Test func whatIsHandedOnIsNotAskedAbout() throws {
        let rules = [("getpid", RuntimeSpec.Seccomp.Action.trap), ("getppid", .trace), ("getuid", .log)].map {
            RuntimeSpec.Seccomp.Rule(names: [$0.0], action: $0.1)
        }
        let program = try SeccompCompiler.compile(RuntimeSpec.Seccomp(defaultAction: .allow, syscalls: rules))
        for (name, verdict) in [("getpid", 0x0003_0000), ("getppid", 0x7ff0_0001), ("getuid", 0x7ffc_0000)]
            as [(_, UInt32)]
        {
            let number = try #require(SyscallNames.number(of: name))
            let call = SystemCall(architecture: SyscallNames.native, number: number)
            #expect(BPFInterpreter(program.asking(about: .refused, flags: 0)).verdict(on: call) == verdict)
        }
    }

    @Test func theJudgeDecidesAsTheProgramWould() {
        let judge = SeccompJudge(program)
        for call in Self.calls {
            let decision = judge.decide(architecture: call.architecture, number: call.number, arguments: call.arguments)
            switch original.verdict(on: call) {
            case 0x7fff_0000?: #expect(decision == .allow)
            case let verdict? where verdict & 0xffff_0000 == Self.failure:
                #expect(decision == .fail(Int32(verdict & 0xffff)))
            default: #expect(decision == .kill)
            }
        }
    }
}
