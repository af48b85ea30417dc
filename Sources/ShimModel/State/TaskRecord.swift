package import Kernel
package import ShimProtocol

/// What a client asked to connect a process to; empty strings are /dev/null.
package struct StdioPaths: Sendable, Hashable {
    package var stdin: String
    package var stdout: String
    package var stderr: String
    package var terminal: Bool

    package init(stdin: String = "", stdout: String = "", stderr: String = "", terminal: Bool = false) {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.terminal = terminal
    }

    /// True when the client named nothing, as berthd does.
    package var isEmpty: Bool {
        stdin.isEmpty && stdout.isEmpty && stderr.isEmpty
    }
}

/// One process of the table.
package struct ProcessRecord: Sendable {
    /// Where a process is in its life.
    package enum Phase: Sendable, Hashable {
        /// An exec session that has no process yet, or an init process that waits for Start.
        case created
        case running
        /// Reaped; its output is being drained.
        case draining(ProcessExit)
        /// Drained; an init process that waits for the ends of its exec sessions.
        case held(ProcessExit)
        /// The end is published.
        case stopped(ProcessExit)

        /// The end, once the process was reaped.
        package var exit: ProcessExit? {
            switch self {
            case .created, .running: nil
            case .draining(let exit), .held(let exit), .stopped(let exit): exit
            }
        }
    }

    package var phase: Phase
    /// 0 before there is a process.
    package var pid: Int32
    package var startedAt: Timestamp?
    package var stdio: StdioPaths
    /// Calls of Wait that have no answer yet.
    package var waiters: [WaiterID] = []

    package init(phase: Phase = .created, pid: Int32 = 0, stdio: StdioPaths) {
        self.phase = phase
        self.pid = pid
        self.stdio = stdio
    }
}

/// Names a pending call of Wait: a connection of the loop and a stream on it.
package struct WaiterID: Hashable, Sendable {
    package let connection: UInt64
    package let stream: UInt32

    package init(connection: UInt64, stream: UInt32) {
        self.connection = connection
        self.stream = stream
    }
}

/// Something that happened to the task and that others are told.
package struct TaskEvent: Sendable, Hashable {
    /// What happened.
    package enum Kind: Sendable, Hashable {
        case created
        case started
        case execAdded
        case execStarted
        case exited(ProcessExit)
        case outOfMemory
        case paused
        case resumed
        case deleted(ProcessExit?)
        case restartCancelled
        case health(HealthState.Result)
        /// Under a topic of the backend's.
        case syscalls(topic: String, ShimSyscallReport)
    }

    package var kind: Kind
    package var key: ProcessKey
    package var pid: Int32
    /// Only for the end of an init process that will be started again.
    package var restart: PlannedRestart?

    package init(_ kind: Kind, key: ProcessKey = .initial, pid: Int32, restart: PlannedRestart? = nil) {
        self.kind = kind
        self.key = key
        self.pid = pid
        self.restart = restart
    }
}
