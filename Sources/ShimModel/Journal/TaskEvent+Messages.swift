import DocumentTexts
package import Kernel
package import ShimProtocol
package import SwiftProtobuf

extension TaskEvent {
    /// The topic under which the event is published.
    package var topic: String {
        switch kind {
        case .created: EventTopic.create
        case .started: EventTopic.start
        case .execAdded: EventTopic.execAdded
        case .execStarted: EventTopic.execStarted
        case .exited: EventTopic.exit
        case .outOfMemory: EventTopic.oom
        case .paused: EventTopic.paused
        case .resumed: EventTopic.resumed
        case .deleted: EventTopic.delete
        case .restartCancelled: EventTopic.restartCancelled
        case .health: EventTopic.health
        case .syscalls(let topic, _): topic
        }
    }

    /// The end that the event tells of.
    var exit: ProcessExit? {
        switch kind {
        case .exited(let exit): exit
        case .deleted(let exit): exit
        default: nil
        }
    }

    /// The event of a message; nil for a topic that this program does not know.
    package init?(_ message: ShimEvent) {
        let exit = message.hasExit ? try? ProcessExit(message.exit) : nil
        let kind: Kind
        switch message.topic {
        case EventTopic.create: kind = .created
        case EventTopic.start: kind = .started
        case EventTopic.execAdded: kind = .execAdded
        case EventTopic.execStarted: kind = .execStarted
        case EventTopic.oom: kind = .outOfMemory
        case EventTopic.paused: kind = .paused
        case EventTopic.resumed: kind = .resumed
        case EventTopic.delete: kind = .deleted(exit)
        case EventTopic.restartCancelled: kind = .restartCancelled
        case EventTopic.exit:
            guard let exit else { return nil }
            kind = .exited(exit)
        default: return nil
        }
        self.init(
            kind,
            key: ProcessKey(execID: message.execID),
            pid: Int32(clamping: message.pid),
            restart: message.hasRestart ? PlannedRestart(message.restart) : nil
        )
    }

    /// The event for `Supervisor.Events`.
    package func message(seq: UInt64, time: Timestamp, containerID: String) -> ShimEvent {
        var event = ShimEvent()
        event.seq = seq
        event.time = time.message
        event.topic = topic
        event.containerID = containerID
        event.execID = key.execID
        event.pid = UInt32(pid)
        if case .exited(let exit) = kind {
            event.exit = exit.message
        }
        if case .health(let result) = kind {
            event.health = result.message
        }
        if case .syscalls(_, let report) = kind {
            event.syscalls = report
        }
        if let restart {
            event.restart.count = restart.count
            event.restart.delayMilliseconds = UInt64(restart.delay.wholeMilliseconds)
        }
        return event
    }

    /// The event as one line of the journal.
    func line(seq: UInt64, time: Timestamp, containerID: String) -> [UInt8] {
        var line = JSONText()
        line.add("seq", seq)
        line.add("time", time.description)
        line.add("topic", topic)
        line.add("container", containerID)
        if key != .initial {
            line.add("exec", key.execID)
        }
        line.add("pid", pid)
        if case .exited(let exit) = kind {
            line.add("exit", exit.json)
        }
        if case .health(let result) = kind {
            line.add("health", result.json)
        }
        if case .syscalls(_, let report) = kind {
            line.add("syscalls", report.json)
        }
        if let restart {
            var text = JSONText()
            text.add("count", restart.count)
            text.add("delayMilliseconds", restart.delay.wholeMilliseconds)
            line.add("restart", text)
        }
        return CheckedObject.sealed(line.bytes) + [0x0a]
    }
}

extension ProcessExit {
    /// The end for `Supervisor.Events`.
    var message: ShimExitStatus {
        var message = ShimExitStatus()
        switch status {
        case .code(let code): message.code = UInt32(code)
        case .signal(let signal): message.signal = UInt32(signal)
        case .unknown(let reason): message.unknown = reason
        }
        if let startedAt {
            message.startedAt = startedAt.message
        }
        message.exitedAt = exitedAt.message
        message.oomKilled = oomKilled
        message.oomOwner = oomOwner
        message.restartCount = restartCount
        message.timedOut = timedOut
        return message
    }

    /// The end for the journal.
    var json: JSONText {
        var text = JSONText()
        switch status {
        case .code(let code): text.add("code", code)
        case .signal(let signal): text.add("signal", signal)
        case .unknown(let reason): text.add("unknown", reason)
        }
        if let startedAt {
            text.add("startedAt", startedAt.description)
        }
        text.add("exitedAt", exitedAt.description)
        text.add("oomKilled", oomKilled)
        text.add("oomOwner", oomOwner)
        text.add("restartCount", restartCount)
        if timedOut { text.add("timedOut", timedOut) }
        return text
    }
}

extension Duration {
    /// Milliseconds, the rest cut off.
    package var wholeMilliseconds: Int64 {
        components.seconds * 1000 + components.attoseconds / 1_000_000_000_000_000
    }
}

extension Timestamp {
    /// The time as protobuf has it.
    package var message: Google_Protobuf_Timestamp {
        Google_Protobuf_Timestamp(seconds: seconds, nanos: Int32(nanoseconds))
    }
}
