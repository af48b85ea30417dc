import Kernel
import NativeContainer
import OCISpec
import Sandbox

extension Runtime {
    func run(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let isDetached = arguments.has("detach")
        let foreground = isDetached ? nil : try Foreground()
        let created = try create(arguments, showsTerminal: !isDetached)
        do throws(RuntimeError) { try start(created.directory) } catch {
            // The first error is what matters.
            _ = try? remove(created.directory)
            throw error
        }
        guard let foreground else { return 0 }
        // Others may pause, change or even delete it from now on.
        created.directory.unlock()
        let status = try foreground.wait(for: created.container.process, terminal: created.terminal)
        guard !arguments.has("keep") else { return status }
        do throws(RuntimeError) {
            try created.directory.lock()
            try remove(created.directory)
        } catch  where error.code == .notFound {
            // Somebody was faster.
        }
        return status
    }

    func delete(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let id = try id(arguments)
        let isForced = arguments.has("force")
        do throws(RuntimeError) {
            let directory = try store.open(id)
            if isForced { try killAndWait(directory) }
            try directory.lock()
            guard directory.hasRecord else {
                // Left by a command that was killed before it had made anything.
                try directory.remove()
                return 0
            }
            let record = try directory.read()
            let status = try status(directory, record, locked: true)
            guard status == .stopped else {
                throw .forbidden("cannot delete container '\(id)' that is not stopped: it is \(status.rawValue)")
            }
            try remove(directory)
        } catch {
            // Whoever forces wants it gone, and it is.
            guard isForced, error.code == .notFound else { throw error }
        }
        return 0
    }

    /// Kills a container, whoever else is busy with it.
    private func killAndWait(_ directory: ContainerDirectory) throws(RuntimeError) {
        guard directory.hasRecord else { return }
        let record = try directory.read()
        guard let container = try attach(directory, record, directory.configuration()) else { return }
        do throws(NativeError) {
            try container.signal(.kill, ownsProcesses: record.ownsProcesses)
        } catch  where error.code == .failedPrecondition {
            return
        } catch {
            throw RuntimeError(error)
        }
        let hasEnded = try kernel { () throws(KernelError) in
            try !container.process.pidfd.poll(for: .readable, timeout: .seconds(10)).isEmpty
        }
        guard hasEnded else { throw .forbidden("container '\(record.id)' does not end within 10 s of being killed") }
    }

    /// Removes what is left of a container; the caller holds its lock.
    func remove(_ directory: ContainerDirectory) throws(RuntimeError) {
        let record = try directory.read()
        let specification = try directory.configuration()
        let failures = try native { () throws(NativeError) in
            try NativeContainer.delete(
                id: record.id,
                specification: specification,
                bundle: record.bundle,
                cgroup: record.cgroup,
                owner: record.groupOwner,
                helper: record.usesSystemd ? Self.scopeHelper : nil
            )
        }
        for failure in failures { log.warning("\(failure)") }
        try directory.remove()
    }
}
