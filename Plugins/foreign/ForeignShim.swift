import FoundationEssentials
import HostBundle
import Kernel
import ShimKit
import ShimProtocol
import SwiftProtobuf

/// Another's shim v2 program and the process that it leaves: started, called and cleaned up as containerd does it.
///
/// Every call has an end; an answer that does not come is an error of this container alone.
final class ForeignShim {
    /// For what makes a process.
    static let patience = Duration.seconds(20)
    /// For everything else: less than a manager waits for the same.
    private static let shortPatience = Duration.seconds(8)
    /// Once it was silent, until it answers again.
    private static let shortestPatience = Duration.milliseconds(300)

    /// How a shim is started, and cleaned up after.
    struct Program: Codable {
        /// Absolute path.
        var path: String
        var namespace: String
        var id: String
        /// Its bundle, whose last component is the id, as some shims want it.
        var bundle: String

        /// Stands for containerd's socket; nobody listens there.
        var socket: String { "\(bundle)/containerd.sock" }
        /// Where events go.
        var events: String?

        /// Runs the program to its end.
        ///
        /// - Returns: What it wrote.
        func run(
            _ action: String,
            _ flags: [String],
            input: [UInt8],
            within time: Duration
        ) throws(BackendError) -> [UInt8] {
            let status: ExitStatus?
            let printed: [UInt8]
            do throws(KernelError) { (status, printed) = try call(action, flags, input, time) } catch {
                throw .failed(stage: "shim", error.about(path))
            }
            guard status == .exited(0) else {
                let reason = status.map { "\($0): \(String(decoding: printed.suffix(1024), as: UTF8.self))" }
                throw .refused(
                    stage: "shim",
                    operation: "run '\(action)'",
                    object: path,
                    code: status == nil ? .timedOut : .internal,
                    detail: reason ?? "no end within \(time); killed"
                )
            }
            return printed
        }

        private func call(
            _ action: String,
            _ flags: [String],
            _ input: [UInt8],
            _ time: Duration
        ) throws(KernelError) -> (ExitStatus?, [UInt8]) {
            let words = ["-namespace", namespace, "-address", socket, "-publish-binary", "/bin/true", "-id", id]
            var spawn = Spawn(
                arguments: [path] + words + flags + [action],
                environment: [
                    HostProgram.path, "TTRPC_ADDRESS=\(events ?? socket)",
                    "GOMAXPROCS=2", "MAX_SHIM_VERSION=2", "NAMESPACE=\(namespace)", "GRPC_ADDRESS=\(socket)",
                ]
            )
            spawn.oomScoreAdjustment = 0
            let directory = SharedDescriptor(try File.open(bundle, [.path, .directory]))
            let inputReader = try Self.filled(input)
            let (outputReader, outputWriter) = try Pipe().ends()
            spawn.directory = directory.raw
            spawn.descriptors = [0: inputReader.raw, 1: outputWriter.raw, 2: outputWriter.raw]
            let child = try withExtendedLifetime((directory, inputReader, outputWriter)) { () throws(KernelError) in
                try spawn.start(path)
            }
            return (try Self.end(of: child, within: time), try Self.available(outputReader))
        }

        private static func available(_ reader: SharedDescriptor) throws(KernelError) -> [UInt8] {
            try reader.setNonBlocking()
            var bytes: [UInt8] = []
            while bytes.count < 64 << 10, !(try reader.poll(for: .readable, timeout: .zero)).isDisjoint(with: .readable)
            {
                let part = try reader.read(upTo: 16 << 10)
                if part.isEmpty { break }
                bytes += part
            }
            return bytes
        }

        /// A pipe with some bytes in it, and nobody who writes more; options are far below a pipe's size.
        private static func filled(_ bytes: [UInt8]) throws(KernelError) -> SharedDescriptor {
            let (reader, writer) = try Pipe().ends()
            try writer.writeAll(bytes)
            return reader
        }

        /// Waits for the end, and makes one when the time is up.
        private static func end(
            of child: consuming Child,
            within time: Duration
        ) throws(KernelError) -> ExitStatus? {
            guard try child.pidfd.poll(for: .readable, timeout: time).isEmpty else { return try child.pidfd.wait() }
            // It leads a session, whose number is its own until it is reaped; what it has started may lead groups of its own.
            ProcessSession(of: child.pid).kill(within: .seconds(1))
            // What the kernel does not let go is reaped by the end of this process.
            _ = try child.pidfd.poll(for: .readable, timeout: .seconds(1))
            _ = try child.pidfd.reapIfEnded()
            return nil
        }
    }

    let program: Program
    /// Where it listens.
    let address: ShimAddress
    private let socket: Descriptor
    private var state = TTRPCClientConnection()
    /// Whether the last call had no answer in time.
    private var isSilent = false

    /// Connects to a shim that runs.
    init(_ program: Program, at address: ShimAddress) throws(BackendError) {
        (self.program, self.address) = (program, address)
        do throws(KernelError) { socket = try UnixSocket.connect(toFirstOf: address.places, nonBlocking: true) } catch {
            throw .failed(stage: "shim", error, code: .unavailable)
        }
    }

