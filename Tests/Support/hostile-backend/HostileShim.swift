import FoundationEssentials
import Kernel
import ShimProtocol
import SwiftProtobuf

/// Serves one container to berthd, as far as an honest shim must.
final class HostileShim {
    private final class Connection {
        let socket: SharedDescriptor
        var state = TTRPCServerConnection()
        /// Polls for events that wait for one.
        var polls: [UInt32] = []

        init(_ socket: SharedDescriptor) { self.socket = socket }
    }

    let wrong: Misbehaviour
    private let place: String
    private var connections: [Connection] = []
    private var events: [ShimEvent] = []
    private var flooded: UInt64 = 0
    private var child: (pid: Int32, pidfd: SharedDescriptor)?
    private var execs: [String: (pid: Int32, pidfd: SharedDescriptor)] = [:]
    private var status: TaskStatus = .created
    private var exit = TaskWaitResponse()

    init(_ wrong: Misbehaviour, _ place: String) { (self.wrong, self.place) = (wrong, place) }

    func serve() throws {
        while true {
            var set = PollSet()
            set.add(3, .readable)
            if wrong.speaksAnother { set.add(4, .readable) }
            for connection in connections { set.add(connection.socket.raw, .readable) }
            if let child, status != .stopped { set.add(child.pidfd.raw, .readable) }
            let ready = try set.wait(timeout: nil).map(\.descriptor)
            if ready.contains(3), let socket = try UnixSocket.accept(3, nonBlocking: false) {
                connections.append(Connection(SharedDescriptor(socket)))
            }
            if wrong.speaksAnother, ready.contains(4), let socket = try UnixSocket.accept(4, nonBlocking: false) {
                try pass(socket)
            }
            if let child, ready.contains(child.pidfd.raw), status != .stopped { try ended(child.pidfd) }
            connections = try connections.filter { try !ready.contains($0.socket.raw) || take($0) }
        }
    }

    /// Whatever is asked on the descriptor socket is granted, and nothing is done.
    private func pass(_ socket: consuming Descriptor) throws {
        let exchange = SharedDescriptor(socket)
        _ = try exchange.read(upTo: 64 << 10)
        try exchange.writeAll([0, 0, 0, 0])
    }

    private func take(_ connection: Connection) throws -> Bool {
        guard let bytes = try? connection.socket.read(upTo: 64 << 10), !bytes.isEmpty else { return false }
        for call in connection.state.receive(bytes) where !wrong.answer(to: call, on: connection.socket) {
            if call.method == "Events" {
                try poll(call, connection)
            } else {
                let answer: Result<[UInt8], RPCError>
                do { answer = .success(try self.answer(call)) } catch { answer = .failure(.unimplemented("\(error)")) }
                connection.state.respond(to: call.streamID, with: answer)
            }
            try? connection.socket.writeAll(connection.state.takeOutput())
            if call.method == "Shutdown" { CurrentProcess.exit(0) }
        }
        return true
    }

    // Events ---------------------------------------------------------------------------------------------------------

    private func poll(_ call: TTRPCServerConnection.Call, _ connection: Connection) throws {
        let request = try call.decode(ShimEventsRequest.self)
        if let topic = wrong.floodTopic, status == .running {
            let first = max(request.afterSeq, flooded, UInt64(events.count)) + 1
            flooded = first + 9_999
            let answer = ShimEventsResponse.with { answer in
                answer.events = (first...flooded).map { number in
                    ShimEvent.with {
                        ($0.seq, $0.topic, $0.execID) = (number, topic, (topic == "/tasks/exit" ? "none" : ""))
                    }
                }
                answer.lastSeq = flooded
            }
            return connection.state.respond(to: call.streamID, with: .success(answer.bytes))
        }
        let news = events.filter { $0.seq > request.afterSeq }
        guard news.isEmpty && request.waitMilliseconds > 0 else {
            return connection.state.respond(to: call.streamID, with: .success(answer(news)))
        }
        connection.polls.append(call.streamID)
    }

    private func answer(_ news: [ShimEvent]) -> [UInt8] {
        ShimEventsResponse.with { ($0.events, $0.lastSeq) = (news, UInt64(events.count)) }.bytes
    }

    private func tell(_ topic: String, _ pid: Int32, _ change: (inout ShimEvent) -> Void = { _ in }) {
        var event = ShimEvent()
        (event.seq, event.topic, event.pid) = (UInt64(events.count) + 1, topic, UInt32(bitPattern: pid))
        change(&event)
        events.append(event)
        for connection in connections {
            for stream in connection.polls { connection.state.respond(to: stream, with: .success(answer([event]))) }
            connection.polls = []
            try? connection.socket.writeAll(connection.state.takeOutput())
        }
    }

    private func ended(_ pidfd: SharedDescriptor) throws {
        _ = try Pidfd.waitForEnd(pidfd.raw)
        (status, exit.exitStatus) = (.stopped, 137)
        tell(EventTopic.exit, child?.pid ?? 0) { $0.exit.signal = 9 }
    }

