import FoundationEssentials
import Kernel
import OCISpec
import ProbeSupport
import Seccomp
import Testing

/// Filters that ask: how their descriptor arrives, and that they work from the first call on.
@Suite struct ListenerTests {
    let box: ContainerFixture
    let path: String

    init() throws {
        box = try ContainerFixture()
        path = box.scratch.path + "/listener.sock"
    }

    /// What a listener is told with the descriptor.
    struct Greeting: Decodable {
        struct State: Decodable {
            var ociVersion: String
            var id: String
            var status: String
            var pid: Int32
            var bundle: String
        }
        var ociVersion: String
        var fds: [String]
        var pid: Int32
        var metadata: String?
        var state: State
    }

    func profile(_ action: RuntimeSpec.Seccomp.Action, _ names: [String]) -> RuntimeSpec.Seccomp {
        .init(
            defaultAction: .allow,
            listenerPath: path,
            listenerMetadata: "for \"the\" listener",
            syscalls: [.init(names: names, action: action)]
        )
    }

    /// Starts the container and answers its processes' questions until it has ended.
    func run(
        _ answer: (SeccompNotification) -> SeccompNotification.Answer
    ) throws -> (greetings: [Greeting], questions: [SeccompNotification], outcome: ContainerFixture.Outcome) {
        let socket = try UnixSocket.listen(path)
        try box.writeConfiguration()
        let output = try Pipe()
        let errors = try Pipe()
        var spawn = Spawn(arguments: ["sandbox-run", box.bundle] + box.options, environment: ["PATH=/usr/bin:/bin"])
        spawn.descriptors = [1: output.writer.raw, 2: errors.writer.raw]
        let child = try spawn.start(try ContainerFixture.helper())
        let (outputReader, _) = output.ends()
        let (errorReader, _) = errors.ends()

        var greetings: [Greeting] = []
        var questions: [SeccompNotification] = []
        var listeners: [SharedDescriptor] = []
        let begin = Clock.monotonic.now
        while try child.pidfd.poll(for: .readable, timeout: .zero).isEmpty {
            guard Clock.monotonic.now - begin < .seconds(20) else {
                _ = try child.pidfd.send(.kill)
                break
            }
            var polled = PollSet()
            polled.add(socket.raw, .readable)
            polled.add(child.pidfd.raw, .readable)
            for listener in listeners { polled.add(listener.raw, .readable) }
            let ready = try polled.wait(timeout: .seconds(1))
            func events(_ raw: RawDescriptor) -> Readiness { ready.first { $0.descriptor == raw }?.events ?? [] }
            if events(socket.raw).contains(.readable),
                let connection = try UnixSocket.accept(socket.raw, nonBlocking: false)
            {
                let message = try UnixSocket.receiveDescriptors(
                    from: connection.raw,
                    byteLimit: 1 << 16,
                    descriptorLimit: 4
                )
                greetings.append(try JSONDecoder().decode(Greeting.self, from: Data(message.bytes)))
                #expect(message.descriptors.count == 1)
                listeners += message.descriptors
            }
            for listener in listeners where events(listener.raw).contains(.readable) {
                guard let question = try SeccompNotification.next(from: listener.raw) else { continue }
                questions.append(question)
                do { try question.answer(answer(question), to: listener.raw) } catch {
                    #expect(error.errno == .noEntry)
                }
            }
            listeners.removeAll { events($0.raw).contains(.hangUp) }
        }
        let outcome = ContainerFixture.Outcome(
            status: try child.pidfd.wait(),
            output: String(decoding: try outputReader.readToEnd(limit: 1 << 20), as: UTF8.self),
            errors: String(decoding: try errorReader.readToEnd(limit: 1 << 20), as: UTF8.self)
        )
        return (greetings, questions, outcome)
    }

