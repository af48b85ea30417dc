import FoundationEssentials
import Kernel
import ShimProtocol
import SwiftProtobuf

/// What is done wrong, and where.
struct Misbehaviour {
    let fault: String
    let object: String

    init(_ fault: String, _ object: String) { (self.fault, self.object) = (fault, object) }

    /// The topic of a flood; nil when there is none.
    var floodTopic: String? { fault == "flood" ? "/" + object.replacing(".", with: "/") : nil }

    var speaksAnother: Bool { fault == "protocol" }

    func lies(about method: String) -> Bool { fault == "pid" && object == method }

    static func hang() -> Never {
        // Neither input nor a signal that it does not take wakes it.
        while true { _ = try? EventFd().poll(for: .readable, timeout: .seconds(3600)) }
    }

    /// Does what is wrong with a call; returns the bytes that stand for an answer, or nil when the call is served.
    func answer(to call: TTRPCServerConnection.Call, on socket: SharedDescriptor) -> Bool {
        guard isMeant(call), fault != "pid" else { return false }
        switch fault {
        case "crash": CurrentProcess.exit(3)
        case "hang": Self.hang()
        case "garbage": send(frame(call.streamID, envelope(Random.bytes(100))), socket)
        case "spill":
            spill()
            return false
        case "noise": send(Random.bytes(4096), socket)
        case "claim":
            // For a call that nobody has made, so that nobody is told by it.
            send(number(UInt32.max - 16) + number(call.streamID + 2_000_000) + [2, 0], socket)
            Self.hang()
        case "slow":
            send(number(3 << 20) + number(call.streamID) + [2, 0], socket)
            while true {
                send([0], socket)
                _ = try? EventFd().poll(for: .readable, timeout: .milliseconds(100))
            }
        case "oversize":
            send(number(UInt32.max - 16) + number(call.streamID) + [2, 0], socket)
            while true { send([UInt8](repeating: 0, count: 1 << 16), socket) }
        case "endless":
            let frames = Array((0..<1000).map { _ in frame(2_000_001, envelope(Random.bytes(100))) }.joined())
            while true { send(frames, socket) }
        default: return false
        }
        return true
    }

    /// A child that takes part in nothing but the standard error, and ends with this process.
    private func spill() {
        let script = "while :; do head -c 1048576 /dev/zero; sleep 0.02; done >&2"
        var spawn = Spawn(
            arguments: ["setpriv", "--pdeathsig", "KILL", "sh", "-c", script],
            environment: ["PATH=/usr/bin:/bin"]
        )
        spawn.descriptors = [2: 2]
        // The test sees that nothing is spilled.
        _ = try? spawn.start("/usr/bin/setpriv").pid
    }

    /// `ExecStart` and `ExecDelete` are the calls for a session, which have the container's methods.
    private func isMeant(_ call: TTRPCServerConnection.Call) -> Bool {
        switch object {
        case "ExecStart":
            return call.method == "Start" && (try? call.decode(TaskStartRequest.self))?.execID.isEmpty == false
        case "ExecDelete":
            return call.method == "Delete" && (try? call.decode(TaskDeleteRequest.self))?.execID.isEmpty == false
        default: return call.method == object
        }
    }

    /// A manager makes some calls only to a shim that says this of itself.
    var capabilities: [String] {
        switch object {
        case "SetPolicy": ["restart-policy"]
        case "CheckFiles": ["check-files"]
        default: []
        }
    }

    private func envelope(_ payload: [UInt8]) -> [UInt8] { TTRPCResponse.with { $0.payload = .init(payload) }.bytes }

    private func number(_ value: UInt32) -> [UInt8] { [24, 16, 8, 0].map { UInt8(truncatingIfNeeded: value >> $0) } }

    private func frame(_ stream: UInt32, _ data: [UInt8]) -> [UInt8] {
        number(UInt32(data.count)) + number(stream) + [2, 0] + data
    }

    /// When nobody reads any more there is nothing left to do wrong.
    private func send(_ bytes: [UInt8], _ socket: SharedDescriptor) {
        do { try socket.writeAll(bytes) } catch { Self.hang() }
    }
}
