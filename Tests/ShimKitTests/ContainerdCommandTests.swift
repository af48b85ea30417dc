import FoundationEssentials
import Kernel
import ShimKitTesting
import ShimProtocol
import SwiftProtobuf
import Testing

/// The shim as containerd runs it: `start`, `delete`, events, named pipes.
@Suite(.timeLimit(.minutes(2))) struct ContainerdCommandTests {
    /// A bundle and a socket that stands for containerd's.
    final class Containerd {
        let directory = "/tmp/berth-shim-ctd-\(Random.hex(6))"
        let bundle: String
        let events: SharedDescriptor
        private var daemons: [Int32] = []

        init(_ script: String) throws {
            bundle = directory + "/bundle"
            try File.makeDirectories(bundle + "/rootfs", mode: 0o700)
            try File.writeAtomically(bundle + "/config.json", Array(PlainShim.config(script).utf8), durable: false)
            events = SharedDescriptor(try UnixSocket.listen(directory + "/c.sock.ttrpc", nonBlocking: false))
        }

        deinit {
            // Nothing can be done about a clean-up that fails at the end of a test.
            for pid in daemons { if let process = try? Pidfd(pid: pid) { _ = try? process.send(.kill) } }
            _ = try? File.removeTree(directory)
        }

        /// Runs the shim's program to its end.
        func run(
            _ command: String,
            input: [UInt8] = [],
            environment: [String] = []
        ) throws -> (Kernel.ExitStatus, [UInt8]) {
            let file = "\(directory)/stdin"
            try File.writeAtomically(file, input, durable: false)
            let inputReader = SharedDescriptor(try File.open(file))
            let (outputReader, outputWriter) = try Pipe().ends()
            let current = SharedDescriptor(try File.open(bundle, [.directory, .path]))
            var flags = ["-namespace", "n", "-id", "c1", "-address", directory + "/c.sock"]
            if command == "delete" { flags += ["-bundle", bundle] }
            let program = PlainShim.program
            var spawn = Spawn(arguments: [program] + flags + [command], environment: environment)
            // As containerd does: it takes both outputs of a start for the address, and parses the standard output of a delete.
            spawn.descriptors = [0: inputReader.raw, 1: outputWriter.raw, 2: command == "start" ? outputWriter.raw : 2]
            spawn.directory = current.raw
            let pidfd = try withExtendedLifetime((inputReader, outputWriter, current)) {
                try spawn.start(program).sharedPidfd()
            }
            return (try Self.end(pidfd), try Self.printed(outputReader))
        }

        private static func end(_ pidfd: SharedDescriptor) throws -> Kernel.ExitStatus {
            _ = try pidfd.poll(for: .readable, timeout: .seconds(20))
            return try #require(try Pidfd.reapIfEnded(pidfd.raw))
        }

        /// What was printed; whoever has kept the pipe open does not hold us up.
        private static func printed(_ reader: SharedDescriptor) throws -> [UInt8] {
            try reader.setNonBlocking()
            var output: [UInt8] = []
            while let more = try? reader.read(upTo: 4096), !more.isEmpty { output += more }
            return output
        }

        func start(input: [UInt8] = [], environment: [String] = []) throws -> String {
            let variables = ["TTRPC_ADDRESS=\(directory)/c.sock.ttrpc"] + environment
            let (status, output) = try run("start", input: input, environment: variables)
            #expect(status == .exited(0), "\(String(decoding: output, as: UTF8.self))")
            return String(decoding: output, as: UTF8.self)
        }

        func connect(_ address: String) throws -> ShimClient {
            let client = try ShimClient(path: String(address.dropFirst(7)), token: nil)
            let identity = try client.task(.connect, TaskConnectRequest.with { $0.id = "c1" }, TaskConnectResponse.self)
            daemons.append(Int32(identity.shimPid))
            return client
        }

        /// Answers calls of `Events.Forward` until the given topic has come.
        func topics(until last: String) throws -> [String] {
            guard let socket = try UnixSocket.accept(events.raw, nonBlocking: false) else { return [] }
            var server = TTRPCServerConnection()
            var topics: [String] = []
            while topics.last != last {
                guard !(try socket.poll(for: .readable, timeout: .seconds(20))).isEmpty else { break }
                let bytes = try socket.read(upTo: 64 << 10)
                guard !bytes.isEmpty else { break }
                for call in server.receive(bytes) {
                    #expect(call.service == ServiceName.events && call.method == "Forward")
                    let envelope = try call.decode(EventsForwardRequest.self).envelope
                    #expect(envelope.namespace == "n")
                    topics.append(envelope.topic)
                    server.respond(to: call.streamID, with: .success([]))
                }
                try socket.writeAll(server.takeOutput())
            }
            return topics
        }

        func makeFifo(_ name: String) throws -> String {
            let path = "\(directory)/\(name)"
            try RootedDir(directory).mknod(name, .fifo, permissions: 0o600)
            return path
        }
    }

    @Test func startPrintsAnAddressAndLeavesADaemon() throws {
        let containerd = try Containerd("echo text; exit 6")
        let address = try containerd.start()
        #expect(address.hasPrefix("unix://\(containerd.directory)/s/"))
        #expect(try File.readText(containerd.bundle + "/address") == address)
        #expect(try containerd.start() == address, "a second start finds the first shim")
        let client = try containerd.connect(address)
        let output = try containerd.makeFifo("out")
        let reader = SharedDescriptor(try File.open(output, [.read, .nonBlocking]))
        try client.task(
            .create,
            TaskCreateRequest.with { request in
                request.id = "c1"
                request.bundle = containerd.bundle
                request.stdout = output
            }
        )
        let wait = try client.begin(ServiceName.taskV2, "Wait", TaskWaitRequest.with { $0.id = "c1" })
        try client.task(.start, TaskStartRequest.with { $0.id = "c1" })
        #expect(try client.finish(wait, TaskWaitResponse.self).exitStatus == 6)
        #expect(try reader.read(upTo: 100) == Array("text\n".utf8))
        try client.task(.delete, TaskDeleteRequest.with { $0.id = "c1" })
        #expect(
            try containerd.topics(until: EventTopic.delete)
                == [EventTopic.create, EventTopic.start, EventTopic.exit, EventTopic.delete]
        )
        try client.task(.shutdown, TaskShutdownRequest.with { $0.id = "c1" })
        let (status, answer) = try containerd.run("delete")
        #expect(status == .exited(0))
        #expect(try TaskDeleteResponse(serializedBytes: answer).exitStatus == 6)
    }

    @Test func newerContainerdsGetJSON() throws {
        let containerd = try Containerd("true")
        let bootstrap = ContainerdBootstrapParams.with { parameters in
            parameters.instanceID = "c1"
            parameters.namespace = "n"
            parameters.socketDir = containerd.directory + "/other"
        }
        let answer = try containerd.start(input: bootstrap.bytes, environment: ["MAX_SHIM_VERSION=2"])
        #expect(answer.hasPrefix(#"{"version":2,"address":"unix://\#(containerd.directory)/other/"#))
        #expect(answer.hasSuffix(#"","protocol":"ttrpc"}"#))
        _ = try containerd.connect(try File.readText(containerd.bundle + "/address"))
    }

    /// Options on the standard input: as containerd up to 2.2 writes them, as later ones do, and what is neither.
    @Test func everyFormOfTheInputIsTaken() throws {
        let options = Google_Protobuf_Any(packed: RuncOptions.with { $0.systemdCgroup = true })
        let bootstrap = ContainerdBootstrapParams.with { parameters in
            (parameters.instanceID, parameters.namespace) = ("c1", "n")
            parameters.extensions = [.with { $0.value = options }]
        }
        for (input, isJSON) in [(options.bytes, false), ([], false), ([0xff, 0xff], false), (bootstrap.bytes, true)] {
            let containerd = try Containerd("true")
            let answer = try containerd.start(input: input)
            #expect(answer.hasPrefix(isJSON ? "{" : "unix://"), "\(answer)")
            let address = try #require(ShimAddress(Array(answer.utf8)))
            #expect(
                try containerd.connect("unix://" + address.path).task(
                    .connect,
                    TaskConnectRequest.with { $0.id = "c1" },
                    TaskConnectResponse.self
                ).shimPid > 0
            )
        }
    }

    /// containerd's address in the forms of its configuration.
    @Test func eventsGoToAnAddressWithAScheme() throws {
        let containerd = try Containerd("exit 2")
        let (status, output) = try containerd.run(
            "start",
            environment: ["TTRPC_ADDRESS=unix://\(containerd.directory)/c.sock.ttrpc"]
        )
        #expect(status == .exited(0))
        let client = try containerd.connect(String(decoding: output, as: UTF8.self))
        try client.task(.create, TaskCreateRequest.with { ($0.id, $0.bundle) = ("c1", containerd.bundle) })
        #expect(try !containerd.events.poll(for: .readable, timeout: .seconds(10)).isEmpty, "no event")
        #expect(try containerd.topics(until: EventTopic.create) == [EventTopic.create])
        // Nobody starts it, and it would wait for ever.
        try client.task(.kill, TaskKillRequest.with { ($0.id, $0.signal) = ("c1", 9) })
    }

    /// What of runc's options nobody does is said, by its name.
    @Test func optionsThatAreNotHonouredAreNamed() throws {
        let plain = try PlainShim("true")
        let options = RuncOptions.with { ($0.binaryName, $0.root, $0.noPivotRoot, $0.ioUid) = ("runc", "/r", true, 7) }
        let request = TaskCreateRequest.with { request in
            (request.id, request.bundle) = (plain.id, plain.shim.bundle)
            request.options = Google_Protobuf_Any(packed: options)
        }
        try plain.client.task(.create, request)
        let line = plain.shim.log.split(separator: "\n").first { $0.contains("options are not honoured") }
        #expect(line?.contains("binary_name,no_pivot_root,io_uid") == true, "\(plain.shim.log)")
        // The backend reads this one.
        #expect(line?.contains(",root") == false)
        // Nobody starts it, and it would wait for ever.
        try plain.client.task(.kill, TaskKillRequest.with { ($0.id, $0.signal) = (plain.id, 9) })
    }

    @Test func anOptionOfTheOperatorThatIsNoneIsRefused() throws {
        let plain = try PlainShim("true")
        let error = #expect(throws: RPCError.self) { try plain.create { $0.backendOptions = ["colour": "red"] } }
        #expect(error?.code == .invalidArgument && error?.message.contains("'colour': this backend has root") == true)
    }

    @Test func deleteWorksWithoutAnything() throws {
        let containerd = try Containerd("true")
        let (status, answer) = try containerd.run("delete")
        #expect(status == .exited(0))
        #expect(try TaskDeleteResponse(serializedBytes: answer).exitStatus == 137)
    }

    @Test func deleteEndsAShimThatContainerdHasLost() throws {
        let containerd = try Containerd("exec sleep 1000")
        let address = try containerd.start()
        let client = try containerd.connect(address)
        let request = TaskCreateRequest.with { ($0.id, $0.bundle) = ("c1", containerd.bundle) }
        let created = try client.task(.create, request, TaskCreateResponse.self)
        let identity = try client.task(.connect, TaskConnectRequest.with { $0.id = "c1" }, TaskConnectResponse.self)
        try client.task(.start, TaskStartRequest.with { $0.id = "c1" })
        let process = try Pidfd(pid: Int32(created.pid))
        let daemon = try Pidfd(pid: Int32(identity.shimPid))
        #expect(try containerd.run("delete").0 == .exited(0))
        #expect(try !process.poll(for: .readable, timeout: .seconds(10)).isEmpty)
        #expect(try !daemon.poll(for: .readable, timeout: .seconds(10)).isEmpty)
    }

    @Test func badCommandLineIsRefused() throws {
        let containerd = try Containerd("true")
        #expect(try containerd.run("fly").0 == .exited(2))
    }

    @Test func shimSurvivesAContainerdThatIsAway() throws {
        let containerd = try Containerd("exit 2")
        let address = try containerd.start(environment: ["TTRPC_ADDRESS=/no/such/socket"])
        let client = try containerd.connect(address)
        try client.task(.create, TaskCreateRequest.with { ($0.id, $0.bundle) = ("c1", containerd.bundle) })
        try client.task(.start, TaskStartRequest.with { $0.id = "c1" })
        let end = try client.task(.wait, TaskWaitRequest.with { $0.id = "c1" }, TaskWaitResponse.self)
        #expect(end.exitStatus == 2)
    }
}
