import DocumentTexts
import OCISpec
import Sandbox
import Seccomp
import ShimProtocol

/// A reader and how it is fed.
struct Target: Sendable {
    let name: String
    let run: @Sendable (inout Generator) -> Void

    static let all = [
        Target(name: "runtime-spec") { random in
            // What is read is read again by the next stage, and that must not trap on any value either.
            guard let spec = try? RuntimeSpec(parsing: document(&random)) else { return }
            check(spec)
        },
        Target(name: "process") { random in _ = try? RuntimeSpec.Process(parsing: document(&random)) },
        Target(name: "resources") { random in _ = try? RuntimeSpec.Resources(parsing: document(&random)) },
        Target(name: "docker-profile") { random in
            let json = Mutation.damaged(Corpus.dockerProfile, Corpus.documents, &random)
            guard let profile = try? DockerProfile.parse(json, capabilities: [], kernel: "6.1") else { return }
            _ = try? SeccompCompiler.compile(profile)
        },
        Target(name: "seccomp-program") { random in
            let bytes = Mutation.damaged(Corpus.program, [Corpus.program], &random)
            guard let program = try? SeccompProgram(encoded: bytes) else { return }
            _ = BPFInterpreter(program).verdict(on: call(&random))
        },
        Target(name: "bpf") { random in
            // Without the checksum in front of it.
            let instructions = Mutation.damaged(Corpus.instructions, [Corpus.instructions], &random)
            let whole = Array(instructions.prefix(instructions.count / 8 * 8))
            guard let program = try? SeccompProgram(flags: 0, instructions: whole) else { return }
            _ = program.asks
            for _ in 0..<4 { _ = BPFInterpreter(program).verdict(on: call(&random)) }
        },
        Target(name: "user-database") { random in
            let passwd = Mutation.damaged(Corpus.passwd, [Corpus.group], &random)
            let group = Mutation.damaged(Corpus.group, [Corpus.passwd], &random)
            let database = UserDatabase(passwd: passwd, group: group)
            for text in ["web", "33", "web:tape", text(Corpus.users, &random)] { _ = try? database.resolve(text) }
        },
        Target(name: "lists") { random in
            _ = try? NumberList.parse(text(Corpus.lists, &random), field: "x")
            let name = text(Corpus.parameters, &random)
            _ = try? Sysctls.check([name: text(Corpus.users, &random)], own: [.network, .ipc, .uts])
            _ = Digest(text(Corpus.digests, &random))
        },
        Target(name: "frames", run: Frames.decode),
        Target(name: "server", run: Frames.serve),
        Target(name: "client", run: Frames.call),
    ]

    /// Dies at one input, to show that a death is seen.
    static let selfTest = Target(name: "self-test") { _ in }

    private static func document(_ random: inout Generator) -> [UInt8] {
        let base = Corpus.documents[random.below(Corpus.documents.count)]
        return Mutation.damaged(base, Corpus.documents, &random)
    }

    private static func text(_ corpus: [String], _ random: inout Generator) -> String {
        let all = corpus.map { Array($0.utf8) }
        return String(decoding: Mutation.damaged(all[random.below(all.count)], all, &random), as: UTF8.self)
    }

    private static func call(_ random: inout Generator) -> SystemCall {
        SystemCall(
            architecture: [0xc000_003e, 0x4000_0003, UInt32(truncatingIfNeeded: random.next())][random.below(3)],
            number: UInt32(random.below(600)),
            arguments: (0..<6).map { _ in random.next() >> UInt64(random.below(64)) }
        )
    }

    private static func check(_ spec: RuntimeSpec) {
        if let seccomp = spec.linux?.seccomp { _ = try? SeccompCompiler.compile(seccomp) }
        _ = try? Sysctls.check(spec.linux?.sysctl ?? [:], own: [.network, .ipc])
        _ = OCIVersion.isSupported(spec.ociVersion)
        _ = Sandbox.deviceRules(spec.linux?.resources?.devices ?? [])
        let state = ContainerState(
            ociVersion: spec.ociVersion,
            id: spec.hostname ?? "",
            status: .created,
            pid: 1,
            bundle: spec.root?.path ?? "/",
            annotations: spec.annotations
        )
        // What is written of any text can be read again.
        guard (try? RuntimeSpec(parsing: state.json)) != nil else {
            fatalError("the state of a container is no JSON: \(String(decoding: state.json, as: UTF8.self))")
        }
    }
}
