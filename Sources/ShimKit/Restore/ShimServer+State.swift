import ContainerIO
import FoundationEssentials
import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// What this shim knows, as a state.
extension ShimServer {
    /// Writes the state's file; under containerd there is none.
    ///
    /// - Parameter announced: events that follow from what the table knows already and that are journaled next.
    func saveState(announcing announced: [ShimEvent] = []) {
        guard configuration.hasJournal, type(of: backend).isRestorable else {
            return
        }
        do throws(BackendError) {
            var state = try state(isComplete: false)
            state.journal.announced = announced
            let bytes = StateDocument.encode(state)
            do throws(KernelError) {
                try StateFile.write(configuration.context.bundle, bytes)
            } catch {
                throw .failed(stage: "state", error)
            }
        } catch {
            // The container goes on; what is lost is that another shim could.
            ShimLog.write("state not written", ("error", error.description))
        }
        descriptorsChanged()
    }

    /// The state as it is between two events.
    ///
    /// - Parameter isComplete: whether what only memory has is in it, for a program that takes this one's place at once.
    /// - Returns: The state.
    /// - Throws: What the backend says when it cannot be restored.
    func state(isComplete: Bool) throws(BackendError) -> ShimState {
        var state = ShimState()
        state.version = StateDocument.versions.newest
        state.required = StateDocument.required
        state.unknownFields = unknownState
        state.backend = information.name
        state.program = CommandLine.arguments.first ?? "shim"
        state.namespace = configuration.context.namespace
        state.shimStartedAt = configuration.startedAt.message
        state.descriptorsGeneration = held.generation
        state.journal = journal.state(isComplete: isComplete)
        state.lastClient = lastClient
        state.createRequest = creation.map { .init($0) } ?? .init()
        state.exitRecordPath = exitRecordPath
        state.startFailure = startFailure ?? ""
        state.seenOutOfMemory = seenOutOfMemory
        if let log = streams.log {
            state.log = ShimLogState(log.snapshot, isComplete: isComplete)
        }
        table.save(to: &state)
        saveProcesses(to: &state, isComplete: isComplete)
        state.restart = ShimRestartState(table.restart, due: restartTimer.flatMap { loop.deadline(of: $0) })
        if let health { state.health = health.saved }
        state.execsDeadline = execsTimer.flatMap { loop.deadline(of: $0) }?.nanosecondsSinceEpoch ?? 0
        if isComplete {
            state.lingering = (lingering + streams.flushing).map { $0.state(isComplete: true) }
            let streams = ([state.initial] + state.execs).map(\.stdio) + state.lingering
            // A program that leaves the mark out would make their clients believe that output is lost.
            if streams.contains(where: { $0.clients.contains(where: \.marksEnd) }) {
                state.required = StateDocument.requiredForMarks
            }
        }
        state.id = configuration.context.id
        state.bundle = configuration.context.bundle
        state.backendState = .init(table.isEmpty ? [] : try backend.state())
        return state
    }

    private func saveProcesses(to state: inout ShimState, isComplete: Bool) {
        if let handle = handles[.initial] {
            handle.save(to: &state.initial, isComplete: isComplete)
        }
        for index in state.execs.indices {
            guard let handle = handles[.exec(state.execs[index].execID)] else { continue }
            handle.save(to: &state.execs[index], isComplete: isComplete)
            let deadline = handle.timeoutTimer.flatMap { loop.deadline(of: $0) }
            state.execs[index].deadline = deadline?.nanosecondsSinceEpoch ?? 0
        }
    }

    /// Everything that is open and goes on in a new program, by name.
    func openDescriptors() -> NamedDescriptors {
        var names = NamedDescriptors()
        names.add(DescriptorName.listener, configuration.listener)
        names.add(DescriptorName.descriptorListener, configuration.descriptorListener)
        names.add(DescriptorName.lock, configuration.lock)
        names.add(DescriptorName.log, streams.log?.snapshot.file)
        for (key, handle) in handles {
            collect(key, handle, into: &names)
            handle.io.collectBehind(into: &names)
        }
        for (index, io) in (lingering + streams.flushing).enumerated() {
            io.collect(DescriptorName.lingering(index), into: &names)
            io.collectBehind(into: &names)
        }
        for (name, descriptor) in backend.heldDescriptors {
            names.add(DescriptorName.backend + name, descriptor)
        }
        return names
    }
}

extension ShimServer.Handle {
    fileprivate func save(to state: inout ShimProcessState, isComplete: Bool) {
        state.startTime = startTime
        state.specification = .init(specification)
        state.timeoutMilliseconds = UInt64(clamping: timeout?.wholeMilliseconds ?? 0)
        state.stdio = io.state(isComplete: isComplete)
    }
}
