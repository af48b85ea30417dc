import ContainerIO
import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// Going on with what another program knew.
extension ShimServer {
    /// Takes over a state; called once, before `run`.
    ///
    /// - Throws: Why the container cannot be gone on with; its processes and the descriptors are as they were.
    func restore(_ restored: RestoredState) throws(StateError) {
        let state = restored.state
        unknownState = state.unknownFields
        table = restored.table
        try table.restoreRestart(state.restart)
        held.advance(beyond: state.descriptorsGeneration)
        lastClient = state.lastClient
        creation = state.createRequest.isEmpty ? nil : Array(state.createRequest)
        exitRecordPath = state.exitRecordPath
        startFailure = state.startFailure.isEmpty ? nil : state.startFailure
        seenOutOfMemory = state.seenOutOfMemory
        try restoreStreams(restored)
        switch restored.way {
        case .upgrade: try restoreJournal(state.journal)
        case .adoption: try recoverJournal(state.journal)
        }
        attachBackend()
        try watchRestored(restored)
        goOn(state)
        saveState()
    }

    private func restoreJournal(_ state: ShimJournalState) throws(StateError) {
        do throws(KernelError) {
            try journal.restore(state)
        } catch {
            throw .failed(error.code, "journal: \(error)")
        }
    }

    private func restoreStreams(_ restored: RestoredState) throws(StateError) {
        let state = restored.state
        if state.hasLog {
            let file = restored.names[DescriptorName.log]
            do throws(StateError) {
                try streams.restoreLog(state.log, file: restored.way == .upgrade ? file : nil)
            } catch {
                guard restored.way == .adoption else { throw error }
                ShimLog.write("log lost", ("error", error.description))
            }
        }
        // Clients of a deleted process are there without any.
        for (index, stdio) in state.lingering.enumerated() {
            linger(try streams.restore(stdio, DescriptorName.lingering(index), restored.names))
        }
        guard state.hasInitial else {
            return
        }
        for process in [state.initial] + state.execs {
            let key = ProcessKey(execID: process.execID)
            let prefix = DescriptorName.process(key)
            let names =
                restored.way == .upgrade
                ? restored.names
                : SalvagedStreams.complete(restored.names, process, prefix, holders: { backend.streamHolders })
            let handle = Handle(io: try streams.restore(process.stdio, prefix, names))
            handle.process = restored.processes[key]
            handle.isGone = restored.gone.contains(key)
            handle.specification = Array(process.specification)
            handle.startTime = process.startTime
            if process.timeoutMilliseconds > 0 {
                handle.timeout = .milliseconds(Int64(clamping: min(process.timeoutMilliseconds, 31_536_000_000)))
            }
            handles[key] = handle
        }
    }

    /// Watches what runs; what has ended meanwhile ends now.
    private func watchRestored(_ restored: RestoredState) throws(StateError) {
        for (key, handle) in handles where handle.process != nil {
            guard let record = try? table.record(key), record.phase.exit == nil else {
                continue
            }
            if restored.way == .adoption, record.phase == .created {
                startFailure = "its shim died before it was started"
            }
            if handle.isGone {
                awaitReport(key, handle, "process \(record.pid) ended while no shim was there")
                continue
            }
            do throws(KernelError) {
                try watch(key, handle)
            } catch {
                throw .failed(error.code, "watch process \(record.pid): \(error)")
            }
        }
    }

    /// Continues what was under way: output that is drained, sessions that are waited for, a restart.
    private func goOn(_ state: ShimState) {
        for key in handles.keys {
            if case .draining = try? table.record(key).phase {
                drain(key)
            }
        }
        let now = Clock.monotonic.now
        for process in state.execs where process.deadline != 0 {
            guard let handle = handles[.exec(process.execID)], handle.watch != nil,
                let deadline = Timestamp(monotonicNanoseconds: process.deadline)
            else { continue }
            limit(process.execID, handle, to: max(.zero, deadline - now))
        }
        restoreHealth(state.health)
        if case .held = table.initial?.phase {
            let deadline = Timestamp(monotonicNanoseconds: state.execsDeadline)
            awaitExecs(for: deadline.map { max(.zero, min($0 - now, ShimLimits.execs)) } ?? ShimLimits.execs)
        }
        if case .waiting(let planned) = table.restart.phase {
            let due = Timestamp(monotonicNanoseconds: state.restart.due)
            planRestart(after: due.map { max(.zero, min($0 - now, planned.delay)) } ?? planned.delay)
        }
    }
}
