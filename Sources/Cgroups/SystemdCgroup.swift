internal import Kernel
internal import OCISpec
internal import Synchronization

/// A group that is a scope of systemd: made and known by systemd, filled and limited by us.
struct SystemdCgroup: Cgroup {
    private let name: SystemdScopeName
    private let inner: any Cgroup
    private let helper: ScopeHelper
    private let layout: CgroupTree.Layout
    private let keeper: Slot

    /// Holds the keeper until the first entrance takes it.
    private final class Slot: Sendable {
        let value = Mutex<ScopeKeeper?>(nil)
        func take() -> ScopeKeeper? { value.withLock { $0.take() } }
    }

    var path: String { inner.path }

    /// Starts the scope.
    init(
        creating name: SystemdScopeName,
        _ resources: RuntimeSpec.Resources,
        helper: ScopeHelper,
        tree: CgroupTree
    ) throws(CgroupError) {
        var properties = SystemdProperties()
        properties.addScope(name)
        if resources.pids?.limit == nil {
            // Else systemd's own default would be a limit that nobody asked for.
            properties.add("TasksMax", "t", String(UInt64.max))
        }
        try properties.addLimits(resources, layout: tree.layout, period: 100_000)
        let (path, keeper) = try helper.start(name, properties)
        self.init(name, inner: try tree.adopt(path, isNew: true), helper: helper, layout: tree.layout)
        self.keeper.value.withLock { $0 = keeper }
    }

    /// Finds a scope that was started before.
    init(opening name: SystemdScopeName, helper: ScopeHelper, tree: CgroupTree) throws(CgroupError) {
        self.init(name, inner: try tree.adopt(name.path, isNew: false), helper: helper, layout: tree.layout)
    }

    private init(_ name: SystemdScopeName, inner: any Cgroup, helper: ScopeHelper, layout: CgroupTree.Layout) {
        self.name = name
        self.inner = inner
        self.helper = helper
        self.layout = layout
        keeper = Slot()
    }

    /// Tells systemd first: what it writes by itself is rounded, and what is written last is exact.
    func apply(_ resources: RuntimeSpec.Resources) throws(CgroupError) {
        try ResourceCheck.check(resources)
        var properties = SystemdProperties()
        try properties.addLimits(resources, layout: layout, period: inner.bandwidthPeriod)
        if !properties.words.isEmpty { try helper.set(name, properties) }
        try inner.apply(resources)
    }

    /// Sets the limits that systemd was told of when the scope was started.
    func applyFiles(_ resources: RuntimeSpec.Resources) throws(CgroupError) { try inner.apply(resources) }

    func entrance() throws(CgroupError) -> CgroupEntrance {
        var entrance = try inner.entrance()
        entrance.keeper = keeper.take()
        return entrance
    }

    func remove(timeout: Duration) throws(CgroupError) {
        _ = keeper.take()
        try inner.remove(timeout: timeout)
        try helper.stop(name)
    }

    var bandwidthPeriod: UInt64 { inner.bandwidthPeriod }
    func makeSubgroup(_ prefix: String) throws(CgroupError) -> CgroupSubgroup { try inner.makeSubgroup(prefix) }
    func delegate(uid: UInt32, gid: UInt32) throws(CgroupError) { try inner.delegate(uid: uid, gid: gid) }
    func add(_ pid: Int32) throws(CgroupError) { try inner.add(pid) }
    func processes() throws(CgroupError) -> [Int32] { try inner.processes() }
    func freeze() throws(CgroupError) { try inner.freeze() }
    func thaw() throws(CgroupError) { try inner.thaw() }
    func isFrozen() throws(CgroupError) -> Bool { try inner.isFrozen() }
    func killAll(timeout: Duration) throws(CgroupError) -> [Int32] { try inner.killAll(timeout: timeout) }
    func statistics() throws(CgroupError) -> CgroupStatistics { try inner.statistics() }
    func outOfMemoryVerdict() throws(CgroupError) -> OutOfMemoryVerdict { try inner.outOfMemoryVerdict() }
}
