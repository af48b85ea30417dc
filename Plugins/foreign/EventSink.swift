import DocumentTexts
import Kernel
import ShimKit
import ShimProtocol

/// Stands for containerd: takes the events of a foreign shim, and reads its log.
///
/// What an event says is learned otherwise (the end of a process from the kernel), but a shim whose events nobody takes stands still
/// sooner or later. So it is part of this shim: where it dies, its successor has one, at the same address.
final class EventSink {
    /// The address that the foreign shim is told.
    ///
    /// It works in its bundle, as under containerd. The bundle's own path may be too long for a socket, and one through a process
    /// would end with that process.
    static let address = "/proc/self/cwd/\(name)"
    private static let name = "events.ttrpc"
    private static let logName = "log"
    /// Until it is tried again to accept what could not be.
    private static let pause = Duration.seconds(1)
    /// Between two looks at the log: who writes without end waits for them, and keeps this shim from nothing.
    private static let pace = Duration.milliseconds(10)

    private struct Connection {
        let socket: SharedDescriptor
        let watch: BackendHost.Watch
        var state = TTRPCServerConnection()
    }

    private let host: BackendHost
    private let listener: SharedDescriptor
    private let log: SharedDescriptor
    private var watches: [BackendHost.Watch] = []
    private var connections: [RawDescriptor: Connection] = [:]

    /// Listens from now on, for as long as this object is kept.
    ///
    /// - Parameters:
    ///   - bundle: The foreign shim's bundle, where its socket for events and the pipe for its log are, or are made.
    ///   - host: The loop.
    /// - Throws: `KernelError`.
    init(bundle: String, host: BackendHost) throws(KernelError) {
        self.host = host
        listener = SharedDescriptor(try UnixSocket.listen("\(bundle)/\(Self.name)"))
        do throws(KernelError) { try RootedDir(bundle).mknod(Self.logName, .fifo, permissions: 0o600) } catch
            where error.errno == .exists
        {
            // The one of this shim's predecessor, which the foreign shim has open.
        }
        // With both ends it is never closed, and the foreign shim need not wait for a reader.
        log = SharedDescriptor(try File.open("\(bundle)/\(Self.logName)", [.readWrite, .nonBlocking]))
        watches = [try host.watch(listener.raw, .readable) { [weak self] _ in self?.accept() }]
        watches.append(try host.watch(log.raw, .readable) { [weak self] _ in self?.takeLog() })
    }

    deinit {
        for watch in watches + connections.values.map(\.watch) { host.unwatch(watch) }
        // What the foreign shim said last may have come between two looks.
        copyLog()
    }

    private func accept() {
        do throws(KernelError) {
            guard let accepted = try UnixSocket.accept(listener.raw) else { return }
            let socket = SharedDescriptor(accepted)
            let raw = socket.raw
            let watch = try host.watch(raw, .readable) { [weak self] _ in self?.answer(raw) }
            connections[raw] = Connection(socket: socket, watch: watch)
        } catch {
            // Without a pause the loop comes back at once, which is what there was.
            host.log("events are not accepted", ("error", error.description))
            try? host.change(watches[0], [])
            host.after(Self.pause) { [weak self] in
                guard let self else { return }
                try? self.host.change(self.watches[0], .readable)
            }
        }
    }

    /// Answers what has come, and ends a connection that is over.
    private func answer(_ raw: RawDescriptor) {
        guard var connection = connections[raw] else { return }
        do throws(KernelError) {
            let bytes = try connection.socket.read(upTo: 4 << 10)
            if bytes.isEmpty { return close(connection) }
            for call in connection.state.receive(bytes) {
                connection.state.respond(to: call.streamID, with: .success([]))
            }
            // The answers are few and short: one that takes none is over, and may come again.
            try connection.socket.writeAll(connection.state.takeOutput())
            connections[raw] = connection
        } catch {
            close(connection)
        }
    }

    private func close(_ connection: Connection) {
        host.unwatch(connection.watch)
        connections[connection.socket.raw] = nil
    }

    private func takeLog() {
        copyLog()
        // Where it cannot be put off it is as it would be without.
        try? host.change(watches[1], [])
        host.after(Self.pace) { [weak self] in
            guard let self else { return }
            try? self.host.change(self.watches[1], .readable)
        }
    }

    private func copyLog() {
        guard let bytes = try? log.read(upTo: 16 << 10) else { return }
        // Nobody is left to be told when the log is closed or its disk full.
        try? BorrowedDescriptor.standardError.writeAll(bytes)
        _ = try? ShimLogBound.cut(.standardError)
    }
}
