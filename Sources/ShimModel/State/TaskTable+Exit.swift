package import Kernel
package import ShimProtocol

// From the end of a process to its deletion.
extension TaskTable {
    /// The container is about to end after a run that begins a crash loop anew, if there is one.
    package mutating func ranSteadily() {
        restart.ranSteadily()
    }

    /// A process was reaped.
    ///
    /// Its output is drained next. `oomOwner` is the cgroup whose limit had it killed, empty when that is not known; nil when none had.
    package mutating func reaped(
        _ key: ProcessKey,
        _ status: ProcessExit.Status,
        at time: Timestamp,
        oomOwner: String?,
        timedOut: Bool = false
    )
        -> [Effect]
    {
        guard let record = try? record(key), record.phase.exit == nil else {
            // Deleted by force or reaped before: there is nobody to tell.
            return []
        }
        var exit = ProcessExit(
            status: status,
            startedAt: record.startedAt,
            exitedAt: time,
            oomKilled: oomOwner != nil,
            oomOwner: oomOwner ?? ""
        )
        exit.timedOut = timedOut
        update(key) { $0.phase = .draining(exit) }
        var effects: [Effect] = []
        if oomOwner != nil {
            effects.append(.publish(TaskEvent(.outOfMemory, key: key, pid: record.pid)))
        }
        if key == .initial {
            effects.append(.killAll)
        }
        effects.append(.drain(key))
        return effects
    }

    /// The output of a reaped process is complete, or the time for it is over.
    package mutating func drained(_ key: ProcessKey) -> [Effect] {
        guard case .draining(let exit) = try? record(key).phase else {
            return []
        }
        switch key {
        case .exec:
            return finish(key, exit) + releaseInitial()
        case .initial:
            update(key) { $0.phase = .held(exit) }
            let released = releaseInitial()
            return released.isEmpty ? [.awaitExecs] : released
        }
    }

    /// The bound for exec sessions after the init process is over: those that remain end as unknown.
    package mutating func abandonExecs(at time: Timestamp) -> [Effect] {
        var effects: [Effect] = []
        for id in execs.keys.sorted() where execs[id].map(Self.isAlive) == true {
            let record = execs[id]
            let exit =
                record?.phase.exit
                ?? ProcessExit(
                    status: .unknown("still alive after the end of the container"),
                    startedAt: record?.startedAt,
                    exitedAt: time
                )
            effects += finish(.exec(id), exit)
        }
        return effects + releaseInitial()
    }

    /// Publishes the held end of the init process when no exec session is left.
    private mutating func releaseInitial() -> [Effect] {
        guard case .held(let exit) = initial?.phase, !execs.values.contains(where: Self.isAlive) else {
            return []
        }
        // Sessions without a process can never start now.
        var effects: [Effect] = []
        for id in execs.keys.sorted() where execs[id]?.phase == .created {
            effects += execFailed(id, reason: "the container ended before the session was started", at: exit.exitedAt)
        }
        return effects + finish(.initial, exit)
    }

    /// Marks the end of a process, publishes it, and plans what the policy wants.
    mutating func finish(_ key: ProcessKey, _ end: ProcessExit) -> [Effect] {
        guard let record = try? record(key) else {
            return []
        }
        var (exit, planned) = (end, PlannedRestart?.none)
        var effects: [Effect] = []
        if key == .initial {
            exit.restartCount = restart.count
            planned = restart.ended(exit)
            effects.append(.writeExitRecord(exit, pid: record.pid))
        }
        // The end of an init process without a process is that of a restart, whose beginning everybody knows.
        if record.pid != 0 || key == .initial {
            effects.append(.publish(TaskEvent(.exited(exit), key: key, pid: record.pid, restart: planned)))
        }
        if !record.waiters.isEmpty {
            effects.append(.answer(record.waiters, exit))
        }
        update(key) { record in
            record.phase = .stopped(exit)
            record.waiters = []
        }
        if let planned {
            effects.append(.planRestart(after: planned.delay))
        }
        return effects
    }

    private static func isAlive(_ record: ProcessRecord) -> Bool {
        switch record.phase {
        case .running, .draining, .held: true
        case .created, .stopped: false
        }
    }

    // Delete ------------------------------------------------------------------------------------------------------------

    /// Whether a process may be deleted now: one that runs may not.
    ///
    /// - Returns: True when the init process was created and never started, so that it has to be killed first.
    package func checkDelete(_ key: ProcessKey) throws(RPCError) -> Bool {
        switch try record(key).phase {
        case .created: return key == .initial
        case .stopped: return false
        case .running, .draining, .held: throw Self.refusal("cannot delete a running process")
        }
    }

    /// The process is gone from the table.
    ///
    /// - Returns: What Delete answers, and the effects. Pending waits are answered as unknown.
    package mutating func deleted(
        _ key: ProcessKey,
        at time: Timestamp
    ) throws(RPCError) -> (pid: Int32, exit: ProcessExit, effects: [Effect]) {
        let record = try record(key)
        let exit =
            record.phase.exit
            ?? ProcessExit(status: .unknown("deleted before it was started"), startedAt: nil, exitedAt: time)
        var effects: [Effect] = []
        if !record.waiters.isEmpty {
            effects.append(.answer(record.waiters, exit))
        }
        switch key {
        case .initial:
            for id in execs.keys.sorted() {
                if let waiters = execs[id]?.waiters, !waiters.isEmpty {
                    effects.append(.answer(waiters, exit))
                }
            }
            initial = nil
            execs = [:]
            activity = .active
            effects.append(contentsOf: restart.stop() ? [.cancelRestart] : [])
            effects.append(.publish(TaskEvent(.deleted(exit), pid: record.pid)))
        case .exec(let id):
            execs[id] = nil
        }
        return (record.pid, exit, effects)
    }
}
