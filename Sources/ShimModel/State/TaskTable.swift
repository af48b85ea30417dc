package import Kernel
package import ShimProtocol

/// The life of a container and of its exec sessions as a value, without I/O.
///
/// The loop asks before it acts (`check…`), acts, and reports what became of it; the table answers with effects for the loop
/// to carry out in order. Rules that it keeps:
/// - a process is reaped, then drained, then published, exactly once;
/// - the init process is published after every exec session that had a process;
/// - a Wait is answered after the end is published, also one that comes later.
package struct TaskTable: Sendable {
    /// What the loop has to do next, in order.
    package enum Effect: Sendable, Hashable {
        /// Kill every process that is left in the container.
        case killAll
        /// Finish the output of a reaped process within the time for it, then call `drained`.
        case drain(ProcessKey)
        /// Make the end of the init process durable.
        case writeExitRecord(ProcessExit, pid: Int32)
        /// Journal the event and tell whoever listens.
        case publish(TaskEvent)
        /// Answer these calls of Wait.
        case answer([WaiterID], ProcessExit)
        /// Exec sessions outlive the init process: wait for them within a bound, then call `abandonExecs`.
        case awaitExecs
        /// Call `restartDue` after this time, and create and start the container again if it says so.
        case planRestart(after: Duration)
        /// Forget the planned restart.
        case cancelRestart
    }

    /// The container as a whole.
    package enum Activity: Sendable, Hashable {
        case active
        case paused
    }

    package private(set) var id = ""
    package private(set) var bundle = ""
    package internal(set) var activity = Activity.active
    package internal(set) var initial: ProcessRecord?
    package internal(set) var execs: [String: ProcessRecord] = [:]
    package internal(set) var restart = RestartState()

    package init() {}

    /// True when nothing is left that a shutdown would lose.
    package var isEmpty: Bool {
        initial == nil
    }

    // Create and start ------------------------------------------------------------------------------------------------

    /// Whether a container may be created now.
    package func checkCreate() throws(RPCError) {
        guard initial == nil else {
            throw .alreadyExists("container already created")
        }
    }

    /// The init process exists and waits for Start.
    package mutating func created(
        id: String,
        bundle: String,
        pid: Int32,
        stdio: StdioPaths,
        restart: RestartState = RestartState()
    ) -> [Effect] {
        self.id = id
        self.restart = restart
        self.bundle = bundle
        initial = ProcessRecord(pid: pid, stdio: stdio)
        return [.publish(TaskEvent(.created, pid: pid))]
    }

    /// Takes over what another table knew of the container and its init process.
    mutating func restore(id: String, bundle: String, activity: Activity, initial: ProcessRecord) {
        self.id = id
        self.bundle = bundle
        self.activity = activity
        self.initial = initial
    }

    /// Registers an exec session that has no process yet.
    package mutating func addExec(_ execID: String, stdio: StdioPaths) throws(RPCError) -> [Effect] {
        let initial = try initialRecord()
        guard execs[execID] == nil else {
            throw .alreadyExists("exec session \(execID) exists")
        }
        guard initial.phase.exit == nil else {
            throw .failedPrecondition("cannot exec in a stopped container")
        }
        guard activity == .active else {
            throw Self.refusal("cannot exec in a paused state")
        }
        execs[execID] = ProcessRecord(stdio: stdio)
        return [.publish(TaskEvent(.execAdded, key: .exec(execID), pid: 0))]
    }

    /// Whether a process may be started now.
    package func checkStart(_ key: ProcessKey) throws(RPCError) {
        let initial = try initialRecord()
        let record = try record(key)
        if key != .initial {
            guard initial.phase == .running else {
                throw .failedPrecondition("cannot start an exec session: the container does not run")
            }
            guard activity == .active else {
                throw Self.refusal("cannot exec in a paused state")
            }
        }
        guard record.phase == .created else {
            throw Self.refusal("cannot start a \(record.phase.name) process")
        }
    }

    /// A process runs.
    package mutating func started(_ key: ProcessKey, pid: Int32, at time: Timestamp) -> [Effect] {
        update(key) { record in
            record.phase = .running
            record.pid = pid
            record.startedAt = time
        }
        if key == .initial {
            restart.started()
        }
        let kind: TaskEvent.Kind = key == .initial ? .started : .execStarted
        return [.publish(TaskEvent(kind, key: key, pid: pid))]
    }

    /// An exec session got no process.
    ///
    /// It is over; nobody was told of a start, so nobody is told of an end.
    package mutating func execFailed(_ execID: String, reason: String, at time: Timestamp) -> [Effect] {
        let exit = ProcessExit(status: .unknown(reason), startedAt: nil, exitedAt: time)
        return finish(.exec(execID), exit)
    }

    // State -----------------------------------------------------------------------------------------------------------

    /// The record of the init process.
    package func initialRecord() throws(RPCError) -> ProcessRecord {
        guard let initial else {
            throw .notFound("container not created")
        }
        return initial
    }

    /// The record of a process.
    package func record(_ key: ProcessKey) throws(RPCError) -> ProcessRecord {
        switch key {
        case .initial:
            return try initialRecord()
        case .exec(let id):
            _ = try initialRecord()
            guard let record = execs[id] else {
                throw .notFound("exec session \(id) not found")
            }
            return record
        }
    }

    /// The state that clients see.
    ///
    /// A process whose output is still being drained counts as running: it becomes stopped when its end is published.
    package func status(_ key: ProcessKey) throws(RPCError) -> TaskStatus {
        switch try record(key).phase {
        case .created: .created
        case .running, .draining, .held: activity == .paused ? .paused : .running
        case .stopped: .stopped
        }
    }

    /// Registers a call of Wait.
    ///
    /// - Returns: The end when it is published already; nil when the call is now pending.
    package mutating func wait(_ key: ProcessKey, _ waiter: WaiterID) throws(RPCError) -> ProcessExit? {
        if case .stopped(let exit) = try record(key).phase {
            return exit
        }
        update(key) { $0.waiters.append(waiter) }
        return nil
    }

    /// Forgets one pending call.
    package mutating func forget(_ waiter: WaiterID) {
        initial?.waiters.removeAll { $0 == waiter }
        for id in execs.keys {
            execs[id]?.waiters.removeAll { $0 == waiter }
        }
    }

    /// Forgets the pending calls of a connection that has gone.
    package mutating func forgetWaiters(of connection: UInt64) {
        initial?.waiters.removeAll { $0.connection == connection }
        for id in execs.keys {
            execs[id]?.waiters.removeAll { $0.connection == connection }
        }
    }

    // Signals, freezing ------------------------------------------------------------------------------------------------

    /// Whether a process can get a signal now.
    package func checkKill(_ key: ProcessKey) throws(RPCError) {
        let record = try record(key)
        guard record.phase.exit == nil, record.pid != 0 else {
            throw .notFound("process already finished")
        }
    }

    /// Whether the container can be frozen now.
    package func checkPause() throws(RPCError) {
        let initial = try initialRecord()
        guard initial.phase == .running else {
            throw Self.refusal("cannot pause task in \(initial.phase.name) state")
        }
        guard activity == .active else {
            throw Self.refusal("cannot pause a paused container")
        }
    }

    /// Whether the container can be thawed now.
    package func checkResume() throws(RPCError) {
        let initial = try initialRecord()
        guard initial.phase == .running else {
            throw Self.refusal("cannot resume task in \(initial.phase.name) state")
        }
        guard activity == .paused else {
            throw Self.refusal("cannot resume a running container")
        }
    }

    /// The container is frozen.
    package mutating func paused() -> [Effect] {
        activity = .paused
        return [.publish(TaskEvent(.paused, pid: initial?.pid ?? 0))]
    }

    /// The container is thawed.
    package mutating func resumed() -> [Effect] {
        activity = .active
        return [.publish(TaskEvent(.resumed, pid: initial?.pid ?? 0))]
    }

    // Helpers -----------------------------------------------------------------------------------------------------------

    /// What the states do not allow: a plain error, as containerd's clients expect it.
    static func refusal(_ message: String) -> RPCError {
        .failedPrecondition(message)
    }

    mutating func update(_ key: ProcessKey, _ change: (inout ProcessRecord) -> Void) {
        switch key {
        case .initial:
            if var record = initial {
                change(&record)
                initial = record
            }
        case .exec(let id):
            if var record = execs[id] {
                change(&record)
                execs[id] = record
            }
        }
    }
}

extension ProcessRecord.Phase {
    /// The word for messages.
    package var name: String {
        switch self {
        case .created: "created"
        case .running, .draining, .held: "running"
        case .stopped: "stopped"
        }
    }
}
