import FoundationEssentials
public import Kernel
public import ShimProtocol
import SwiftProtobuf

/// A shim started as berthd starts it, with a bundle of its own, for tests.
///
/// The bundle and the shim go with the object: a shim that is still there then is killed.
public final class RunningShim {
    /// The container's id.
    public let id: String
    /// Scratch directory that holds everything.
    public let directory: String
    /// The OCI bundle.
    public let bundle: String
    /// The shim's token.
    public let token: String
    /// The shim's process id.
    public private(set) var pid: Int32
    private var pidfd: SharedDescriptor
    private let program: String
    /// A command that runs the program, which comes after it.
    private let prefix: [String]

    /// Starts a shim.
    ///
    /// - Parameters:
    ///   - program: Path of the shim's executable.
    ///   - config: Text of `config.json`.
    ///   - id: The container's id.
    ///   - prefix: A command that runs the program, which comes after it.
    ///   - prepare: Called with the bundle before the shim starts.
    /// - Throws: `KernelError`.
    public init(
        program: String,
        config: String,
        id: String = "c\(Random.hex(4))",
        prefix: [String] = [],
        prepare: (String) throws -> Void = { _ in }
    ) throws {
        self.id = id
        (self.program, self.prefix) = (program, prefix)
        // A shim that has gone is an error of a call, not the end of all tests.
        Signals.ignore(.pipe)
        directory = Conformance.place.scratch("berth-shim-test-\(Random.hex(6))")
        bundle = directory + "/bundle"
        token = Random.hex(32)
        try File.makeDirectories(bundle + "/rootfs", mode: 0o700)
        try File.writeAtomically(bundle + "/config.json", Array(config.utf8), durable: false)
        try File.writeAtomically(bundle + "/token", Array(token.utf8), durable: false)
        try prepare(bundle)
        let rpc = SharedDescriptor(try UnixSocket.listen(bundle + "/shim.sock"))
        let descriptors = SharedDescriptor(try UnixSocket.listen(bundle + "/fd.sock"))
        let token = SharedDescriptor(try File.open(bundle + "/token"))
        let log = SharedDescriptor(try File.open(bundle + "/shim.log", [.write, .create, .append]))
        let command = prefix + [program, "-namespace", "test", "-id", id, "-bundle", bundle, "serve"]
        var spawn = Spawn(arguments: command)
        spawn.descriptors = [2: log.raw, 3: rpc.raw, 4: descriptors.raw, 5: token.raw]
        // Only numbers are in the description of the child, so their owners have to be kept until it runs.
        (pid, pidfd) = try withExtendedLifetime((rpc, descriptors, token, log)) {
            let child = try spawn.start(command[0])
            return (child.pid, child.sharedPidfd())
        }
    }

    deinit {
        if Environment.value("BERTH_SHIM_LOG") != nil { print("log of \(id):\n\(log)") }
        // Nothing can be done about a clean-up that fails at the end of a test.
        _ = try? Pidfd.send(.kill, to: pidfd.raw)
        _ = try? pidfd.poll(for: .readable, timeout: .seconds(5))
        _ = try? Pidfd.reapIfEnded(pidfd.raw)
        _ = try? File.removeTree(directory)
    }

    /// A new connection to the shim.
    public func connect(token: String? = nil) throws -> ShimClient {
        try ShimClient(path: bundle + "/shim.sock", token: token ?? self.token)
    }

    /// A new connection to the shim that shows no token.
    public func connectWithoutToken() throws -> ShimClient {
        try ShimClient(path: bundle + "/shim.sock", token: nil)
    }

    /// Waits until the shim has ended by itself.
    ///
    /// - Returns: How; nil when it did not within the time.
    public func waitForEnd(_ timeout: Duration = .seconds(10)) throws -> ExitStatus? {
        _ = try pidfd.poll(for: .readable, timeout: timeout)
        return try Pidfd.reapIfEnded(pidfd.raw)
    }

    /// Kills the shim, as a fault would.
    public func kill() throws {
        try Pidfd.send(.kill, to: pidfd.raw)
    }

    /// What the shim has logged.
    public var log: String {
        (try? File.readText(bundle + "/shim.log")) ?? ""
    }

    /// Passes one end of a fresh connection to the shim as a client of a process.
    ///
    /// - Returns: The client's end and the shim's answer.
    public func attach(
        _ request: ShimAttachRequest,
        token: String? = nil
    ) throws -> (client: SharedDescriptor, answer: ShimDescriptorResponse) {
        let request = ShimDescriptorRequest.with { message in
            message.token = token ?? self.token
            message.attach = request
        }
        let (ours, theirs) = try UnixSocket.pair()
        let socket = try send(request, theirs.raw)
        let answer = try socket.readToEnd(limit: 1 << 20)
        return (ours, try ShimDescriptorResponse(serializedBytes: Array(answer.dropFirst(4))))
    }

    /// Sends one request to the descriptor socket.
    ///
    /// - Returns: The connection, on which the answer comes.
    public func send(_ request: ShimDescriptorRequest, _ descriptor: RawDescriptor?) throws -> SharedDescriptor {
        let socket = SharedDescriptor(try UnixSocket.connect(bundle + "/fd.sock"))
        let document = request.bytes
        let length = UInt32(document.count)
        let frame = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + document
        try UnixSocket.sendDescriptors(descriptor.map { [$0] } ?? [], with: frame, to: socket.raw)
        return socket
    }

