import DocumentTexts
package import Kernel

/// What recovery does with one container, as a pure decision: what the database says against what was found.
package enum Recovery {
    /// What was found of a container's shim and task.
    package enum Finding: Sendable, Equatable {
        /// There is no bundle: never started, torn down, or the node was booted since.
        ///
        /// `damage`: why the record cannot be read.
        case nothing(record: Lifecycle.Exit?, damage: String? = nil)
        /// There is a bundle, but no shim, and neither its journal nor its record tells of an end: only what it left can.
        case shimGone(record: Lifecycle.Exit?)
        /// The shim's process is there and does not answer.
        case silent
        /// The shim answers, and speaks what this engine does not.
        case incompatible(OtherProtocol)
        /// The shim answers and has no task: a start or a tear-down in the middle.
        case noTask
        /// The task waits before exec: a start in the middle.
        case created
        /// The task runs.
        case running(pid: Int32, paused: Bool, startedAt: Timestamp)
        /// The task has ended, and the shim will start it again.
        case awaitingRestart
        /// What the shim has told was all that there was, and it is dealt with.
        case settled
        /// The task has ended, and the database has not taken that in.
        case stopped(Lifecycle.Exit, pid: Int32, startedAt: Timestamp)
        /// The task has ended, and the database knows.
        case finished
    }

    /// What is to be done.
    package enum Decision: Sendable, Equatable {
        /// It is at rest and nothing is left of a run.
        case leave
        /// It is at rest; something is left of a run and goes.
        case cleanUp
        /// Go on removing.
        case finishRemoval
        /// Take the running task over.
        case adopt(pid: Int32, paused: Bool, startedAt: Timestamp)
        /// Wait for the shim to start it again.
        case awaitRestart
        /// The shim is dead, and how the container is nobody has said: a new shim takes over, or it is killed.
        case succeedShim
        /// It ended while nobody looked.
        case recordExit(Lifecycle.Exit)
        /// It started and ended, and the database knows of neither.
        case recordStartAndExit(Lifecycle.Exit, pid: Int32, startedAt: Timestamp)
        /// Nothing may be concluded: ask again.
        case retry
    }

    package static func decide(_ phase: Lifecycle.Phase, _ finding: Finding, now: Timestamp) -> Decision {
        if case .removing = phase {
            switch finding {
            case .silent, .incompatible: return .retry
            default: return .finishRemoval
            }
        }
        let believedActive: Bool =
            switch phase {
            case .running, .paused: true
            default: false
            }
        switch finding {
        case .silent, .incompatible:
            return .retry
        case .awaitingRestart:
            return .awaitRestart
        case .settled:
            return .leave
        case .running(let pid, let paused, let startedAt):
            return .adopt(pid: pid, paused: paused, startedAt: startedAt)
        case .stopped(let exit, let pid, let startedAt):
            return believedActive ? .recordExit(exit) : .recordStartAndExit(exit, pid: pid, startedAt: startedAt)
        case .finished:
            guard believedActive else { return .cleanUp }
            return .recordExit(unknown("the shim has told of the exit, and the record of it is lost", now))
        case .nothing(let record, let damage):
            guard believedActive else { return .leave }
            let why = damage ?? "the node was started anew, and no exit was recorded"
            return .recordExit(record ?? unknown(why, now))
        case .shimGone(let record):
            guard believedActive else { return .cleanUp }
            return record.map { .recordExit($0) } ?? .succeedShim
        case .noTask:
            guard believedActive else { return .cleanUp }
            return .recordExit(unknown("the shim has no task, and no exit was recorded", now))
        case .created:
            guard believedActive else { return .cleanUp }
            return .recordExit(unknown("the task was found before its start", now))
        }
    }

    private static func unknown(_ reason: String, _ now: Timestamp) -> Lifecycle.Exit {
        Lifecycle.Exit(how: ContainerExit(status: .unknown(reason)), at: now)
    }
}

extension ProcessExit {
    /// What a shim tells in answer to a question, which has no word for unknown.
    ///
    /// - Parameters:
    ///   - number: its number.
    ///   - isOurs: whether 255 is how the shim says that it does not know.
    package init(told number: UInt32, byOurs isOurs: Bool) {
        self =
            isOurs && number == 255
            ? .unknown("the shim tells 255, its number for what it does not know, and its records are lost")
            : .code(UInt8(truncatingIfNeeded: number))
    }
}

/// The exit record that a shim leaves before it tells anybody (docs/shim-protocol.md, section 4).
package struct ExitRecord: Sendable, Equatable {
    package var pid: Int32
    package var exit: Lifecycle.Exit
    package var startedAt: Timestamp?

    package init(pid: Int32, exit: Lifecycle.Exit, startedAt: Timestamp?) {
        (self.pid, self.exit, self.startedAt) = (pid, exit, startedAt)
    }

    /// The record as a document, for an end that no shim could write down.
    package func document(of id: ContainerID, restartCount: Int) throws -> [UInt8] {
        var status = Document.Status()
        switch exit.how.status {
        case .code(let code): status.code = code
        case .signal(let signal): status.signal = signal
        case .unknown(let reason): status.unknown = reason
        }
        let document = Document(
            version: 1,
            id: id.description,
            pid: pid,
            status: status,
            startedAt: startedAt?.description,
            exitedAt: exit.at.description,
            oomKilled: exit.how.oomKilled,
            oomOwner: exit.how.oomOwner,
            restartCount: restartCount
        )
        return CheckedObject.sealed(try JSON.bytes(document))
    }

    private struct Document: Codable {
        struct Status: Codable {
            var code: UInt8?
            var signal: Int32?
            var unknown: String?
        }
        var version: Int
        var id: String?
        var pid: Int32
        var status: Status
        var startedAt: String?
        var exitedAt: String
        var oomKilled: Bool?
        var oomOwner: String?
        var restartCount: Int?
    }

    /// - Throws: `.internal` for bytes that are no record of version 1, and for one that was changed.
    package init(parsing bytes: [UInt8]) throws {
        guard CheckedObject.isSound(bytes) else {
            throw EngineError.internalFailure("exit record: its check value is that of another record")
        }
        let document = try JSON.decode(Document.self, bytes)
        guard document.version == 1, let at = Timestamp(document.exitedAt) else {
            throw EngineError.internalFailure("exit record: unknown version or bad time")
        }
        let status: ProcessExit =
            if let code = document.status.code {
                .code(code)
            } else if let signal = document.status.signal {
                .signal(signal)
            } else {
                .unknown(document.status.unknown ?? "the exit record gives no status")
            }
        pid = document.pid
        startedAt = document.startedAt.flatMap { Timestamp($0) }
        exit = Lifecycle.Exit(
            how: ContainerExit(
                status: status,
                oomKilled: document.oomKilled ?? false,
                oomOwner: document.oomOwner ?? ""
            ),
            at: at
        )
    }
}
