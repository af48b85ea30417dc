import FoundationEssentials
import Kernel
import OCISpec
import Seccomp
import Testing

/// Random profiles: what is compiled of each agrees with it for every number and every class of arguments.
///
/// `BERTH_PROPERTY_COUNT` sets how many instead of 10,000; a number gives the same profile everywhere.
@Suite struct SeccompPropertyTests {
    typealias Profile = RuntimeSpec.Seccomp

    /// SplitMix64: the same numbers on every machine.
    struct Generator: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state &+= 0x9e37_79b9_7f4a_7c15
            var z = state
            z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
            z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
            return z ^ z >> 31
        }
    }

    static let names = [
        "read", "write", "open", "close", "clone", "clone3", "socket", "bind", "sendmsg", "semget", "shmat", "mmap",
        "ioctl", "personality", "prctl", "keyctl", "openat2", "futex_waitv", "mkdir", "no_such_call", "time", "lstat64",
        "socketcall", "ipc", "waitpid", "arch_prctl",
    ]
    static let borders: [UInt64] = [
        0, 1, 2, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff, 1 << 32, 1 << 32 | 1, 1 << 32 | 0xffff_ffff,
        0x7fff_ffff_ffff_ffff, 1 << 63, .max - 1, .max,
    ]
    static let architectureLists: [[String]?] = [
        nil, ["SCMP_ARCH_X86_64"], ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
        ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"], ["SCMP_ARCH_X86"], ["SCMP_ARCH_X32"],
        ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"],
    ]

    static func profile(_ random: inout Generator) -> Profile {
        func action() -> Profile.Action { Profile.Action.allCases.randomElement(using: &random) ?? .allow }
        func errno(_ action: Profile.Action) -> UInt32? {
            guard action == .errno || action == .trace, Bool.random(using: &random) else { return nil }
            return .random(in: 0...4095, using: &random)
        }
        let defaultAction = action()
        let rules = (0..<Int.random(in: 0...9, using: &random)).map { _ in
            let action = action()
            let arguments = (0..<([0, 0, 1, 1, 2, 3].randomElement(using: &random) ?? 0)).map { _ in
                var value = borders.randomElement(using: &random) ?? 0
                if Int.random(in: 0..<4, using: &random) == 0 { value = random.next() }
                return Profile.Argument(
                    index: .random(in: 0...5, using: &random),
                    value: value,
                    valueTwo: Bool.random(using: &random)
                        ? value & random.next() : borders.randomElement(using: &random),
                    op: Profile.Operator.allCases.randomElement(using: &random) ?? .equal
                )
            }
            return Profile.Rule(
                names: (0..<Int.random(in: 1...3, using: &random)).map { _ in
                    names.randomElement(using: &random) ?? "read"
                },
                action: action,
                errnoRet: errno(action),
                args: arguments
            )
        }
        return Profile(
            defaultAction: defaultAction,
            defaultErrnoRet: errno(defaultAction),
            architectures: architectureLists.randomElement(using: &random) ?? nil,
            syscalls: rules
        )
    }

    /// In parts, for several processors.
    @Test(arguments: 0..<8)
    func programsOfRandomProfilesMeanWhatTheySay(_ part: Int) throws {
        let count = ProcessInfo.processInfo.environment["BERTH_PROPERTY_COUNT"].flatMap { Int($0) } ?? 10_000
        for number in stride(from: part, to: count, by: 8) {
            var random = Generator(state: 20_261_121 &+ UInt64(number) &* 0xd134_2543_de82_ef95)
            let profile = Self.profile(&random)
            // The compiler holds each program against its profile: an error of any kind is a failure here.
            do throws(SeccompError) { _ = try SeccompCompiler.compile(profile) } catch {
                Issue.record("profile \(number): \(error) \(profile)")
            }
        }
    }

    /// The check itself must see what is wrong: each instruction of a program is changed in turn.
    @Test func theCheckSeesAWrongProgram() throws {
        let profile = Profile(
            defaultAction: .errno,
            syscalls: [
                .init(names: ["read", "write"], action: .allow),
                .init(names: ["ioctl"], action: .allow, args: [.init(index: 1, value: 1 << 32 | 5, op: .lessOrEqual)]),
                .init(
                    names: ["clone"],
                    action: .allow,
                    args: [.init(index: 0, value: 0x7e02_0000, valueTwo: 0, op: .maskedEqual)]
                ),
            ]
        )
        let meaning = try ProfileMeaning(profile)
        let bytes = try SeccompCompiler.compile(profile).instructions
        var unseen: [Int] = []
        for position in stride(from: 0, to: bytes.count, by: 8) {
            // The constant's lowest bit: another word, number, border or verdict.
            var damaged = bytes
            damaged[position + 4] ^= 1
            let program = BPFInterpreter(try SeccompProgram(flags: 0, instructions: damaged))
            if (try? meaning.check(program)) != nil { unseen.append(position / 8) }
        }
        #expect(unseen.isEmpty)
        #expect(bytes.count / 8 > 20)
    }

    @Test func ruleListsOfAnyLengthAreRightOrRefused() throws {
        func profile(_ count: Int) -> Profile {
            Profile(
                defaultAction: .errno,
                syscalls: (0..<count).map { number in
                    let argument = Profile.Argument(index: 1, value: UInt64(number) << 31, op: .equal)
                    return .init(names: ["ioctl"], action: .allow, args: [argument])
                }
            )
        }
        #expect(try SeccompCompiler.compile(profile(700)).count > 2000)
        let error = #expect(throws: SeccompError.self) { try SeccompCompiler.compile(profile(5000)) }
        #expect(error?.code == .invalidArgument)
    }

    @Test func theOrderOfRulesDoesNotMatter() throws {
        let rules: [Profile.Rule] = [
            .init(names: ["ioctl"], action: .allow, args: [.init(index: 0, value: 5, op: .greater)]),
            .init(names: ["ioctl"], action: .killProcess, args: [.init(index: 0, value: 7, op: .equal)]),
            .init(names: ["ioctl"], action: .log, args: [.init(index: 1, value: 7, op: .equal)]),
        ]
        for list in [rules, rules.reversed()] {
            let program = try SeccompCompiler.compile(.init(defaultAction: .errno, syscalls: list))
            let interpreter = BPFInterpreter(program)
            func verdict(_ arguments: [UInt64]) -> UInt32? {
                interpreter.verdict(on: SystemCall(architecture: 0xc000_003e, number: 16, arguments: arguments))
            }
            #expect(verdict([7, 7]) == Verdict.killProcess)
            #expect(verdict([8, 7]) == 0x7ffc_0000)
            #expect(verdict([8, 0]) == Verdict.allow)
            #expect(verdict([0, 0]) == Verdict.errno(1))
        }
    }

    /// An allow-list of the real calls is one of their old 32-bit form; conditions are out of a filter's sight there.
    @Test func oldSocketCallsFollowTheRulesOfTheRealOnes() throws {
        let profile = Profile(
            defaultAction: .errno,
            architectures: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
            syscalls: [
                .init(names: ["bind", "semget"], action: .allow),
                .init(names: ["socket"], action: .allow, args: [.init(index: 0, value: 2, op: .equal)]),
            ]
        )
        let interpreter = BPFInterpreter(try SeccompCompiler.compile(profile))
        func verdict(_ number: UInt32, _ which: UInt64) -> UInt32? {
            interpreter.verdict(on: SystemCall(architecture: 0x4000_0003, number: number, arguments: [which]))
        }
        #expect(verdict(102, 2) == Verdict.allow)
        #expect(verdict(102, 1) == Verdict.errno(1))
        #expect(verdict(117, 2) == Verdict.allow)
        #expect(verdict(117, 0x10002) == Verdict.allow)
        #expect(verdict(117, 3) == Verdict.errno(1))
        #expect(verdict(359, 2) == Verdict.allow)
        #expect(verdict(359, 38) == Verdict.errno(1))
    }
}
