import EngineModel
import EngineSpec
import Kernel

/// The processes of one container, seen from outside: by its cgroup, whatever its shim does.
package struct CgroupTasks: Sendable {
    /// Absolute below each hierarchy.
    let path: String

    /// Numbers of all processes in it and below, zombies left out.
    ///
    /// Blocks for reading a few files.
    /// - Throws: `KernelError` when they cannot be read now: then nothing is known of any process.
    func living() throws(KernelError) -> [Int32] { try facts().map(\.pid) }

    /// Whether nothing of the container runs in it or below: what keeps a scope of systemd from being empty is nobody's workload.
    ///
    /// It is known by its name, for in version 1 it has no group of its own. Whoever takes that name is taken for it.
    /// - Throws: as ``living()``.
    func isIdle() throws(KernelError) -> Bool { try facts().allSatisfy { $0.name == CgroupPlace.keeper } }

    private func facts() throws(KernelError) -> [ProcessFacts] {
        var found: Set<Int32> = []
        for directory in try CgroupCleaner.directories(of: path) { try Self.collect(directory, &found) }
        var living: [ProcessFacts] = []
        for pid in found.sorted() {
            do throws(KernelError) {
                let facts = try ProcessFacts(pid)
                if facts.state != "Z", facts.state != "X" { living.append(facts) }
            } catch  where [.noEntry, .noProcess].contains(error.errno) {
                continue  // it has just gone
            }
        }
        return living
    }

    private static func collect(_ directory: String, _ found: inout Set<Int32>) throws(KernelError) {
        do throws(KernelError) {
            let text = try File.readText("\(directory)/cgroup.procs")
            found.formUnion(text.split(separator: "\n").compactMap { Int32($0) })
        } catch {
            // One that has just been removed has no processes; one of threads lists them where its processes are.
            guard [.noEntry, .noDevice, .notSupported].contains(error.errno) else { throw error }
        }
        let entries: [DirectoryEntry]
        do throws(KernelError) { entries = try File.open(directory, [.directory]).readDirectory() } catch {
            guard [.noEntry, .noDevice].contains(error.errno) else { throw error }
            return
        }
        for entry in entries where entry.kind == .directory { try collect("\(directory)/\(entry.name)", &found) }
    }

    /// What each process that is left does, for people.
    ///
    /// - Throws: as ``living()``.
    func stuck() throws(KernelError) -> [StuckTask] {
        try living().compactMap { pid in
            guard let facts = try? ProcessFacts(pid) else { return nil }  // it has just gone
            let channel = (try? File.readText("/proc/\(pid)/wchan", limit: 256)) ?? ""
            return StuckTask(
                pid: pid,
                command: facts.name,
                state: String(facts.state),
                waitChannel: channel == "0" ? "" : channel
            )
        }
    }

    /// Kills everything in it and below, frozen or not, until nothing is left or `deadline` is over.
    ///
    /// Blocks. New processes of a fork that ran meanwhile are killed in the next round.
    /// - Returns: what is left.
    /// - Throws: `KernelError` when it cannot be seen what is left.
    @discardableResult
    func kill(within deadline: Duration) throws(KernelError) -> [Int32] {
        let end = Clock.monotonic.now + deadline
        while true {
            for directory in try CgroupCleaner.directories(of: path) { try Self.kill(directory) }
            let left = try living()
            let rest = end - Clock.monotonic.now
            if left.isEmpty || rest <= .zero { return left }
            // Wait for one of them, a moment at most: each may be the one that does not go.
            guard let pid = left.first, let pidfd = try? Pidfd(pid: pid) else { continue }
            _ = try? pidfd.poll(for: .readable, timeout: min(rest, .milliseconds(20)))
        }
    }

    private static func kill(_ directory: String) throws(KernelError) {
        // A signal for a frozen process waits for the thaw: version 1 needs it, version 2 kills without.
        if File.exists("\(directory)/freezer.state") { try? File.writeOnce("\(directory)/freezer.state", "THAWED") }
        if File.exists("\(directory)/cgroup.kill"), (try? File.writeOnce("\(directory)/cgroup.kill", "1")) != nil {
            return
        }
        var members: Set<Int32> = []
        try collect(directory, &members)
        for pid in members {
            guard let pidfd = try? Pidfd(pid: pid) else { continue }  // gone already
            // The number may have been reused between the list and the opening: look again with the process held.
            var now: Set<Int32> = []
            try collect(directory, &now)
            if now.contains(pid) { _ = try? pidfd.send(.kill) }
        }
    }
}
