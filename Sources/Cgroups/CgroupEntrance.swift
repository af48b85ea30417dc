public import Kernel

/// The way of a new process into a group.
///
/// A group that systemd keeps only as long as somebody is inside is kept by whoever has made it, until `verify` has seen the process inside;
/// from then on it stays until it is removed.
public struct CgroupEntrance: Sendable {
    /// The v2 directory for `Clone.fork(intoCgroup:)` or `Spawn.cgroup`; nil where there is no v2 hierarchy, or no room for a birth.
    public let directory: SharedDescriptor?
    let taskFiles: [SharedDescriptor]
    let members: [CgroupMember]
    var keeper: ScopeKeeper?

    /// The open files, for a child that closes all others.
    public var descriptors: [RawDescriptor] { (directory.map { [$0.raw] } ?? []) + taskFiles.map(\.raw) }

    /// Moves the calling process, which must have a single thread, into the group's hierarchies that clone has not put it into.
    ///
    /// For the child, first thing after `Clone.fork`. A single thread that moves itself does not wait for the machine-wide lock that moving
    /// whole processes takes.
    ///
    /// - Throws: `KernelError`.
    public func enter() throws(KernelError) {
        for file in taskFiles { try file.writeAll([UInt8(ascii: "0")]) }
    }

    /// Looks from outside whether a process is in the group, in every hierarchy, or in a group below.
    ///
    /// - Parameters:
    ///   - process: a process that the caller has not reaped.
    ///   - pid: its number.
    /// - Throws: `CgroupError`, `notFound` with the hierarchy when it is elsewhere. One that has ended is nowhere, which is fine.
    public func verify(_ process: SharedDescriptor, pid: Int32) throws(CgroupError) {
        // Whether it is still there or not: why it has ended is asked of the group.
        keeper?.stay()
        do throws(KernelError) {
            let lines = try File.readText("/proc/\(pid)/cgroup").split(separator: "\n")
            for member in members where !lines.contains(where: { member.isNamed(by: $0) }) {
                // What is printed starts at the reader's own cgroup namespace; the group's list has no such view.
                if try member.allProcesses().contains(pid) { continue }
                if try !process.poll(for: .readable, timeout: .zero).isEmpty { return }
                let place = "/" + member.components.joined(separator: "/")
                throw .failed("find in cgroup '\(place)'", String(pid), .noProcess, detail: member.hierarchy.name)
            }
        } catch  where error.errno == .noEntry {
            // Reaped by somebody else: it is nowhere any more.
        } catch {
            throw .failed("verify process \(pid)", error)
        }
    }
}

extension CgroupMember {
    /// Whether a line of `/proc/<pid>/cgroup` (`number:controllers:path`) says that the process is here or below.
    fileprivate func isNamed(by line: Substring) -> Bool {
        let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return false }
        let words = parts[1].split(separator: ",")
        let isHere =
            hierarchy.isUnified
            ? parts[1].isEmpty
            : hierarchy.controllers.first.map { name in words.contains { $0 == name } }
                ?? (parts[1] == "name=\(hierarchy.name)")
        let place = "/" + components.joined(separator: "/")
        return isHere && (parts[2] == place || parts[2].hasPrefix(place + "/"))
    }
}
