package import EngineModel
package import Kernel

extension ShimProcess {
    /// Whether a bundle has a shim, as far as that can be seen without asking it.
    package enum Found: Sendable {
        /// It is there; not recorded is one that somebody started who did not live to write that down.
        case alive(ShimProcess, SharedDescriptor, isRecorded: Bool)
        /// It has been there, and is no more.
        case gone
        /// Nothing says so, or only what somebody has written down: whoever listens on the socket is it.
        case unsaid
    }

    /// What is known of the lock of a bundle, which every shim of ours holds as long as it lives.
    enum Lock {
        /// There is none: the shim is not ours, or has not come so far.
        case none
        /// Nobody holds it.
        case free
        /// This one does.
        case held(ShimProcess, SharedDescriptor)
    }

    /// Looks for the shim of a bundle: the lock first, which nobody can hold in its place; then what was recorded.
    ///
    /// - Throws: `KernelError` when it cannot be known now. That is neither an end nor a life.
    package static func find(_ paths: ContainerPaths) throws(KernelError) -> Found {
        let lock = try lock(paths)
        let recorded = try recorded(paths)
        if case .held(let process, let pidfd) = lock {
            return .alive(process, pidfd, isRecorded: process == recorded)
        }
        // One that has just been started comes to its lock a moment later.
        if let recorded, let pidfd = try recorded.open() { return .alive(recorded, pidfd, isRecorded: true) }
        if case .free = lock { return .gone }
        return .unsaid
    }

    /// The shim of a bundle that lives; nil when there is none.
    ///
    /// - Throws: `KernelError` when it cannot be known now.
    package static func living(_ paths: ContainerPaths) throws(KernelError) -> SharedDescriptor? {
        guard case .alive(_, let pidfd, _) = try find(paths) else { return nil }
        return pidfd
    }

    static func lock(_ paths: ContainerPaths) throws(KernelError) -> Lock {
        guard try File.isThere(paths.lock) else { return .none }
        let file = try File.open(paths.lock)
        guard let pid = try RecordLock.holder(file.raw) else { return .free }
        let startTime: UInt64
        do throws(KernelError) { startTime = try ProcessFacts.startTime(of: pid) } catch {
            if [.noProcess, .noEntry].contains(error.errno) { return .free }
            throw error
        }
        let process = ShimProcess(pid: pid, startTime: startTime)
        guard let pidfd = try process.open() else { return .free }
        // The number is that of the holder for as long as it holds.
        return try RecordLock.holder(file.raw) == pid ? .held(process, pidfd) : .free
    }
}

extension HeldProcess {
    /// Holds exactly the process of this number and start time.
    ///
    /// - Parameters:
    ///   - pid: its number.
    ///   - startTime: when it started; nil for whatever has the number.
    /// - Returns: nil when there is no such process any more.
    /// - Throws: `KernelError` when that cannot be known now.
    package static func find(pid: Int32, startTime: UInt64?) throws(KernelError) -> HeldProcess? {
        do throws(KernelError) {
            let startTime = if let startTime { startTime } else { try ProcessFacts.startTime(of: pid) }
            guard let pidfd = try ShimProcess(pid: pid, startTime: startTime).open() else { return nil }
            return HeldProcess(pid: pid, startTime: startTime, pidfd: pidfd)
        } catch  where [.noProcess, .noEntry].contains(error.errno) {
            return nil
        }
    }
}
