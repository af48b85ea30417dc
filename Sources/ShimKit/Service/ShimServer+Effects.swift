import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// Carries out what the task table decides.
extension ShimServer {
    /// Writes down what the table has decided, then carries out effects in order.
    ///
    /// Whatever of the effects a crash prevents, a successor does: the state says which events are to follow.
    func perform(_ effects: [TaskTable.Effect]) {
        guard !effects.isEmpty else {
            return
        }
        if effects.contains(where: \.isEndOfContainer) { backend.endIsNear() }
        let now = Timestamp.now
        if configuration.hasJournal {
            saveState(announcing: announced(effects, at: now))
        }
        for effect in effects {
            perform(effect, at: now)
        }
    }

    /// The events among `effects`, as the journal will have them.
    func announced(_ effects: [TaskTable.Effect], at time: Timestamp) -> [ShimEvent] {
        var events: [ShimEvent] = []
        for case .publish(let event) in effects {
            let seq = journal.lastSeq + UInt64(events.count) + 1
            events.append(event.message(seq: seq, time: time, containerID: table.id))
        }
        return events
    }

    private func perform(_ effect: TaskTable.Effect, at time: Timestamp) {
        switch effect {
        case .killAll:
            do throws(BackendError) {
                try backend.killAll(signal: .kill)
            } catch {
                ShimLog.write("kill of what is left failed", ("error", error.description))
            }
        case .drain(let key):
            drain(key)
        case .writeExitRecord(let exit, let pid):
            writeExitRecord(exit, pid: pid)
        case .publish(let event):
            publish(event, at: time)
            followHealth(event)
            if event.key == .initial, case .exited = event.kind { answerFailedStart() }
        case .answer(let waiters, let exit):
            for waiter in waiters {
                answer(waiter, .success(exit.waitResponse.bytes))
            }
        case .awaitExecs:
            awaitExecs(for: ShimLimits.execs)
        case .planRestart(let delay):
            planRestart(after: delay)
        case .cancelRestart:
            if let restartTimer { loop.cancel(restartTimer) }
            restartTimer = nil
        }
    }

    /// Gives exec sessions up that are still there after this time.
    func awaitExecs(for time: Duration) {
        execsTimer = loop.after(time) { [weak self] in
            guard let self else { return }
            execsTimer = nil
            perform(table.abandonExecs(at: .now))
        }
    }

    /// Starts the container again after this time.
    func planRestart(after delay: Duration) {
        restartTimer = loop.after(delay) { [weak self] in
            self?.restartTimer = nil
            self?.restart()
        }
    }

    // Exits -------------------------------------------------------------------------------------------------------------

    /// Watches a process for its end.
    func watch(_ key: ProcessKey, _ handle: Handle) throws(KernelError) {
        guard let process = handle.process, handle.watch == nil else {
            return
        }
        if handle.startTime == 0 {
            // One that cannot be told has ended, and its number is not trusted any more.
            handle.startTime = (try? ProcessFacts.startTime(of: process.pid)) ?? 0
        }
        handle.watch = try loop.watch(process.pidfd.raw, .readable) { [weak self] readiness in
            self?.reap(key, readiness)
        }
    }

    /// Reaps a process whose pidfd is readable.
    func reap(_ key: ProcessKey, _ readiness: Readiness) {
        guard let handle = handles[key], let process = handle.process, handle.watch != nil else {
            return
        }
        if let status = backend.exitStatus(of: process) {
            return ended(key, .init(status))
        }
        do throws(KernelError) {
            guard let status = try Pidfd.reapIfEnded(process.pidfd.raw) else {
                return
            }
            ended(key, .init(status))
        } catch  where error.errno == .noChild {
            foreignEnd(key, handle, process, readiness)
        } catch {
            ended(key, .unknown("reap process \(process.pid): \(error)"))
        }
    }

    /// A process has ended and was reaped.
    func ended(_ key: ProcessKey, _ status: ProcessExit.Status) {
        guard let handle = handles[key] else {
            return
        }
        stopWatching(handle)
        // What a process leaves that never ran its program is not the program's status.
        let failure = key == .initial ? startFailure : nil
        let truth = failure.map { ProcessExit.Status.unknown("start failed: \($0)") } ?? status
        if key == .initial { health?.end() }
        if key == .initial, handle.age >= RestartState.steadyRun { table.ranSteadily() }
        let oom = takeOutOfMemory(status)
        perform(table.reaped(key, truth, at: .now, oomOwner: oom?.owner, timedOut: handle.timedOut))
        if key != .initial, let process = handle.process { backend.ended(process) }
    }

    /// The verdict for a process that was killed: whether the kernel's killer has struck since the last look.
    private func takeOutOfMemory(_ status: ProcessExit.Status) -> OutOfMemory? {
        guard status == .signal(Signal.kill.rawValue) else {
            return nil
        }
        let report = backend.outOfMemory()
        guard report.kills > seenOutOfMemory else {
            return nil
        }
        seenOutOfMemory = report.kills
        return report
    }