    @Test func aListenerDecidesAboutMkdir() throws {
        box.spec.linux?.seccomp = profile(.notify, ["mkdir"])
        box.spec.process?.args = [
            "/bin/sh", "-c", "mkdir /made; mkdir /refused; mkdir /pretended && ls -d /made /pretended",
        ]
        var count = 0
        let (greetings, questions, outcome) = try run { _ in
            count += 1
            return count == 1 ? .proceed : count == 2 ? .failure(.noSpace) : .value(0)
        }
        #expect(questions.map(\.call) == [83, 83, 83], "\(outcome.errors)")
        #expect(outcome.lines == ["/made"])
        #expect(outcome.errors.contains("/refused"))
        #expect(greetings.count == 1)
        let greeting = try #require(greetings.first)
        #expect(greeting.fds == ["seccompFd"] && greeting.metadata == "for \"the\" listener")
        #expect(greeting.state.id == "sandbox-run" && greeting.state.status == "created")
        #expect(greeting.state.bundle == box.bundle && greeting.pid == greeting.state.pid)
    }

    @Test(arguments: [true, false])
    func aFilterThatAsksAboutEverythingHoldsUpNothing(_ noNewPrivileges: Bool) throws {
        // Every call that the process makes between loading and its program is a question too.
        box.spec.linux?.seccomp = .init(defaultAction: .notify, listenerPath: path)
        box.spec.process?.noNewPrivileges = noNewPrivileges
        box.spec.process?.user = .init(uid: 7, gid: 8)
        box.spec.process?.args = ["/bin/echo", "through"]
        let (greetings, questions, outcome) = try run { _ in .proceed }
        #expect(outcome.lines == ["through"], "\(outcome.errors)")
        #expect(outcome.status == .exited(0))
        #expect(greetings.count == 1)
        #expect(questions.contains { $0.call == 59 } && questions.contains { $0.call == 1 })
        #expect(greetings.first?.metadata == nil)
    }

    @Test func everyProcessHasAListenerOfItsOwn() throws {
        box.spec.linux?.seccomp = profile(.notify, ["mkdir"])
        box.spec.hooks = .init(startContainer: [
            .init(path: "/bin/mkdir", args: ["mkdir", "/hook"], env: [])
        ])
        box.spec.process?.args = ["/bin/sleep", "1000"]
        for number in 0..<2 {
            var process = ContainerFixture.plainSpec.process ?? .init()
            process.args = ["/bin/mkdir", "/exec\(number)"]
            process.noNewPrivileges = number == 1
            let file = box.scratch.path + "/exec\(number).json"
            try File.writeAtomically(file, Array(JSONEncoder().encode(process)), durable: false)
            box.options += ["--exec", file]
        }
        let (greetings, questions, outcome) = try run { _ in .proceed }
        #expect(greetings.map(\.state.status) == ["created", "created", "running", "running"], "\(outcome.errors)")
        #expect(Set(greetings.map(\.pid)).count == 4)
        #expect(Set(greetings.map(\.state.pid)).count <= 2)
        #expect(questions.count == 3)
        // What is told is who asks: the listener sees the processes by the numbers that it is told.
        #expect(greetings.map(\.pid).filter(questions.map(\.pid).contains) == [0, 2, 3].map { greetings[$0].pid })
        for name in ["hook", "exec0", "exec1"] { #expect(File.exists("\(box.root)/\(name)"), "\(name)") }
    }

    @Test(arguments: [true, false])
    func aFilterThatAsksAboutEverythingHoldsUpNoFurtherProcess(_ noNewPrivileges: Bool) throws {
        box.spec.linux?.seccomp = .init(defaultAction: .notify, listenerPath: path)
        box.spec.process?.args = ["/bin/sleep", "1000"]
        var process = ContainerFixture.plainSpec.process ?? .init()
        process.args = ["/bin/echo", "through"]
        process.noNewPrivileges = noNewPrivileges
        process.user = .init(uid: 7, gid: 8)
        let file = box.scratch.path + "/exec.json"
        try File.writeAtomically(file, Array(JSONEncoder().encode(process)), durable: false)
        box.options += ["--exec", file]
        let (greetings, questions, outcome) = try run { _ in .proceed }
        #expect(outcome.lines == ["through"], "\(outcome.errors)")
        try #require(greetings.count == 2)
        // The program's own call comes to the listener, from the process that it was told of.
        #expect(questions.contains { $0.call == 59 && $0.pid == greetings[1].pid })
        #expect(greetings[1].state.pid == greetings[0].pid)
    }

    @Test func withoutAListenerThereIsNoContainer() throws {
        box.spec.linux?.seccomp = profile(.notify, ["mkdir"])
        let failure = try box.run("true").failure
        #expect(failure?.stage == "seccomp")
        #expect(failure?.object == path)
        box.spec.linux?.seccomp?.listenerPath = nil
        #expect(try box.run("true").failure?.object == "linux.seccomp.listenerPath")
        box.spec.linux?.seccomp?.listenerPath = "relative"
        #expect(try box.run("true").failure?.object == "linux.seccomp.listenerPath")
        box.spec.linux?.seccomp = profile(.errno, ["mkdir"])
        box.spec.linux?.seccomp?.listenerPath = nil
        #expect(try box.run("true").failure?.object == "linux.seccomp.listenerMetadata")
        box.spec.linux?.seccomp?.listenerPath = path
        #expect(try box.run("true").status == .exited(0))
    }

    @Test(arguments: [
        (RuntimeSpec.Seccomp.Action.killProcess, "killed"), (.killThread, "killed"), (.kill, "killed"),
        (.trap, "killed"),
        (.errno, "refused"), (.trace, "refused"), (.log, "made"), (.allow, "made"),
    ])
    func everyActionDoesWhatItSays(_ action: RuntimeSpec.Seccomp.Action, _ wanted: String) throws {
        let rest: RuntimeSpec.Seccomp.Action = action == .allow ? .log : .allow
        box.spec.linux?.seccomp = .init(defaultAction: rest, syscalls: [.init(names: ["mkdir"], action: action)])
        let outcome = try box.run("mkdir /x; case $? in 0) echo made;; 159) echo killed;; *) echo refused;; esac")
        #expect(outcome.lines.last == wanted, "\(outcome.errors)")
        #expect(File.exists(box.root + "/x") == (wanted == "made"))
    }

    @Test func flagsArriveAtTheKernel() throws {
        box.spec.linux?.seccomp = .init(
            defaultAction: .allow,
            flags: ["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW"],
            syscalls: [.init(names: ["acct"], action: .errno)]
        )
        let outcome = try box.run("grep -E 'Seccomp|Speculation' /proc/self/status")
        #expect(outcome["Seccomp"] == "2", "\(outcome.errors)")
        // Without a question the kernel does not take this one.
        box.spec.linux?.seccomp?.flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
        #expect(try box.run("true").failure?.object == "linux.seccomp.flags")
        box.spec.linux?.seccomp = profile(.notify, ["mkdir"])
        box.spec.linux?.seccomp?.flags = ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]
        box.spec.process?.args = ["/bin/mkdir", "/killable"]
        let (_, questions, end) = try run { _ in .proceed }
        #expect(questions.count == 1 && end.status == .exited(0), "\(end.errors)")
    }