    // Upgrade and adoption ----------------------------------------------------------------------------------------------

    /// Asks the shim to go on as another program.
    ///
    /// - Parameters:
    ///   - program: Path of that program; nil for the same again.
    ///   - name: Its argument 0; empty for the present one's.
    /// - Returns: The answer, which comes from the new program when it has taken over.
    /// - Throws: `KernelError`, or that the answer is none.
    public func upgrade(to program: String? = nil, name: String = "") throws -> ShimDescriptorResponse {
        let request = ShimDescriptorRequest.with { message in
            message.token = token
            message.upgrade.program = name
        }
        let file = try File.open(program ?? self.program)
        let socket = try send(request, file.raw)
        let answer = try socket.readToEnd(limit: 1 << 20)
        return try ShimDescriptorResponse(serializedBytes: Array(answer.dropFirst(4)))
    }

    /// Asks for the descriptors that a successor would need.
    ///
    /// - Parameter after: Generation of an earlier answer.
    /// - Returns: The answer, and the descriptors of the names that it does not count as kept.
    /// - Throws: `KernelError`, or that the answer is none.
    public func hold(after: UInt64 = 0) throws -> (answer: ShimHoldResponse, descriptors: [SharedDescriptor]) {
        let request = ShimDescriptorRequest.with { message in
            message.token = token
            message.hold.after = after
        }
        let socket = try send(request, nil)
        // The descriptors come with later bytes: only so many are taken as belong to the answer.
        let head = try socket.readExactly(4)
        let length = head.reduce(0) { $0 << 8 | Int($1) }
        let response = try ShimDescriptorResponse(serializedBytes: try socket.readExactly(length))
        var descriptors: [SharedDescriptor] = []
        while true {
            let message = try UnixSocket.receiveDescriptors(from: socket.raw, byteLimit: 1, descriptorLimit: 64)
            guard !message.bytes.isEmpty else { break }
            descriptors += message.descriptors
        }
        return (response.hold, descriptors)
    }

    /// Starts another shim for the same bundle while this one is there.
    ///
    /// - Returns: How it ended.
    public func startSecond() throws -> ExitStatus {
        let rpc = SharedDescriptor(try UnixSocket.listen(directory + "/other.sock"))
        let descriptors = SharedDescriptor(try UnixSocket.listen(directory + "/other-fd.sock"))
        let token = SharedDescriptor(try File.open(bundle + "/token"))
        var spawn = Spawn(arguments: [program, "-namespace", "test", "-id", id, "-bundle", bundle, "serve"])
        spawn.descriptors = [3: rpc.raw, 4: descriptors.raw, 5: token.raw]
        let pidfd = try withExtendedLifetime((rpc, descriptors, token)) { try spawn.start(program).sharedPidfd() }
        guard !(try pidfd.poll(for: .readable, timeout: .seconds(10))).isEmpty else {
            _ = try Pidfd.send(.kill, to: pidfd.raw)
            throw ConformanceFailure("a second shim runs")
        }
        return try Pidfd.waitForEnd(pidfd.raw)
    }

    /// Starts another shim for the container, as a manager does that has found this one dead.
    ///
    /// - Parameter held: What is handed over, by name. The listening sockets are made anew when they are not there.
    /// - Throws: `KernelError`.
    public func adopt(_ held: [(name: String, descriptor: SharedDescriptor)]) throws {
        func listener(_ name: String, _ file: String) throws -> SharedDescriptor {
            if let found = held.first(where: { $0.name == name }) { return found.descriptor }
            _ = try? File.remove(bundle + file)
            return SharedDescriptor(try UnixSocket.listen(bundle + file))
        }
        let rpc = try listener("listener", "/shim.sock")
        let descriptors = try listener("fd-listener", "/fd.sock")
        let token = SharedDescriptor(try File.open(bundle + "/token"))
        let log = SharedDescriptor(try File.open(bundle + "/shim.log", [.write, .create, .append]))
        let names = SharedDescriptor(
            try SealedMemory.make("berth-names", ShimAdoption.with { $0.names = held.map(\.name) }.bytes)
        )
        let command = prefix + [program, "-namespace", "test", "-id", id, "-bundle", bundle, "serve", "-adopt"]
        var spawn = Spawn(arguments: command)
        spawn.descriptors = [2: log.raw, 3: rpc.raw, 4: descriptors.raw, 5: token.raw, 6: names.raw]
        for (index, entry) in held.enumerated() {
            spawn.descriptors[7 + Int32(index)] = entry.descriptor.raw
        }
        (pid, pidfd) = try withExtendedLifetime((rpc, descriptors, token, log, names, held)) {
            let child = try spawn.start(command[0])
            return (child.pid, child.sharedPidfd())
        }
    }
}

extension SharedDescriptor {
    /// Reads so many bytes and not more.
    fileprivate func readExactly(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let part = try read(upTo: count - bytes.count)
            guard !part.isEmpty else { throw ConformanceFailure("the connection ended after \(bytes.count) bytes") }
            bytes += part
        }
        return bytes
    }
}