    /// Starts a shim.
    ///
    /// - Parameters:
    ///   - program: What to start.
    ///   - options: Runtime options for its standard input.
    /// - Returns: The shim, connected.
    /// - Throws: What it printed instead of an address of its own.
    static func start(_ program: Program, options: Google_Protobuf_Any?) throws(BackendError) -> ForeignShim {
        var program = program
        program.events = EventSink.address
        // Written just now, by the clock by which sockets are made.
        let before = try? File.status("\(program.bundle)/config.json").changed
        let printed = try program.run("start", [], input: options?.bytes ?? [], within: patience)
        guard let address = ShimAddress(printed) else {
            let text = String(decoding: printed.prefix(256), as: UTF8.self)
            throw .refused(
                stage: "shim",
                operation: "read address",
                object: program.path,
                code: .internal,
                detail: "'\(text)' is no address of a unix socket with ttrpc, such as unix:///run/s/0123"
            )
        }
        // Another's socket is not called, and not removed with the container.
        if let before, let socket = try? File.status(address.path, follow: true), socket.changed < before {
            throw .refused(
                stage: "shim",
                operation: "read address",
                object: program.path,
                code: .internal,
                detail: "the socket '\(address.path)' is older than it, and so another's"
            )
        }
        return try ForeignShim(program, at: address)
    }

    /// Calls a method of the Task service.
    func call<Answer: Message>(
        _ method: TaskMethod,
        _ request: some Message,
        _ type: Answer.Type = Google_Protobuf_Empty.self,
        within time: Duration = shortPatience
    ) throws(BackendError) -> Answer {
        let payload: [UInt8]
        do throws(RPCError) {
            payload = try answer(method, request, isSilent ? min(time, Self.shortestPatience) : time)
        } catch {
            throw Self.failure(method, error)
        }
        if let answer = try? Answer(serializedBytes: payload) { return answer }
        throw .refused(
            stage: method.rawValue.lowercased(),
            operation: "read answer",
            object: program.path,
            code: .internal,
            detail: "not a \(Answer.protoMessageName)"
        )
    }

    private func answer(_ method: TaskMethod, _ request: some Message, _ time: Duration) throws(RPCError) -> [UInt8] {
        let service = address.version >= 3 ? ServiceName.taskV3 : ServiceName.taskV2
        let stream = try state.call(service: service, method: method.rawValue, payload: request.bytes, timeout: time)
        let deadline = Clock.monotonic.now + time
        let result: Result<[UInt8], RPCError>?
        do throws(KernelError) { result = try self.result(stream, until: deadline) } catch {
            throw RPCError.failed(.unavailable, "\(error)")
        }
        isSilent = result == nil
        if let result { return try result.get() }
        _ = state.abandon(stream)
        throw .timedOut("\(method.rawValue): no answer within \(time)")
    }

    /// Readable when something has come that no call waits for, and when the shim has gone.
    var descriptor: RawDescriptor { socket.raw }

    /// Takes what has come while no call waits: late answers.
    ///
    /// - Returns: whether the shim is there and talks sense.
    func isThere() -> Bool {
        guard let bytes = try? socket.read(upTo: 64 << 10), !bytes.isEmpty else { return false }
        _ = state.receive(bytes)
        return state.violation == nil
    }

    /// Sends what waits, and reads until the call is answered; nil when it is not in time.
    private func result(
        _ stream: UInt32,
        until deadline: Timestamp
    ) throws(KernelError) -> Result<[UInt8], RPCError>? {
        guard try send(state.takeOutput(), until: deadline) else { return nil }
        while true {
            let left = deadline - Clock.monotonic.now
            guard left > .zero, !(try socket.poll(for: .readable, timeout: left)).isEmpty else { return nil }
            let bytes = try socket.read(upTo: 64 << 10)
            let completions = bytes.isEmpty ? state.close() : state.receive(bytes)
            if let own = completions.first(where: { $0.streamID == stream }) { return own.result }
            if bytes.isEmpty { throw .failed("read", "answer", .notConnected) }
        }
    }

    /// Sends a request; false when it is not in time.
    private func send(_ bytes: [UInt8], until deadline: Timestamp) throws(KernelError) -> Bool {
        // A socket that can be written to has room for more than this.
        for start in stride(from: 0, to: bytes.count, by: 16 << 10) {
            let left = max(.zero, deadline - Clock.monotonic.now)
            guard !(try socket.poll(for: .writable, timeout: left)).isEmpty else {
                // What follows half a request would be taken for its other half.
                if start > 0 { _ = state.close() }
                return false
            }
            try socket.writeAll(Array(bytes[start..<min(bytes.count, start + (16 << 10))]))
        }
        return true
    }

    /// The shim's words, with the stage by which a manager knows that the command is wrong.
    private static func failure(_ method: TaskMethod, _ error: RPCError) -> BackendError {
        let text = error.message.lowercased()
        // The shim's own words for a runtime that it could not execute.
        let isRuntime = text.contains("unable to retrieve oci runtime error") || text.contains("fork/exec")
        let isMissing =
            text.hasSuffix("no such file or directory") || text.contains("executable file not found in $path")
        guard text.contains("exec"), !isRuntime, isMissing || text.contains("permission denied") else {
            return .refused(
                stage: isRuntime ? "runtime" : method.rawValue.lowercased(),
                operation: "shim",
                code: error.code,
                detail: error.message
            )
        }
        return .refused(
            stage: "exec",
            operation: "shim",
            code: isMissing ? .notFound : .permissionDenied,
            detail: error.message,
            errno: isMissing ? .noEntry : .accessDenied
        )
    }
}
