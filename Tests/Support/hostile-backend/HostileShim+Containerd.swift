import FoundationEssentials
import Kernel
import ShimProtocol
import SwiftProtobuf

// As containerd starts a shim, and where it tells its events.
extension HostileShim {
    /// Leaves a process that serves, and prints where it listens.
    static func start(_ wrong: Misbehaviour, _ place: String) throws {
        let socket = "\(try WorkingDirectory.current())/hostile.sock"
        let listener = try UnixSocket.listen(socket)
        var spawn = Spawn(arguments: CommandLine.arguments.dropLast() + ["serve"], environment: Self.environment)
        spawn.descriptors = [3: listener.raw]
        _ = try spawn.start("/proc/self/exe")
        var address = socket
        if wrong.fault == "address" { address = try File.readText("\(place)/victim") }
        try BorrowedDescriptor.standardOutput.writeAll(Array("unix://\(address)".utf8))
    }

    /// The one variable that matters: where events go.
    static var environment: [String] {
        ["TTRPC_ADDRESS=\(ProcessInfo.processInfo.environment["TTRPC_ADDRESS"] ?? "")"]
    }

    /// Has a process tell events without end, when it was started as containerd does.
    func startFlood() throws {
        guard wrong.floodTopic != nil, Self.environment != ["TTRPC_ADDRESS="] else { return }
        _ = try Spawn(arguments: CommandLine.arguments.dropLast() + ["flood"], environment: Self.environment)
            .start("/proc/self/exe")
    }

    /// Tells events as fast as they are taken, and on a new connection where one is refused.
    static func flood(_ topic: String) -> Never {
        let address = ProcessInfo.processInfo.environment["TTRPC_ADDRESS"] ?? ""
        while true { try? tell(topic, address) }
    }

    private static func tell(_ topic: String, _ address: String) throws {
        let socket = try UnixSocket.connect(address)
        var connection = TTRPCClientConnection()
        let envelope = EventsForwardRequest.with { request in
            (request.envelope.namespace, request.envelope.topic) = ("default", topic)
        }
        while true {
            _ = try connection.call(
                service: ServiceName.events,
                method: "Forward",
                payload: envelope.bytes,
                timeout: .zero
            )
            try socket.writeAll(connection.takeOutput())
        }
    }
}