    // Calls ----------------------------------------------------------------------------------------------------------

    private func answer(_ call: TTRPCServerConnection.Call) throws -> [UInt8] {
        switch call.method {
        case "Info":
            return ShimInfoResponse.with { info in
                (info.version, info.protocol, info.backend) = ("666", 1, "hostile")
                if wrong.speaksAnother { info.protocol = protocolNumber }
                info.capabilities = wrong.capabilities
            }.bytes
        case "Create":
            let made = try sleeper()
            child = made
            tell(EventTopic.create, made.pid)
            let pid = try wrong.lies(about: "Create") ? victim() : made.pid
            return TaskCreateResponse.with { $0.pid = UInt32(bitPattern: pid) }.bytes
        case "Start": return try start(call)
        case "Exec":
            let request = try call.decode(TaskExecRequest.self)
            execs[request.execID] = try sleeper()
            tell(EventTopic.execAdded, 0) { $0.execID = request.execID }
            return []
        case "State":
            return TaskStateResponse.with { state in
                (state.pid, state.status) = (UInt32(bitPattern: child?.pid ?? 0), status)
                if wrong.fault == "state" { state.status = .stopped }
            }.bytes
        case "Kill":
            if let child { _ = try Pidfd.send(.kill, to: child.pidfd.raw) }
            return []
        case "Delete":
            let id = try call.decode(TaskDeleteRequest.self).execID
            let process = id.isEmpty ? child : execs.removeValue(forKey: id)
            if let process { _ = try? Pidfd.send(.kill, to: process.pidfd.raw) }
            return TaskDeleteResponse.with { $0.exitStatus = 137 }.bytes
        case "Wait": return try wait(call)
        case "Pids": return try pids().bytes
        case "Resume" where wrong.fault == "state": throw RPCError.unimplemented(call.method)
        case "Connect", "Acknowledge", "SetPolicy", "Shutdown", "ReopenLog", "Pause", "Resume", "CloseIO",
            "ResizePty", "Update", "CheckFiles":
            return []
        default: throw RPCError.unimplemented(call.method)
        }
    }

    private func start(_ call: TTRPCServerConnection.Call) throws -> [UInt8] {
        let request = try call.decode(TaskStartRequest.self)
        if let exec = execs[request.execID] {
            let pid = try wrong.lies(about: "Exec") ? victim() : exec.pid
            tell(EventTopic.execStarted, pid) { $0.execID = request.execID }
            return TaskStartResponse.with { $0.pid = UInt32(bitPattern: pid) }.bytes
        }
        status = .running
        try startFlood()
        let pid = try wrong.lies(about: "Start") ? victim() : child?.pid ?? 0
        tell(EventTopic.start, pid)
        return TaskStartResponse.with { $0.pid = UInt32(bitPattern: pid) }.bytes
    }

    /// Not before the end: who asks earlier waits with all others.
    private func wait(_ call: TTRPCServerConnection.Call) throws -> [UInt8] {
        let id = try call.decode(TaskWaitRequest.self).execID
        if let process = id.isEmpty ? child : execs[id] { _ = try process.pidfd.poll(for: .readable, timeout: nil) }
        return TaskWaitResponse.with { $0.exitStatus = wrong.fault == "exit" ? UInt32(wrong.object) ?? 0 : 137 }.bytes
    }

    private func pids() throws -> TaskPidsResponse {
        guard wrong.lies(about: "Pids") else { return TaskPidsResponse() }
        let numbers = [try Self.victim(place), 1, 0, -1, .min, .max]
        return TaskPidsResponse.with { answer in
            answer.processes = numbers.map { pid in TaskProcessInfo.with { $0.pid = UInt32(bitPattern: pid) } }
        }
    }

    /// What a test has written into a file beside the program; 1 before it has.
    private var protocolNumber: UInt32 {
        (try? File.readText("\(place)/protocol")).flatMap { UInt32($0) } ?? 1
    }

    private func victim() throws -> Int32 { try Self.victim(place) }

    /// `parent` is who has started this one, or has inherited it.
    private static func victim(_ place: String) throws -> Int32 {
        let text = try File.readText("\(place)/victim")
        if text == "parent" { return try ProcessFacts(Credentials.processID).parent }
        return Int32(text.filter { $0.isNumber || $0 == "-" }) ?? 0
    }

    /// A process that ends with this one, however that ends.
    private func sleeper() throws -> (pid: Int32, pidfd: SharedDescriptor) {
        let words = ["setpriv", "--pdeathsig", "KILL", "sleep", "100000"]
        let child = try Spawn(arguments: words, environment: ["PATH=/usr/bin:/bin"]).start("/usr/bin/setpriv")
        // Before it has said so it would not end with this process, which may be gone at the next call.
        while (try? ProcessFacts(child.pid))?.name == "setpriv" {
            _ = try EventFd().poll(for: .readable, timeout: .milliseconds(1))
        }
        return (child.pid, child.sharedPidfd())
    }
}