    /// Every security feature has a test that fails when it is off: without the filter this one sees the mount succeed.
    @Test func theDefaultProfileHoldsInsideAContainer() throws {
        let capabilities = ["CAP_SYS_ADMIN"]
        box.spec.process?.capabilities = .init(
            bounding: capabilities,
            effective: capabilities,
            permitted: capabilities
        )
        let script = "unshare -m true && echo open || echo closed"
        #expect(try box.run(script).lines == ["open"])
        box.spec.linux?.seccomp = DefaultProfile.profile(capabilities: [])
        #expect(try box.run(script).lines == ["closed"])
    }

    /// Nobody accepts, and nobody else may connect: the start fails in time instead of waiting for ever.
    @Test func aListenerThatDoesNotAcceptKeepsNobodyWaiting() throws {
        let socket = SharedDescriptor(try UnixSocket.listen(path, backlog: 0))
        var waiting: [SharedDescriptor] = []
        while waiting.count < 16, let connection = try? UnixSocket.connect(path, nonBlocking: true) {
            waiting.append(SharedDescriptor(connection))
        }
        #expect(waiting.count < 16)
        box.spec.linux?.seccomp = profile(.notify, ["mkdir"])
        let begin = Clock.monotonic.now
        let outcome = try withExtendedLifetime((socket, waiting)) { try box.run("true") }
        #expect(outcome.failure?.stage == "seccomp" && outcome.failure?.code == "timedOut", "\(outcome.errors)")
        #expect(Clock.monotonic.now - begin < .seconds(60))
    }
}
