package import Kernel
package import ShimProtocol
package import SwiftProtobuf

// The table as a state, and back.

extension TaskTable {
    /// Puts the processes into a state; what is outside of the table is left as it is.
    package func save(to state: inout ShimState) {
        state.id = id
        state.bundle = bundle
        state.paused = activity == .paused
        if let initial {
            state.initial = initial.state("")
        }
        state.execs = execs.keys.sorted().compactMap { id in execs[id]?.state(id) }
    }

    /// The table of a state.
    ///
    /// - Throws: `invalidArgument` when a process is in no phase that exists, or an id is there twice or is none.
    package init(_ state: ShimState) throws(StateError) {
        self.init()
        guard state.hasInitial else {
            return
        }
        try restore(
            id: state.id,
            bundle: state.bundle,
            activity: state.paused ? .paused : .active,
            initial: ProcessRecord(state.initial)
        )
        for exec in state.execs {
            guard Identifier.isValid(exec.execID), execs[exec.execID] == nil else {
                throw .damaged("exec session '\(exec.execID)' is no id or is there twice")
            }
            execs[exec.execID] = try ProcessRecord(exec)
        }
    }
}

extension TaskTable {
    /// An end that everybody has been told of.
    package mutating func settle(_ key: ProcessKey, _ exit: ProcessExit, pid: Int32) {
        update(key) { record in
            guard record.pid == pid else { return }
            record.phase = .stopped(exit)
        }
    }
}

extension ProcessRecord {
    fileprivate func state(_ execID: String) -> ShimProcessState {
        var state = ShimProcessState()
        state.execID = execID
        state.pid = UInt32(pid)
        if let startedAt {
            state.startedAt = startedAt.message
        }
        (state.stdin, state.stdout, state.stderr) = (stdio.stdin, stdio.stdout, stdio.stderr)
        state.terminal = stdio.terminal
        if let exit = phase.exit {
            state.exit = exit.message
        }
        state.phase =
            switch phase {
            case .created: .created
            case .running: .running
            case .draining: .draining
            case .held: .held
            case .stopped: .stopped
            }
        return state
    }

    fileprivate init(_ state: ShimProcessState) throws(StateError) {
        guard let pid = Int32(exactly: state.pid) else {
            throw .damaged("process number \(state.pid)")
        }
        let paths = StdioPaths(
            stdin: state.stdin,
            stdout: state.stdout,
            stderr: state.stderr,
            terminal: state.terminal
        )
        self.init(phase: try Self.phase(state), pid: pid, stdio: paths)
        startedAt = state.hasStartedAt ? Timestamp(state.startedAt) : nil
    }

    private static func phase(_ state: ShimProcessState) throws(StateError) -> Phase {
        switch state.phase {
        case .created: return .created
        case .running: return .running
        case .draining: return .draining(try ProcessExit(state.exit))
        case .held: return .held(try ProcessExit(state.exit))
        case .stopped: return .stopped(try ProcessExit(state.exit))
        case .unknown, .UNRECOGNIZED: throw .damaged("process '\(state.execID)' is in phase \(state.phase.rawValue)")
        }
    }
}

extension ProcessExit {
    /// The end that a message tells of.
    ///
    /// - Throws: `invalidArgument` when it tells of none.
    package init(_ message: ShimExitStatus) throws(StateError) {
        let status: Status
        switch message.status {
        case .code(let code):
            guard let code = UInt8(exactly: code) else { throw .damaged("exit code \(code)") }
            status = .code(code)
        case .signal(let signal):
            guard (1...64).contains(signal) else { throw .damaged("signal \(signal)") }
            status = .signal(Int32(signal))
        case .unknown(let reason): status = .unknown(reason)
        case nil: throw .damaged("a process that has ended, nobody says how")
        }
        self.init(
            status: status,
            startedAt: message.hasStartedAt ? Timestamp(message.startedAt) : nil,
            exitedAt: Timestamp(message.exitedAt),
            oomKilled: message.oomKilled,
            oomOwner: message.oomOwner
        )
        restartCount = message.restartCount
    }
}

extension Timestamp {
    /// The time of a message; nanoseconds that cannot be are none.
    package init(_ message: Google_Protobuf_Timestamp) {
        self.init(seconds: message.seconds, nanoseconds: UInt32(clamping: min(max(message.nanos, 0), 999_999_999)))
    }

    /// A time of the monotonic clock; nil for 0.
    package init?(monotonicNanoseconds nanoseconds: Int64) {
        guard nanoseconds > 0 else {
            return nil
        }
        self.init(seconds: nanoseconds / 1_000_000_000, nanoseconds: UInt32(nanoseconds % 1_000_000_000))
    }
}
