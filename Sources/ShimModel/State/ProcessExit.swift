package import Kernel

/// How and when a process of a container ended.
package struct ProcessExit: Sendable, Hashable {
    /// What is known of the end.
    package enum Status: Sendable, Hashable {
        case code(UInt8)
        case signal(Int32)
        /// Why nobody knows.
        case unknown(String)
    }

    package var status: Status
    /// Nil for a process that was never started.
    package var startedAt: Timestamp?
    package var exitedAt: Timestamp
    package var oomKilled: Bool
    package var oomOwner: String
    /// How often the container had been started again before; 0 for an exec session.
    package var restartCount: UInt32 = 0
    /// The process was killed because its time was over.
    package var timedOut = false

    package init(
        status: Status,
        startedAt: Timestamp?,
        exitedAt: Timestamp,
        oomKilled: Bool = false,
        oomOwner: String = ""
    ) {
        self.status = status
        self.startedAt = startedAt
        self.exitedAt = exitedAt
        self.oomKilled = oomKilled
        self.oomOwner = oomOwner
    }

    /// The number that clients see: the code, 128 plus the signal, 255 when unknown.
    package var number: UInt32 {
        switch status {
        case .code(let code): UInt32(code)
        case .signal(let signal): UInt32(128 + signal)
        case .unknown: 255
        }
    }
}

extension ProcessExit.Status {
    package init(_ status: ExitStatus) {
        switch status {
        case .exited(let code): self = .code(code)
        case .signaled(let signal, _): self = .signal(signal)
        }
    }
}

/// Names a process of the container: the init process or an exec session.
package enum ProcessKey: Hashable, Sendable {
    case initial
    case exec(String)

    /// The key for the `exec_id` of a request, where empty means the init process.
    package init(execID: String) {
        self = execID.isEmpty ? .initial : .exec(execID)
    }

    /// Empty for the init process.
    package var execID: String {
        switch self {
        case .initial: ""
        case .exec(let id): id
        }
    }
}
