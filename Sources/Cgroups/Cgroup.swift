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

    /// Opens the way into a group below this one that somebody has made.
    ///
    /// - Parameter name: its path from this group. In a hierarchy of v1 that has no such group the way leads into this one.
    /// - Returns: the entrance, as that of `entrance()`.
    /// - Throws: `CgroupError`, `notFound` when it exists nowhere, `invalidArgument` for a path that does not lead below.
    func entrance(below name: String) throws(CgroupError) -> CgroupEntrance

    /// Makes a group of its own inside of this one, for one additional process and all that it starts.
    ///
    /// The limits of this group hold for it together with all else inside. It is made where processes can be killed by group: in the v2
    /// hierarchy, else in v1's freezer.
    ///
    /// - Parameter prefix: what its name starts with; a number follows.
    /// - Returns: the group; remove it when the process has ended, or with this group.
    /// - Throws: `CgroupError`.
    func makeSubgroup(_ prefix: String) throws(CgroupError) -> CgroupSubgroup

    /// Finds a group that `makeSubgroup` has made.
    ///
    /// - Parameter path: its path.
    /// - Returns: the group.
    /// - Throws: `CgroupError`, `notFound` when it is gone.
    func openSubgroup(_ path: String) throws(CgroupError) -> CgroupSubgroup

    /// Gives what the kernel allows to be given away (`/sys/kernel/cgroup/delegate`) to the root of a container.
    ///
    /// Then a manager inside of it can make groups of its own. Does nothing on v1, where that would not be safe.
    ///
    /// - Parameters:
    ///   - uid: the host's number of the container's root.
    ///   - gid: the same for its group.
    /// - Throws: `CgroupError`.
    func delegate(uid: UInt32, gid: UInt32) throws(CgroupError)

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

    /// Length of the periods in which CPU time is limited, in microseconds.
    var bandwidthPeriod: UInt64 { get }

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

    /// What another program needs to know to judge as this one would.
    ///
    /// - Returns: the record, for its `goOn`.
    /// - Throws: `CgroupError`.
    func outOfMemoryRecord() throws(CgroupError) -> OutOfMemoryRecord

    /// Takes over what another program knew about memory; what has happened since then is judged now.
    ///
    /// - Parameter record: from `outOfMemoryRecord`, perhaps long ago; nil when there is none.
    /// - Throws: `CgroupError`.
    func goOn(after record: OutOfMemoryRecord?) throws(CgroupError)

    /// Removes the group with the groups below it; what is gone already is fine.
    ///
    /// - Parameter timeout: how long to try while processes are ending.
    /// - Throws: `CgroupError`; `failedPrecondition` when processes remain.
    func remove(timeout: Duration) throws(CgroupError)
}
