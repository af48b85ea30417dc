internal import Kernel
internal import OCISpec

/// Which ids of a user namespace stand for which ids of the host (user_namespaces(7)).
struct IDMappings: Sendable, Equatable {
    let users: [RuntimeSpec.IDMapping]
    let groups: [RuntimeSpec.IDMapping]

    /// The kernel's limit of ranges, and the bytes that it takes in the one write that sets a map.
    private static let limit = (ranges: 340, bytes: 4095)

    /// Checks the ranges of a document.
    ///
    /// - Parameters:
    ///   - users: Ranges of user ids.
    ///   - groups: Ranges of group ids.
    ///   - field: What they belong to, for errors: `linux` or a mount.
    /// - Throws: `invalidArgument` naming the list and the range.
    init(
        users: [RuntimeSpec.IDMapping],
        groups: [RuntimeSpec.IDMapping],
        field: String
    ) throws(SandboxError) {
        try Self.check(users, "\(field).uidMappings")
        try Self.check(groups, "\(field).gidMappings")
        self.users = users
        self.groups = groups
    }

    /// Reads the ranges of a process's user namespace as the caller sees them.
    init(of pid: Int32) throws(KernelError) {
        users = try Self.read("/proc/\(pid)/uid_map")
        groups = try Self.read("/proc/\(pid)/gid_map")
    }

    /// The host's id of a user inside; nil when none stands for it.
    func hostUser(_ id: UInt32) -> UInt32? { Self.host(id, users) }

    /// The host's id of a group inside; nil when none stands for it.
    func hostGroup(_ id: UInt32) -> UInt32? { Self.host(id, groups) }

    /// The host's ids of user and group 0 inside.
    ///
    /// - Throws: `invalidArgument`: without them nobody could set the container up.
    func root(_ field: String) throws(SandboxError) -> HostOwner {
        guard let user = hostUser(0) else { throw .invalid("\(field).uidMappings", "no range has container id 0") }
        guard let group = hostGroup(0) else { throw .invalid("\(field).gidMappings", "no range has container id 0") }
        return HostOwner(user: user, group: group)
    }

    /// Sets the maps of a process in a new user namespace.
    ///
    /// The writer is privileged, so that setgroups(2) stays allowed inside.
    func write(to pid: Int32) throws(KernelError) {
        try File.writeOnce("/proc/\(pid)/uid_map", Self.text(users))
        try File.writeOnce("/proc/\(pid)/gid_map", Self.text(groups))
    }

    private static func check(_ ranges: [RuntimeSpec.IDMapping], _ field: String) throws(SandboxError) {
        guard !ranges.isEmpty else { throw .invalid(field, "missing; users and groups both need ranges") }
        guard ranges.count <= limit.ranges else {
            throw .invalid(field, "\(ranges.count) ranges, at most \(limit.ranges) are possible")
        }
        guard text(ranges).utf8.count <= limit.bytes else {
            throw .invalid(field, "longer than the \(limit.bytes) bytes that the kernel takes")
        }
        for (number, range) in ranges.enumerated() {
            guard range.size > 0 else { throw .invalid(field, "range \(number) has size 0") }
            let room = UInt32.max - range.size
            guard range.containerID <= room, range.hostID <= room else {
                throw .invalid(field, "range \(number) goes beyond the last id, 4294967294")
            }
        }
        try checkOverlap(ranges, \.containerID, "container", field)
        try checkOverlap(ranges, \.hostID, "host", field)
    }

    private static func checkOverlap(
        _ ranges: [RuntimeSpec.IDMapping],
        _ start: KeyPath<RuntimeSpec.IDMapping, UInt32>,
        _ side: String,
        _ field: String
    ) throws(SandboxError) {
        let sorted = ranges.sorted { $0[keyPath: start] < $1[keyPath: start] }
        for (lower, upper) in zip(sorted, sorted.dropFirst())
        where lower[keyPath: start] + lower.size > upper[keyPath: start] {
            throw .invalid(field, "\(side) id \(upper[keyPath: start]) is in two ranges")
        }
    }

    private static func text(_ ranges: [RuntimeSpec.IDMapping]) -> String {
        ranges.map { "\($0.containerID) \($0.hostID) \($0.size)\n" }.joined()
    }

    private static func read(_ path: String) throws(KernelError) -> [RuntimeSpec.IDMapping] {
        try File.readText(path, limit: 1 << 16).split(separator: "\n").compactMap { line in
            let numbers = line.split(separator: " ").compactMap { UInt32($0) }
            guard numbers.count == 3 else { return nil }
            return RuntimeSpec.IDMapping(containerID: numbers[0], hostID: numbers[1], size: numbers[2])
        }
    }

    private static func host(_ id: UInt32, _ ranges: [RuntimeSpec.IDMapping]) -> UInt32? {
        ranges.first { id >= $0.containerID && id - $0.containerID < $0.size }.map { $0.hostID + (id - $0.containerID) }
    }
}

/// Ids of the host.
struct HostOwner: Sendable, Equatable {
    let user: UInt32
    let group: UInt32

    static let root = HostOwner(user: 0, group: 0)
}
