import FoundationEssentials
import Kernel
import OCISpec
import Seccomp
import Testing

@Suite struct ProgramTests {
    @Test func theFileFormSurvivesARoundTrip() throws {
        let program = try SeccompCompiler.compile(DefaultProfile.profile(capabilities: ["CAP_CHOWN"]))
        #expect(try SeccompProgram(encoded: program.encoded) == program)
    }

    @Test func damagedFilesAreRefused() throws {
        let bytes = try SeccompCompiler.compile(DefaultProfile.profile(capabilities: [])).encoded
        for length in [0, 1, 8, 23, 24, bytes.count - 8, bytes.count - 1] {
            #expect(throws: SeccompError.self) { try SeccompProgram(encoded: bytes.prefix(length)) }
        }
        for position in stride(from: 0, to: bytes.count, by: 97) where !(8..<12).contains(position) {
            var damaged = bytes
            damaged[position] ^= 0x10
            #expect(throws: SeccompError.self) { try SeccompProgram(encoded: damaged) }
        }
        #expect(throws: SeccompError.self) { try SeccompProgram(encoded: bytes + [0, 0, 0, 0, 0, 0, 0, 0]) }
    }

    @Test func aProgramHasAtMostTheKernelsNumberOfInstructions() {
        let many = [UInt8](repeating: 0, count: 8 * 4097)
        #expect(throws: SeccompError.self) { try SeccompProgram(flags: 0, instructions: many) }
        #expect(throws: SeccompError.self) { try SeccompProgram(flags: 0, instructions: []) }
    }

    @Test func theCacheAnswersFromItsFileAndHealsIt() throws {
        let directory = FileManager.default.temporaryDirectory.path + "/berth-seccomp-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let cache = SeccompCache(directory: directory)
        let profile = DefaultProfile.profile(capabilities: [])
        let first = try cache.program(for: profile)
        let names = try FileManager.default.contentsOfDirectory(atPath: directory)
        #expect(names.count == 1)
        let file = directory + "/" + (names.first ?? "")
        let bytes = try Data(contentsOf: URL(filePath: file))
        for damaged in [Data(), bytes.dropLast(), Data(repeating: 0, count: bytes.count)] {
            try Data(damaged).write(to: URL(filePath: file))
            #expect(try cache.program(for: profile) == first)
            #expect(try Data(contentsOf: URL(filePath: file)) == bytes)
        }
    }
}

@Suite struct CompilerTests {
    typealias Profile = RuntimeSpec.Seccomp

    func verdict(_ profile: Profile, _ number: UInt32, _ arguments: [UInt64]) throws -> UInt32? {
        BPFInterpreter(try SeccompCompiler.compile(profile))
            .verdict(on: SystemCall(architecture: 0xc000_003e, number: number, arguments: arguments))
    }

    @Test(arguments: Profile.Operator.allCases)
    func everyOperatorComparesSixtyFourBits(_ operation: Profile.Operator) throws {
        let border: UInt64 = 0x1_0000_0005
        let argument = Profile.Argument(index: 2, value: border, valueTwo: 5, op: operation)
        let profile = Profile(
            defaultAction: .killProcess,
            syscalls: [.init(names: ["read"], action: .allow, args: [argument])]
        )
        for value in [0, 4, 5, 6, border - 1, border, border + 1, 0x2_0000_0005, .max] as [UInt64] {
            let holds =
                switch operation {
                case .notEqual: value != border
                case .less: value < border
                case .lessOrEqual: value <= border
                case .equal: value == border
                case .greaterOrEqual: value >= border
                case .greater: value > border
                case .maskedEqual: value & border == 5
                }
            let wanted = holds ? Verdict.allow : Verdict.killProcess
            #expect(try verdict(profile, 0, [0, 0, value]) == wanted, "\(operation) \(value)")
        }
    }

    @Test func conditionsOnTheSameArgumentAreAlternatives() throws {
        let profile = Profile(
            defaultAction: .errno,
            syscalls: [
                .init(
                    names: ["read"],
                    action: .allow,
                    args: [.init(index: 0, value: 1, op: .equal), .init(index: 0, value: 2, op: .equal)]
                )
            ]
        )
        #expect(try verdict(profile, 0, [1]) == Verdict.allow)
        #expect(try verdict(profile, 0, [2]) == Verdict.allow)
        #expect(try verdict(profile, 0, [3]) == Verdict.errno(1))
    }

    @Test func contradictionsAreErrors() {
        let rule = Profile.Rule(names: ["read"], action: .allow, errnoRet: 1)
        #expect(throws: SeccompError.self) {
            try SeccompCompiler.compile(.init(defaultAction: .errno, syscalls: [rule]))
        }
        let far = Profile.Rule(names: ["read"], action: .allow, args: [.init(index: 6, value: 0, op: .equal)])
        #expect(throws: SeccompError.self) {
            try SeccompCompiler.compile(.init(defaultAction: .errno, syscalls: [far]))
        }
        let empty = Profile.Rule(names: [], action: .allow)
        #expect(throws: SeccompError.self) {
            try SeccompCompiler.compile(.init(defaultAction: .errno, syscalls: [empty]))
        }
        #expect(throws: SeccompError.self) {
            try SeccompCompiler.compile(.init(defaultAction: .allow, architectures: ["SCMP_ARCH_PDP11"]))
        }
        #expect(throws: SeccompError.self) { try SeccompCompiler.compile(.init(defaultAction: .allow, flags: ["X"])) }
    }

    @Test func unknownCallsAreSkipped() throws {
        let rule = Profile.Rule(names: ["no_such_call", "read"], action: .allow)
        #expect(try verdict(.init(defaultAction: .errno, syscalls: [rule]), 0, []) == Verdict.allow)
    }
}

@Suite struct DockerProfileTests {
    static let json = """
        {"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":38,
        "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},
        {"architecture":"SCMP_ARCH_AARCH64","subArchitectures":["SCMP_ARCH_ARM"]}],
        "syscalls":[{"names":["read"],"action":"SCMP_ACT_ALLOW"},
        {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
        {"names":["clone3"],"action":"SCMP_ACT_ERRNO","errnoRet":38,"excludes":{"caps":["CAP_SYS_ADMIN"]}},
        {"names":["ptrace"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"4.8"},"comment":"x"},
        {"names":["future"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.0"}},
        {"name":"sys_x","action":"SCMP_ACT_ALLOW","includes":{"arches":["s390x"]}}]}
        """

    func names(_ capabilities: [String]) throws -> [[String]] {
        let profile = try DockerProfile.parse(Array(Self.json.utf8), capabilities: capabilities, kernel: "6.18.2-x")
        return (profile.syscalls ?? []).map(\.names)
    }

    @Test func rulesApplyByCapabilityKernelAndArchitecture() throws {
        #expect(try names([]) == [["read"], ["clone3"], ["ptrace"]])
        #expect(try names(["CAP_SYS_ADMIN"]) == [["read"], ["mount"], ["ptrace"]])
    }

    @Test(arguments: [
        "", "[]", "{}", #"{"defaultAction":"SCMP_ACT_SHRUG"}"#,
        #"{"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]}"#,
        #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"name":"a","names":["b"],"action":"SCMP_ACT_ALLOW"}]}"#,
        #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"action":"SCMP_ACT_ALLOW"}]}"#,
        #"{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["b"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"x"}}]}"#,
    ])
    func whatIsNoProfileIsAnError(_ json: String) {
        #expect(throws: SeccompError.self) {
            try DockerProfile.parse(Array(json.utf8), capabilities: [], kernel: "6.1")
        }
    }
}