    func drain(_ key: ProcessKey) {
        guard let handle = handles[key] else {
            return perform(table.drained(key))
        }
        handle.io.finish { [weak self] in
            // The callback may come from inside of a stream's own handler.
            self?.loop.soon { [weak self] in
                guard let self else { return }
                perform(table.drained(key))
            }
        }
    }

    /// Writes how the container ended; what a full disk refuses is tried again until there is room, or nobody needs it.
    ///
    /// Until then the journal has it, which is on another file system.
    func writeExitRecord(_ exit: ProcessExit, pid: Int32) {
        forgetExitRecord()
        guard !exitRecordPath.isEmpty else {
            return
        }
        do throws(KernelError) {
            try ExitRecord.write(exitRecordPath, id: table.id, pid: pid, exit: exit)
        } catch {
            ShimLog.write("exit record failed", ("path", exitRecordPath), ("error", error.description))
            retryExitRecord(exit, pid: pid)
        }
    }

    private func retryExitRecord(_ exit: ProcessExit, pid: Int32) {
        recordTimer = loop.after(.seconds(1)) { [weak self] in
            guard let self else { return }
            do throws(KernelError) {
                try ExitRecord.write(exitRecordPath, id: table.id, pid: pid, exit: exit)
                recordTimer = nil
                ShimLog.write("exit record written at last", ("path", exitRecordPath))
            } catch {
                retryExitRecord(exit, pid: pid)
            }
        }
    }

    /// The record that could not be written is not needed any more.
    func forgetExitRecord() {
        if let recordTimer { loop.cancel(recordTimer) }
        recordTimer = nil
    }

    // Events ------------------------------------------------------------------------------------------------------------

    func publish(_ event: TaskEvent, at now: Timestamp) {
        if configuration.hasJournal {
            if let error = journal.append(event, containerID: table.id, at: now) {
                ShimLog.write("journal failed", ("error", error.description))
            }
            answerPolls()
        }
        if let publisher {
            forward(event, to: publisher, at: now)
        }
    }

    private func forward(_ event: TaskEvent, to publisher: EventPublisher, at time: Timestamp) {
        let containerID = table.id
        let pid = UInt32(event.pid)
        switch event.kind {
        case .created:
            publisher.publish(event.topic, createdMessage(pid: pid), at: time)
        case .started:
            publisher.publish(
                event.topic,
                EventTaskStart.with { ($0.containerID, $0.pid) = (containerID, pid) },
                at: time
            )
        case .execAdded:
            let message = EventTaskExecAdded.with { ($0.containerID, $0.execID) = (containerID, event.key.execID) }
            publisher.publish(event.topic, message, at: time)
        case .execStarted:
            let message = EventTaskExecStarted.with {
                ($0.containerID, $0.execID, $0.pid) = (containerID, event.key.execID, pid)
            }
            publisher.publish(event.topic, message, at: time)
        case .exited(let exit):
            publisher.publish(event.topic, exitMessage(event, exit), at: time)
        case .deleted(let exit):
            publisher.publish(event.topic, deleteMessage(event, exit), at: time)
        case .outOfMemory:
            publisher.publish(event.topic, EventTaskOOM.with { $0.containerID = containerID }, at: time)
        case .paused:
            publisher.publish(event.topic, EventTaskPaused.with { $0.containerID = containerID }, at: time)
        case .resumed:
            publisher.publish(event.topic, EventTaskResumed.with { $0.containerID = containerID }, at: time)
        case .restartCancelled, .health, .syscalls:
            // containerd plans no restarts, looks after health by itself and keeps no profiles.
            break
        }
    }

    private func createdMessage(pid: UInt32) -> EventTaskCreate {
        let stdio = table.initial?.stdio ?? StdioPaths()
        return EventTaskCreate.with { message in
            message.containerID = table.id
            message.bundle = table.bundle
            message.pid = pid
            message.io.stdin = stdio.stdin
            message.io.stdout = stdio.stdout
            message.io.stderr = stdio.stderr
            message.io.terminal = stdio.terminal
        }
    }

    private func exitMessage(_ event: TaskEvent, _ exit: ProcessExit) -> EventTaskExit {
        EventTaskExit.with { message in
            message.containerID = table.id
            message.id = event.key == .initial ? table.id : event.key.execID
            message.pid = UInt32(event.pid)
            message.exitStatus = exit.number
            message.exitedAt = exit.exitedAt.message
        }
    }

    private func deleteMessage(_ event: TaskEvent, _ exit: ProcessExit?) -> EventTaskDelete {
        EventTaskDelete.with { message in
            message.containerID = table.id
            message.pid = UInt32(event.pid)
            message.id = table.id
            if let exit {
                message.exitStatus = exit.number
                message.exitedAt = exit.exitedAt.message
            }
        }
    }
}

extension TaskTable.Effect {
    /// Whether it tells of the end of the init process.
    fileprivate var isEndOfContainer: Bool {
        guard case .publish(let event) = self, case .exited = event.kind else { return false }
        return event.key == .initial
    }
}

extension ProcessExit {
    /// What Wait answers.
    var waitResponse: TaskWaitResponse {
        TaskWaitResponse.with { response in
            response.exitStatus = number
            response.exitedAt = exitedAt.message
        }
    }
}
