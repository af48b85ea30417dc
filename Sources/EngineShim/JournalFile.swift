import DocumentTexts
import EngineModel
import FoundationEssentials
import Kernel
package import ShimProtocol
import SwiftProtobuf

/// The journal as a file: what a shim wrote before it told anybody, for the time when it cannot tell any more.
package enum JournalFile {
    /// The longest file that is read; a shim empties its own long before, as soon as all of it is acknowledged.
    static let limit = 64 << 20

    /// What a journal holds.
    package struct Content: Sendable {
        /// The events with a number above the one that was asked for, in order.
        package var events: [ShimEvent] = []
        /// What is wrong with the file; nil for nothing.
        package var damage: String?
    }

    /// The events of the file with a number above `sequence`.
    ///
    /// Blocks. A line that cannot be read (the last one of a crash, or a damaged one) is left out, and so is what its number would
    /// make a repetition of.
    /// - Parameters:
    ///   - path: of the file.
    ///   - sequence: what the caller knows already.
    ///   - written: what the shim's state says of the journal; nil when nothing says it.
    /// - Returns: The events, and what is wrong with the file.
    /// - Throws: `KernelError`; no file is no events.
    package static func content(
        _ path: String,
        after sequence: UInt64,
        written: ShimJournalState? = nil
    ) throws -> Content {
        let bytes: [UInt8]
        do throws(KernelError) {
            bytes = try File.read(path, limit: limit)
        } catch {
            if error.errno == .noEntry { return Content() }
            throw error
        }
        var content = Content(events: parse(bytes, after: sequence), damage: CheckedObject.damage(ofLines: bytes))
        let (known, last) = (max(sequence, written?.acknowledged ?? 0), written?.lastSeq ?? 0)
        let missing = last > known ? Set(known + 1...last).subtracting(content.events.map(\.seq)).count : 0
        if content.damage == nil, missing > 0 {
            content.damage = "\(missing) events of those up to number \(last) are missing"
        }
        return content
    }

    /// Reads the content of a journal.
    package static func parse(_ bytes: [UInt8], after sequence: UInt64) -> [ShimEvent] {
        var last = sequence
        var events: [ShimEvent] = []
        // What follows the last newline was cut by a crash.
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        for line in bytes[..<end].split(separator: UInt8(ascii: "\n")) {
            guard CheckedObject.isSound(line), let entry = try? JSON.decode(Line.self, Array(line)), entry.seq > last,
                let event = entry.event
            else { continue }
            last = entry.seq
            events.append(event)
        }
        return events
    }

    private struct Line: Decodable {
        struct Exit: Decodable {
            var code: UInt32?
            var signal: UInt32?
            var unknown: String?
            var startedAt: String?
            var exitedAt: String
            var oomKilled: Bool?
            var oomOwner: String?
            var timedOut: Bool?

            var message: ShimExitStatus? {
                guard let at = Timestamp(exitedAt) else { return nil }
                var message = ShimExitStatus()
                message.status =
                    if let code {
                        .code(code)
                    } else if let signal {
                        .signal(signal)
                    } else {
                        .unknown(unknown ?? "the journal gives no status")
                    }
                if let start = startedAt.flatMap({ Timestamp($0) }) { message.startedAt = start.message }
                message.exitedAt = at.message
                message.oomKilled = oomKilled ?? false
                message.oomOwner = oomOwner ?? ""
                message.timedOut = timedOut ?? false
                return message
            }
        }
        var seq: UInt64
        var time: String
        var topic: String
        var container: String
        var exec: String?
        var pid: UInt32?
        var exit: Exit?
        var restart: Restart?
        var health: Health?
        var syscalls: Syscalls?

        struct Syscalls: Decodable {
            var profile: String?
            var mode: String?
            var last: Bool?
            var uses: [Use]?

            struct Use: Decodable {
                var exec: String?
                var pid: UInt32?
                var command: String?
                var architecture: UInt32
                var number: Int32
                var argument: UInt64?
                var count: UInt64
                var first: String?
                var lastSeen: String?
                var answer: String
            }

            /// `time`: what a use has happened at that does not say when.
            func message(_ time: Timestamp) -> ShimSyscallReport {
                .with { report in
                    (report.profile, report.mode, report.last) = (profile ?? "", mode ?? "", last ?? false)
                    report.uses = (uses ?? []).map { use in
                        .with {
                            ($0.execID, $0.pid, $0.command) = (use.exec ?? "", use.pid ?? 0, use.command ?? "")
                            ($0.architecture, $0.number) = (use.architecture, use.number)
                            if let argument = use.argument { ($0.argument, $0.hasArgument_p) = (argument, true) }
                            ($0.count, $0.answer) = (use.count, use.answer)
                            $0.first = (use.first.flatMap { Timestamp($0) } ?? time).message
                            $0.lastSeen = (use.lastSeen.flatMap { Timestamp($0) } ?? time).message
                        }
                    }
                }
            }
        }

        struct Health: Decodable {
            var status: String
            var failingStreak: UInt32
            var startedAt: String
            var endedAt: String
            var exitCode: Int32
            var output: String
        }

        struct Restart: Decodable {
            var count: UInt32
            var delayMilliseconds: UInt64
        }

        var event: ShimEvent? {
            guard let at = Timestamp(time) else { return nil }
            var event = ShimEvent()
            event.seq = seq
            event.time = at.message
            event.topic = topic
            event.containerID = container
            event.execID = exec ?? ""
            event.pid = pid ?? 0
            if let exit {
                guard let message = exit.message else { return nil }
                event.exit = message
            } else if topic == EventTopic.exit {
                return nil
            }
            if let syscalls { event.syscalls = syscalls.message(at) }
            if let restart {
                event.restart.count = restart.count
                event.restart.delayMilliseconds = restart.delayMilliseconds
            }
            if let health {
                event.health.status = health.status
                event.health.failingStreak = health.failingStreak
                event.health.startedAt = (Timestamp(health.startedAt) ?? at).message
                event.health.endedAt = (Timestamp(health.endedAt) ?? at).message
                event.health.exitCode = health.exitCode
                event.health.output = Data(health.output.utf8)
            }
            return event
        }
    }
}

extension Timestamp {
    fileprivate var message: Google_Protobuf_Timestamp {
        .with { ($0.seconds, $0.nanos) = (seconds, Int32(nanoseconds)) }
    }
}
