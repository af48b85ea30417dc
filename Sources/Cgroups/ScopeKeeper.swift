internal import Kernel
internal import Synchronization

/// The process that keeps a scope of systemd from being empty: before the container is inside, and after its end until
/// nobody needs to know any more why it ended.
///
/// It has a group of its own inside of the scope, for in v2 a container that hands controllers down needs its own group without
/// processes. It is no process of the container: neither listed nor counted.
final class ScopeKeeper: Sendable {
    /// Its group.
    static let groupName = "berth-keeper"

    private let pid: Int32
    private let pidfd: SharedDescriptor
    /// Its end ends the keeper, should this process die before somebody else is inside.
    private let input: Mutex<SharedDescriptor?>

    init(_ pidfd: consuming Pidfd, pid: Int32, input: SharedDescriptor?) {
        self.pid = pid
        self.pidfd = SharedDescriptor(pidfd.intoDescriptor())
        self.input = Mutex(input)
    }

    /// Finds the keeper of a scope; nil when there is none any more.
    static func find(in members: [CgroupMember]) -> ScopeKeeper? {
        for member in members {
            let list = "\(groupName)/cgroup.procs"
            // A group that is absent has no keeper, and one that has ended keeps nothing.
            guard let pid = (try? member.read(list))?.words.first.flatMap({ Int32($0) }),
                let pidfd = try? Pidfd(pid: pid),
                // The number may have been reused between the list and the opening.
                (try? member.read(list))?.words.contains(String(pid)) == true
            else { continue }
            return ScopeKeeper(pidfd, pid: pid, input: nil)
        }
        return nil
    }

    /// Its number while it lives.
    var number: Int32? {
        // A descriptor of a process can always be asked; one that could not be would be of no process that runs.
        let isAlive = (try? pidfd.poll(for: .readable, timeout: .zero).isEmpty) ?? false
        return isAlive ? pid : nil
    }

    /// Moves it out of the way: into a group of its own where systemd counts, out of the container's groups elsewhere.
    func settle(in members: [CgroupMember]) throws(KernelError) {
        for member in members {
            if member.hierarchy.isUnified {
                try File.makeDirectory(Self.groupName, mode: 0o755, at: member.directory.raw)
                try member.write("\(Self.groupName)/cgroup.procs", String(pid))
            } else if !member.hierarchy.controllers.isEmpty {
                try File.writeOnce("cgroup.procs", String(pid), at: member.hierarchy.directory.raw)
            }
        }
    }

    /// Lets it outlive this process, as there is somebody else in the scope now.
    func stay() {
        input.withLock { input in
            // Gone already: then nothing is kept, and nothing needs to be.
            try? input?.writeAll("k")
            input = nil
        }
    }

    /// Ends it.
    func end() {
        input.withLock { $0 = nil }
        // One that has ended by itself is as good; the removal of its group waits for it.
        _ = try? Pidfd.send(.kill, to: pidfd.raw)
    }
}
