import DocumentTexts
package import EngineModel
package import Kernel
package import ShimProtocol
import SwiftProtobuf

/// What a shim has written down for the one that would take its place, read by the manager.
package enum ShimStateFile {
    private static let limit = 256 << 20

    /// The state of a bundle.
    ///
    /// Blocks.
    /// - Returns: nil where there is none; or what is wrong with the file.
    /// - Throws: `KernelError` when it cannot be known now.
    package static func read(_ paths: ContainerPaths) throws(KernelError) -> (state: ShimState?, damage: String?) {
        let bytes: [UInt8]
        do throws(KernelError) { bytes = try File.read(paths.shimState, limit: limit) } catch {
            if error.isShortage { throw error }
            return (nil, error.errno == .noEntry ? nil : error.description)
        }
        let (content, problem) = CheckedFrame.content(bytes, mark: CheckedFrame.shimState)
        if let problem { return (nil, problem) }
        guard let state = try? ShimState(serializedBytes: Array(content)) else { return (nil, "it is no state") }
        return (state, nil)
    }

    /// Corrects what a dead shim has written down of restarts, for the one that goes on with it: of what it was told while it was
    /// silent it may have heard nothing, or what was taken back since.
    ///
    /// Blocks. One that has none to correct, and one that is damaged, stays as it is.
    /// - Parameters:
    ///   - paths: of the container.
    ///   - policy: what holds; nil leaves what is written.
    ///   - isStopped: whether the user has ended the container.
    /// - Throws: `KernelError`.
    package static func correct(
        _ paths: ContainerPaths,
        policy: ShimRestartPolicy?,
        isStopped: Bool
    ) throws(KernelError) {
        guard var state = try read(paths).state, state.hasRestart, state.restart.phase == .settled else { return }
        let before = state.restart
        if let policy { state.restart.policy = policy }
        if isStopped { state.restart.stopped = true }
        guard state.restart != before else { return }
        let bytes = CheckedFrame.frame(state.bytes, mark: CheckedFrame.shimState)
        try File.writeAtomically(paths.shimState, bytes, mode: 0o600, durable: false)
    }

    /// The outputs that a shim reads, by the names under which it gives them away; for one that gives nothing away itself.
    ///
    /// Blocks.
    /// - Parameters:
    ///   - state: what it has written down.
    ///   - pid: its process.
    ///   - names: of those that are not wanted.
    /// - Returns: pipes that are still open there; a terminal cannot be opened a second time.
    /// - Throws: `KernelError` when its process cannot be looked at.
    package static func outputs(
        _ state: ShimState,
        of pid: Int32,
        except names: Set<String>
    ) throws(KernelError) -> [String: SharedDescriptor] {
        var wanted: [UInt64: String] = [:]
        for process in (state.hasInitial ? [state.initial] : []) + state.execs where process.stdio.started {
            let prefix = process.execID.isEmpty ? "init/" : "exec/\(process.execID)/"
            for output in process.stdio.outputs where !output.ended && output.inode != 0 {
                let name = prefix + (output.stream == 1 ? "stdout" : "stderr")
                if !names.contains(name) { wanted[output.inode] = name }
            }
        }
        var found: [String: SharedDescriptor] = [:]
        guard !wanted.isEmpty else { return found }
        let directory = "/proc/\(pid)/fd"
        for entry in try File.open(directory, .directory).readDirectory() {
            let path = "\(directory)/\(entry.name)"
            // Looked at before it is opened: opening something else could have effects.
            guard let status = try? File.status(path, follow: true), status.kind == .fifo,
                let name = wanted[status.inode], found[name] == nil
            else { continue }
            let pipe = try File.open(path, [.read, .nonBlocking])
            if try pipe.status().inode == status.inode { found[name] = SharedDescriptor(pipe) }
        }
        return found
    }

    /// The name of the run that a state is of; nil where it does not say it.
    package static func run(_ state: ShimState) -> String? {
        let name = state.exitRecordPath.split(separator: "/").last.map(String.init) ?? ""
        guard name.hasPrefix(ContainerPaths.exitRecordPrefix), name.hasSuffix(".json") else { return nil }
        return String(name.dropFirst(ContainerPaths.exitRecordPrefix.count).dropLast(".json".count))
    }
}
