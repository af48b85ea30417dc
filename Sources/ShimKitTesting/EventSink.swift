internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

/// containerd's side of the events: takes what a shim publishes.
final class EventSink {
    private final class Connection {
        let socket: Descriptor
        var state = TTRPCServerConnection()

        init(_ socket: consuming Descriptor) {
            self.socket = socket
        }
    }

    let path: String
    private let listener: Descriptor
    private var connections: [Connection] = []
    /// Topics, with the exec's id where there is one, in the order they came: `/tasks/exit e1`.
    private(set) var topics: [String] = []
    /// What came last: a shim that had no answer in time sends it again on another connection.
    private var last: [UInt8] = []

    init(path: String) throws {
        self.path = path
        listener = try UnixSocket.listen(path)
    }

    /// What to wait for.
    var descriptors: [RawDescriptor] { [listener.raw] + connections.map { $0.socket.raw } }

    /// Takes what has arrived.
    func receive() throws {
        while !(try listener.poll(for: .readable, timeout: .zero)).isEmpty,
            let socket = try UnixSocket.accept(listener.raw)
        {
            connections.append(Connection(socket))
        }
        connections = try connections.filter { try serve($0) }
    }

    /// False when the shim has ended the connection.
    ///
    /// One that has waited too long, on a busy machine, closes with our late answer unread: what is left to us is a reset.
    private func serve(_ connection: Connection) throws -> Bool {
        do {
            return try exchange(connection)
        } catch let error as KernelError where [.connectionReset, .brokenPipe].contains(error.errno) {
            return false
        }
    }

    private func exchange(_ connection: Connection) throws -> Bool {
        while !(try connection.socket.poll(for: .readable, timeout: .zero)).isEmpty {
            let bytes = try connection.socket.read(upTo: 64 << 10)
            if bytes.isEmpty { return false }
            for call in connection.state.receive(bytes) {
                let request = try call.decode(EventsForwardRequest.self)
                // With its time, down to the nanosecond, no two events are alike.
                if call.payload != last { topics.append(try Self.name(request.envelope)) }
                last = call.payload
                connection.state.respond(to: call.streamID, with: .success([]))
            }
            try connection.socket.writeAll(connection.state.takeOutput())
        }
        return true
    }

    private static func name(_ envelope: ContainerdEnvelope) throws -> String {
        var detail = ""
        switch envelope.topic {
        case EventTopic.exit:
            let event = try envelope.event.decode(EventTaskExit.self)
            if let event, event.id != event.containerID { detail = " " + event.id }
        case EventTopic.execAdded: detail = " " + (try envelope.event.decode(EventTaskExecAdded.self)?.execID ?? "")
        case EventTopic.execStarted: detail = " " + (try envelope.event.decode(EventTaskExecStarted.self)?.execID ?? "")
        default: break
        }
        return envelope.topic + detail
    }
}
