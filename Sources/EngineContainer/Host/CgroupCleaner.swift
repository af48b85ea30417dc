import EngineSpec
import Kernel

/// Removes what a crash left of a container's cgroups.
///
/// What is still inside is killed, through pidfds.
///
/// The shim removes its cgroup itself; this is for the shim that could not.
package enum CgroupCleaner {
    static let mountPoint = "/sys/fs/cgroup"

    /// How long a removal may take for what is still inside: a process that cannot be killed has no end of its own.
    private static let patience = Duration.seconds(2)

    /// Removes `path` (absolute below each hierarchy) with everything under it.
    package static func remove(_ path: String) throws {
        let end = Clock.monotonic.now + patience
        for directory in try directories(of: path) { try removeTree(directory, end) }
    }

    /// The directories of `path` in all hierarchies that have it.
    ///
    /// - Throws: `KernelError` when it cannot be known which do.
    static func directories(of path: String) throws(KernelError) -> [String] {
        if path.isEmpty { return [] }
        var found: [String] = []
        for root in try allHierarchies() where try File.isThere(root + path) { found.append(root + path) }
        return found
    }

    /// Removes `path` with everything under it that has no process, and ends none.
    ///
    /// - Returns: whether nothing is left of it.
    static func removeIfIdle(_ path: String) -> Bool {
        func remove(_ directory: String) {
            guard let entries = try? File.open(directory, [.directory]).readDirectory() else { return }  // gone
            for entry in entries where entry.kind == .directory { remove("\(directory)/\(entry.name)") }
            _ = try? File.removeDirectory(directory)  // what is busy stays, and the answer says so
        }
        for root in hierarchies() { remove(root + path) }
        return !exists(path)
    }

    /// Removes the engine's own directory in each hierarchy where nothing is in it any more.
    package static func removeIfEmpty(_ parent: String) {
        // One that is in use, by a container that goes on, is meant to stay.
        for root in hierarchies() { _ = try? File.removeDirectory("\(root)/\(parent)") }
    }

    /// Whether any hierarchy has `path` (absolute below each hierarchy).
    package static func exists(_ path: String) -> Bool {
        !path.isEmpty && hierarchies().contains { File.exists($0 + path) }
    }

    /// Ids of the containers that have a scope of systemd with `prefix` in the default slice.
    package static func scopes(of prefix: String) -> Set<String> {
        let names = children(of: CgroupPlace.defaultSlice).filter {
            $0.hasPrefix(prefix + "-") && $0.hasSuffix(".scope")
        }
        return Set(names.map { String($0.dropFirst(prefix.count + 1).dropLast(".scope".count)) })
    }

    /// Names of the directories below `parent` in any hierarchy.
    package static func children(of parent: String) -> Set<String> {
        var names: Set<String> = []
        for root in hierarchies() {
            guard
                let directory = try? File.open("\(root)/\(parent)", [.directory]),  // a hierarchy without it has none
                let entries = try? directory.readDirectory()
            else { continue }
            names.formUnion(entries.filter { $0.kind == .directory }.map(\.name))
        }
        return names
    }

    /// The unified hierarchy, or each of version 1.
    private static func allHierarchies() throws(KernelError) -> [String] {
        if try File.isThere(mountPoint + "/cgroup.controllers") { return [mountPoint] }
        // Without cgroups there is nothing to clean.
        guard try File.isThere(mountPoint) else { return [] }
        let entries = try File.open(mountPoint, [.directory]).readDirectory()
        return entries.filter { $0.kind == .directory }.map { "\(mountPoint)/\($0.name)" }
    }

    /// The same; none where they cannot be seen now.
    private static func hierarchies() -> [String] { (try? allHierarchies()) ?? [] }

    private static func removeTree(_ path: String, _ end: Timestamp) throws {
        let entries = try File.open(path, [.directory]).readDirectory()
        for entry in entries where entry.kind == .directory { try removeTree("\(path)/\(entry.name)", end) }
        repeat {
            if try removeEmpty(path) { return }
            try endTasks(in: path)
        } while Clock.monotonic.now < end
        _ = try File.removeDirectory(path)
    }

    /// False when something is still inside.
    private static func removeEmpty(_ path: String) throws -> Bool {
        do throws(KernelError) {
            _ = try File.removeDirectory(path)
            return true
        } catch {
            if error.errno == .busy { return false }
            throw error
        }
    }

    /// Kills every task in one cgroup and waits (bounded) for each to go.
    private static func endTasks(in path: String) throws {
        let members = path + "/cgroup.procs"
        for line in try File.readText(members).split(separator: "\n") {
            guard let pid = Int32(line), let pidfd = try? Pidfd(pid: pid) else { continue }  // gone already
            // The number may have been reused between the list and the opening: look again with the process held.
            guard try File.readText(members).split(separator: "\n").contains(line) else { continue }
            _ = try pidfd.send(.kill)
            _ = try pidfd.poll(for: .readable, timeout: .milliseconds(20))
        }
        // A dead task leaves its cgroup a moment after it became a zombie; there is no event for that in version 1.
        _ = try Pipe().reader.poll(for: .readable, timeout: .milliseconds(1))
    }
}
