public import Kernel
public import OCISpec

/// The control group of one container.
///
/// Calls are bounded; only `freeze`, `killAll` and `remove` wait, and say how long. The object holds one descriptor a hierarchy; the group
/// itself stays until `remove`, whatever happens to this process.
public protocol Cgroup: Sendable {
    /// The path below each hierarchy's root, for example `/berth/web`.
    var path: String { get }

    /// Sets limits; fields that are nil stay as they are. Works on a new group and on one with processes.
    ///
    /// - Parameter resources: the limits.
    /// - Throws: `CgroupError`; `unsupported` or `invalidArgument` with the field, `failedPrecondition` for a memory limit below the usage.
    ///   Limits before the failing one are set.
    func apply(_ resources: RuntimeSpec.Resources) throws(CgroupError)

    /// Opens the way in for a process that is about to be made.
    ///
    /// - Returns: the entrance; close it (let it go) after the start.
    /// - Throws: `CgroupError`.
    func entrance() throws(CgroupError) -> CgroupEntrance

    /// Moves a process with all its threads into the group.
    ///
    /// Prefer `entrance`: on v1 the first such move after a pause waits for the whole machine, 4 to 11 ms.
    ///
    /// - Parameter pid: the process.
    /// - Throws: `CgroupError`.
    func add(_ pid: Int32) throws(CgroupError)

    /// The processes in the group and in groups below it.
    ///
    /// - Returns: their numbers.
    /// - Throws: `CgroupError`.
    func processes() throws(CgroupError) -> [Int32]

    /// Stops all processes in the group until `thaw`; waits up to 500 ms for them.
    ///
    /// - Throws: `CgroupError`; after `timedOut` the group is thawed again.
    func freeze() throws(CgroupError)

    /// Lets the processes go on.
    ///
    /// - Throws: `CgroupError`.
    func thaw() throws(CgroupError)

    /// Whether the group is frozen.
    ///
    /// - Returns: true as soon as `freeze` was asked for.
    /// - Throws: `CgroupError`.
    func isFrozen() throws(CgroupError) -> Bool

    /// Kills every process in the group and in groups below it, also when frozen, and waits for them to go.
    ///
    /// - Parameter timeout: how long to wait.
    /// - Returns: the processes that are still there when the time is up (in D state, or not yet reaped by their parent).
    /// - Throws: `CgroupError`.
    func killAll(timeout: Duration) throws(CgroupError) -> [Int32]

    /// What the group uses now.
    ///
    /// - Returns: a snapshot; what a host does not count is nil.
    /// - Throws: `CgroupError`.
    func statistics() throws(CgroupError) -> CgroupStatistics

    /// Whether the kernel killed a process of the group for memory, and at whose limit.
    ///
    /// - Returns: the verdict; read it before `remove`.
    /// - Throws: `CgroupError`.
    func outOfMemoryVerdict() throws(CgroupError) -> OutOfMemoryVerdict

    /// Removes the group with the groups below it; what is gone already is fine.
    ///
    /// - Parameter timeout: how long to try while processes are ending.
    /// - Throws: `CgroupError`; `failedPrecondition` when processes remain.
    func remove(timeout: Duration) throws(CgroupError)
}

/// The way of a new process into a group.
public struct CgroupEntrance: Sendable {
    /// The v2 directory for `Clone.fork(intoCgroup:)` or `Spawn.cgroup`; nil where there is no v2 hierarchy.
    public let directory: SharedDescriptor?
    let taskFiles: [SharedDescriptor]

    /// The open files, for a child that closes all others.
    public var descriptors: [RawDescriptor] { (directory.map { [$0.raw] } ?? []) + taskFiles.map(\.raw) }

    /// Moves the calling process, which must have a single thread, into the v1 hierarchies of the group.
    ///
    /// For the child, first thing after `Clone.fork`. A single thread that moves itself does not wait for the machine-wide lock that moving
    /// whole processes takes.
    ///
    /// - Throws: `KernelError`.
    public func enter() throws(KernelError) {
        for file in taskFiles { try file.writeAll([UInt8(ascii: "0")]) }
    }
}

/// Whether memory ran out.
public struct OutOfMemoryVerdict: Hashable, Sendable {
    /// How many processes of the group the kernel has killed for memory.
    public let kills: UInt64
    /// The group whose limit was hit: this one's path, an ancestor's, or `system`; empty without kills.
    public let owner: String

    /// Makes a verdict; for backends that have it from elsewhere.
    public init(kills: UInt64, owner: String) {
        self.kills = kills
        self.owner = owner
    }

    /// Whether any process was killed.
    public var killed: Bool { kills > 0 }
}
