internal import CKernel
internal import Glibc

/// User namespaces that no program runs in: to map the owners of mounts, and to learn what this kernel can.
///
/// Unlike `Clone`, everything here may be called from a process with threads.
public enum UserNamespace {
    /// A range of ids inside and what it is outside; the same for users and groups.
    public struct Mapping: Hashable, Sendable {
        /// First id inside.
        public var inside: UInt32
        /// First id in the namespace of the caller.
        public var outside: UInt32
        /// Number of ids.
        public var size: UInt32

        /// Maps `size` ids from `inside` on to those from `outside` on.
        public init(inside: UInt32, outside: UInt32, size: UInt32) {
            self.inside = inside
            self.outside = outside
            self.size = size
        }
    }

    /// Makes a user namespace.
    ///
    /// - Parameter mapping: its ids.
    /// - Returns: the namespace; it goes with its last descriptor and the last mount that it maps.
    /// - Throws: `KernelError`, `resourceExhausted` when `/proc/sys/user/max_user_namespaces` is reached.
    public static func make(_ mapping: Mapping) throws(KernelError) -> Descriptor {
        let pipe = try Pipe()
        var pidfd: Int32 = -1
        let ends = [pipe.reader.raw, pipe.writer.raw]
        let pid = try system("make user namespace") {
            unsafe ck_hold_namespaces(UInt64(Namespace.Kinds.user.rawValue), ends, &pidfd)
        }
        let holder = Holder(pid: pid, pidfd: Pidfd(Descriptor(adopting: pidfd)))
        try write(mapping, of: pid)
        let namespace = try Namespace.open(.user, of: pid)
        holder.end()
        return namespace
    }

    /// Tries what the root file system of a container in a user namespace needs: a lower layer and an upper directory whose
    /// owners are mapped, and over them an overlay that is mounted inside the namespace and can be written.
    ///
    /// Nothing is mounted in the caller's mount namespace. A file `probe` is left in `<state>/upper`.
    ///
    /// - Parameters:
    ///   - lower: a directory.
    ///   - state: a directory with the empty directories `upper` and `work`, on the same file system.
    ///   - mapping: ids of the namespace.
    /// - Throws: `KernelError` whose operation is the step that does not work.
    public static func tryOverlay(lower: String, state: String, _ mapping: Mapping) throws(KernelError) {
        let pipe = try Pipe()
        let report = try Pipe()
        // Before the child is made, which gets them with all other descriptors.
        let lower = try DetachedMount(cloning: lower)
        let state = try DetachedMount(cloning: state)
        var call = ck_overlay_probe()
        call.ends = (pipe.reader.raw, pipe.writer.raw)
        call.report = report.writer.raw
        call.lower = lower.raw
        call.state = state.raw
        var pidfd: Int32 = -1
        let kinds: Namespace.Kinds = [.user, .mount]
        let pid = try system("make user namespace") {
            unsafe ck_probe_overlay(UInt64(kinds.rawValue), &call, &pidfd)
        }
        let holder = Holder(pid: pid, pidfd: Pidfd(Descriptor(adopting: pidfd)))
        try write(mapping, of: pid)
        let namespace = try Namespace.open(.user, of: pid)
        try lower.setIDMap(namespace.raw)
        try state.setIDMap(namespace.raw)
        try pipe.writer.writeAll([1])
        let answer =
            try report.reader.poll(for: .readable, timeout: .seconds(5)).isEmpty
            ? [] : try report.reader.read(upTo: 8)
        holder.end()
        guard answer.count == 8 else { throw .failed("try overlay in user namespace", .timedOut) }
        let (step, errno) = (number(answer[0..<4]), number(answer[4..<8]))
        guard step != 0 else { return }
        throw .failed(steps[Int(step)] ?? "try overlay in user namespace", Errno(rawValue: errno))
    }

    /// The steps of `ck_probe_overlay`.
    private static let steps = [
        1: "become root of user namespace", 2: "make mounts in user namespace", 3: "attach idmapped mount",
        4: "mount overlay in user namespace", 5: "write to overlay in user namespace",
    ]

    private static func number(_ bytes: ArraySlice<UInt8>) -> Int32 {
        // Little-endian on every architecture that Berth runs on.
        Int32(bitPattern: bytes.reversed().reduce(0) { $0 << 8 | UInt32($1) })
    }

    private static func write(_ mapping: Mapping, of pid: Int32) throws(KernelError) {
        let line = "\(mapping.inside) \(mapping.outside) \(mapping.size)"
        for name in ["uid_map", "gid_map"] {
            try File.open("/proc/\(pid)/\(name)", .write).writeAll(line)
        }
    }

    /// The namespace's first process, which ends and is reaped with its owner.
    private struct Holder: ~Copyable {
        let pid: Int32
        let pidfd: Pidfd

        init(pid: Int32, pidfd: consuming Pidfd) {
            self.pid = pid
            self.pidfd = pidfd
        }

        deinit {
            // It is ours and not reaped, so both calls can only meet it.
            _ = try? pidfd.send(.kill)
            _ = try? pidfd.wait()
        }

        /// Ends it now: the last use, before which it is not destroyed.
        consuming func end() {}
    }
}
