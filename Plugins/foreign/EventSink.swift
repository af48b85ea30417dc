import Kernel
import ShimProtocol

/// A process that stands for containerd: it takes the events of a foreign shim, and reads its log.
///
/// What an event says is learned otherwise (the end of a process from the kernel), but a shim whose events nobody takes stands still
/// sooner or later. Ends when the shim has gone.
enum EventSink {
    static let command = "events"
    /// Descriptors by number: where events come, where the log is read, and where it is written.
    private static let (listener, log, folder): (RawDescriptor, RawDescriptor, RawDescriptor) = (3, 4, 5)
    private static let name = "events.ttrpc"
    /// For a shim that never comes.
    private static let patience = Duration.seconds(30)

    /// Starts the process.
    ///
    /// - Parameters:
    ///   - bundle: The shim's bundle, where its socket for events and the pipe for its log are made.
    ///   - id: The container's id, by which the process is found.
    /// - Returns: The address that the shim is told. It leads through the process: a socket's own path may be too long.
    /// - Throws: `KernelError`.
    static func start(bundle: String, id: String) throws(KernelError) -> String {
        let socket = SharedDescriptor(try UnixSocket.listen("\(bundle)/\(name)"))
        try RootedDir(bundle).mknod("log", .fifo, permissions: 0o600)
        // With both ends it is never closed, and the shim need not wait for a reader.
        let pipe = SharedDescriptor(try File.open("\(bundle)/log", [.readWrite, .nonBlocking]))
        let place = SharedDescriptor(try File.open(bundle, [.path, .directory]))
        var spawn = Spawn(arguments: [CommandLine.arguments.first ?? "shim", command, id])
        spawn.descriptors = [
            2: BorrowedDescriptor.standardError.raw, listener: socket.raw, log: pipe.raw, folder: place.raw,
        ]
        let program = try SealedExecutable()
        let pid = try withExtendedLifetime((socket, pipe, place)) { () throws(KernelError) in
            let child = try spawn.start(program.descriptor.raw)
            return child.pid
        }
        return "/proc/\(pid)/fd/\(folder)/\(name)"
    }

    /// The process itself.
    static func main() -> Never {
        do throws(KernelError) { try serve() } catch {
            // Nobody is left to hear of it when this fails too.
            try? BorrowedDescriptor.standardError.writeAll("events: \(error)\n")
        }
        Clone.exit(0)
    }

    private static func serve() throws(KernelError) {
        Signals.ignore(.pipe)
        let log = BorrowedDescriptor(log)
        var connections: [(socket: SharedDescriptor, state: TTRPCServerConnection)] = []
        var hasHadOne = false
        while !(hasHadOne && connections.isEmpty) {
            var set = PollSet()
            set.add(listener, .readable)
            set.add(log.raw, .readable)
            for connection in connections { set.add(connection.socket.raw, .readable) }
            let ready = try set.wait(timeout: hasHadOne ? nil : patience).map(\.descriptor)
            if ready.isEmpty, !hasHadOne { return }
            if ready.contains(log.raw) { try BorrowedDescriptor.standardError.writeAll(try log.read(upTo: 16 << 10)) }
            connections = connections.compactMap { connection in
                guard ready.contains(connection.socket.raw) else { return connection }
                return answered(connection)
            }
            if ready.contains(listener), let socket = try UnixSocket.accept(listener, nonBlocking: false) {
                connections.append((SharedDescriptor(socket), TTRPCServerConnection()))
                hasHadOne = true
            }
        }
    }

    /// Answers what has come; nil when the connection is over.
    private static func answered(
        _ connection: (socket: SharedDescriptor, state: TTRPCServerConnection)
    ) -> (socket: SharedDescriptor, state: TTRPCServerConnection)? {
        var connection = connection
        guard let bytes = try? connection.socket.read(upTo: 64 << 10), !bytes.isEmpty else { return nil }
        for call in connection.state.receive(bytes) { connection.state.respond(to: call.streamID, with: .success([])) }
        // A connection that cannot be written to is over.
        return (try? connection.socket.writeAll(connection.state.takeOutput())) == nil ? nil : connection
    }
}
