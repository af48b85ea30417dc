import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// What a shim that died has decided and could not carry out.
extension ShimServer {
    /// Reads the journal's file, and does what the state had announced and is not there: each event exactly once.
    func recoverJournal(_ state: ShimJournalState) throws(StateError) {
        let written: [ShimEvent]
        do throws(KernelError) {
            let found = try journal.recover(state, path: configuration.context.bundle + "/journal")
            written = found.events
            if let damage = found.damage { tell(damage) }
        } catch {
            throw .failed(error.code, "journal: \(error)")
        }
        // Only where the state could not be written does the journal know more: what it has told is not told again.
        for event in written where event.seq > state.lastSeq {
            if let event = TaskEvent(event), case .exited(let exit) = event.kind {
                table.settle(event.key, exit, pid: event.pid)
            }
        }
        for event in state.announced where event.seq > journal.lastSeq {
            if event.execID.isEmpty, let end = TaskEvent(event), case .exited(let exit) = end.kind {
                writeExitRecord(exit, pid: end.pid)
            }
            if let error = journal.complete(event) {
                ShimLog.write("journal failed", ("error", error.description))
            }
        }
    }
}

/// Finds streams again whose descriptors nobody has held.
enum SalvagedStreams {
    /// What there is of a process's streams, with those that its own descriptors lead to.
    ///
    /// The pipe of an output lives as long as a process that writes to it: its end for the process is a reader too. That is the same
    /// pipe if it has the number that the state names; what a process has put into its place since is not read.
    static func complete(
        _ names: NamedDescriptors,
        _ process: ShimProcessState,
        _ prefix: String,
        holders: () -> [Int32]
    ) -> NamedDescriptors {
        var names = names
        guard process.stdio.started, !process.stdio.nothing else {
            return names
        }
        if process.stdio.terminal {
            if names[prefix + "terminal"] == nil {
                ShimLog.write("terminal lost", ("process", prefix))
            }
            return names
        }
        for output in process.stdio.outputs where !output.ended {
            let name = prefix + (output.stream == 1 ? "stdout" : "stderr")
            add(
                name,
                output.inode,
                [.read, .nonBlocking],
                Int32(clamping: output.stream),
                process,
                holders,
                to: &names
            )
        }
        if process.stdio.input.open, process.stdio.hasInput_p || process.stdio.hasWriter_p {
            add(prefix + "stdin", process.stdio.input.inode, [.write, .nonBlocking], 0, process, holders, to: &names)
        }
        return names
    }

    private static func add(
        _ name: String,
        _ inode: UInt64,
        _ flags: OpenFlags,
        _ number: Int32,
        _ process: ShimProcessState,
        _ holders: () -> [Int32],
        to names: inout NamedDescriptors
    ) {
        guard names[name] == nil else {
            return
        }
        let pid = Int32(clamping: process.pid)
        let own = pipe(inode, of: pid, startTime: process.startTime, first: number, flags)
        let other = own == nil ? holders().lazy.compactMap { pipe(inode, of: $0, first: number, flags) }.first : nil
        guard let found = own ?? other else {
            return ShimLog.write("stream lost", ("name", name))
        }
        names.add(name, found)
        ShimLog.write("stream found again", ("name", name), ("pid", String(pid)))
    }

    /// A pipe among the descriptors of a process: at the number where it was given, else anywhere; nil `startTime` for whoever has the number.
    private static func pipe(
        _ inode: UInt64,
        of pid: Int32,
        startTime: UInt64? = nil,
        first: Int32,
        _ flags: OpenFlags
    ) -> SharedDescriptor? {
        let directory = "/proc/\(pid)/fd"
        guard inode != 0, startTime == nil || (try? ProcessFacts.startTime(of: pid)) == startTime,
            let entries = try? File.open(directory, .directory).readDirectory()
        else {
            return nil
        }
        for name in [String(first)] + entries.map(\.name) {
            let path = "\(directory)/\(name)"
            // Looked at by name before it is opened: opening something else could have effects.
            guard let status = try? File.status(path, follow: true), status.kind == .fifo, status.inode == inode,
                let pipe = try? File.open(path, flags), (try? pipe.status().inode) == inode
            else {
                continue
            }
            return SharedDescriptor(pipe)
        }
        return nil
    }
}
