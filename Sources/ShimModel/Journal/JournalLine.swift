import DocumentTexts
import FoundationEssentials
import Kernel
import ShimProtocol
import SwiftProtobuf

/// A line of the journal, read back.
package struct JournalLine: Decodable {
    private struct Exit: Decodable {
        let code: UInt32?
        let signal: UInt32?
        let unknown: String?
        let startedAt: String?
        let exitedAt: String
        let oomKilled: Bool
        let oomOwner: String
        let restartCount: UInt32?
        let timedOut: Bool?

        var message: ShimExitStatus {
            var message = ShimExitStatus()
            if let code {
                message.code = code
            } else if let signal {
                message.signal = signal
            } else {
                message.unknown = unknown ?? ""
            }
            if let startedAt {
                message.startedAt = JournalLine.time(startedAt)
            }
            message.exitedAt = JournalLine.time(exitedAt)
            message.oomKilled = oomKilled
            message.oomOwner = oomOwner
            message.restartCount = restartCount ?? 0
            message.timedOut = timedOut ?? false
            return message
        }
    }

    private struct Restart: Decodable {
        let count: UInt32
        let delayMilliseconds: UInt64
    }

    private struct Health: Decodable {
        let status: String
        let failingStreak: UInt32
        let startedAt: String
        let endedAt: String
        let exitCode: Int32
        let output: String
    }

    private let seq: UInt64
    private let time: String
    private let topic: String
    private let container: String
    private let exec: String?
    private let pid: UInt32
    private let exit: Exit?
    private let restart: Restart?
    private let health: Health?
    private let syscalls: SyscallReportLine?

    /// The events of whole lines; a line that is none is passed over.
    static func events(_ lines: ArraySlice<UInt8>) -> [ShimEvent] {
        lines.split(separator: 0x0a).compactMap { line in
            // A damaged line is a gap in the numbers, which whoever reads the events sees.
            guard CheckedObject.isSound(line) else { return nil }
            return try? JSONDecoder().decode(JournalLine.self, from: Data(line)).event
        }
    }

    private var event: ShimEvent {
        var event = ShimEvent()
        event.seq = seq
        event.time = Self.time(time)
        event.topic = topic
        event.containerID = container
        event.execID = exec ?? ""
        event.pid = pid
        if let exit {
            event.exit = exit.message
        }
        if let restart {
            event.restart.count = restart.count
            event.restart.delayMilliseconds = restart.delayMilliseconds
        }
        if let health {
            event.health.status = health.status
            event.health.failingStreak = health.failingStreak
            event.health.startedAt = Self.time(health.startedAt)
            event.health.endedAt = Self.time(health.endedAt)
            event.health.exitCode = health.exitCode
            event.health.output = Data(health.output.utf8)
        }
        if let syscalls {
            event.syscalls = syscalls.message
        }
        return event
    }

    static func time(_ text: String) -> Google_Protobuf_Timestamp {
        (Timestamp(text) ?? Timestamp(seconds: 0)).message
    }
}
