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
    public let pid: Int32
    private let pidfd: SharedDescriptor

    /// Starts a shim.
    ///
    /// - Parameters:
    ///   - program: Path of the shim's executable.
    ///   - config: Text of `config.json`.
    ///   - id: The container's id.
    ///   - prepare: Called with the bundle before the shim starts.
    /// - Throws: `KernelError`.
    public init(
        program: String,
        config: String,
        id: String = "c\(Random.hex(4))",
        prepare: (String) throws -> Void = { _ in }
    ) throws {
        self.id = id
        directory = "/tmp/berth-shim-test-\(Random.hex(6))"
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
        var spawn = Spawn(arguments: [program, "-namespace", "test", "-id", id, "-bundle", bundle, "serve"])
        spawn.descriptors = [2: log.raw, 3: rpc.raw, 4: descriptors.raw, 5: token.raw]
        // Only numbers are in the description of the child, so their owners have to be kept until it runs.
        (pid, pidfd) = try withExtendedLifetime((rpc, descriptors, token, log)) {
            let child = try spawn.start(program)
            return (child.pid, child.sharedPidfd())
        }
    }

    deinit {
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
        let socket = try UnixSocket.connect(bundle + "/fd.sock")
        let document = request.bytes
        let length = UInt32(document.count)
        let frame = [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: length >> $0) } + document
        try UnixSocket.sendDescriptors([theirs.raw], with: frame, to: socket.raw)
        let answer = try socket.readToEnd(limit: 1 << 20)
        return (ours, try ShimDescriptorResponse(serializedBytes: Array(answer.dropFirst(4))))
    }
}
