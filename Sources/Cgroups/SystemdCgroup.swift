internal import Kernel
internal import OCISpec
internal import Synchronization

/// A group that is a scope of systemd: made and known by systemd, filled and limited by us.
struct SystemdCgroup: Cgroup {
    private let name: SystemdScopeName
    private let inner: any Cgroup
    private let helper: ScopeHelper
    private let layout: CgroupTree.Layout
    private let members: [CgroupMember]
    private let keeper: ScopeKeeper?
    /// Whether the kernel counts who keeps the scope as a task of it.
    private let countsKeeper: Bool
    /// What was said before all were killed, and with them who keeps the scope.
    private let lastVerdict: Verdict

    private final class Verdict: Sendable {
        let value = Mutex(OutOfMemoryVerdict(kills: 0, owner: ""))
    }

    var path: String { inner.path }

    /// Starts the scope.
    init(
        creating name: SystemdScopeName,
        _ resources: RuntimeSpec.Resources,
        owner: String,
        helper: ScopeHelper,
        tree: CgroupTree
    ) throws(CgroupError) {
        var properties = SystemdProperties()
        properties.addScope(name)
        if resources.pids?.limit == nil {
            // Else systemd's own default would be a limit that nobody asked for.
            properties.add("TasksMax", "t", String(UInt64.max))
        }
        let limits = Self.withRoom(resources, Self.countsKeeper(in: tree))
        try properties.addLimits(limits, layout: tree.layout, period: 100_000)
        let (path, keeper) = try helper.start(name, properties)
        let (inner, members) = try tree.adopt(path, for: owner)
        do throws(KernelError) { try keeper.settle(in: members) } catch {
            throw .failed("keep scope '\(name.unit)'", error)
        }
        self.init(name, inner, members, keeper, helper: helper, tree: tree)
    }

    /// Finds a scope that was started before.
    init(
        opening name: SystemdScopeName,
        owner: String?,
        helper: ScopeHelper,
        tree: CgroupTree
    ) throws(CgroupError) {
        let (inner, members) = try tree.readopt(name.path, of: owner)
        self.init(name, inner, members, ScopeKeeper.find(in: members), helper: helper, tree: tree)
    }

    private init(
        _ name: SystemdScopeName,
        _ inner: any Cgroup,
        _ members: [CgroupMember],
        _ keeper: ScopeKeeper?,
        helper: ScopeHelper,
        tree: CgroupTree
    ) {
        self.name = name
        self.inner = inner
        self.members = members
        self.helper = helper
        layout = tree.layout
        countsKeeper = Self.countsKeeper(in: tree)
        self.keeper = keeper
        lastVerdict = Verdict()
    }

    /// In version 1 it is moved out of every group that counts.
    private static func countsKeeper(in tree: CgroupTree) -> Bool {
        tree.hierarchies.contains { $0.isUnified && $0.controllers.contains("pids") }
    }

    /// Limits with room for who keeps the scope, where the kernel counts it as a task like any other.
    private static func withRoom(
        _ resources: RuntimeSpec.Resources,
        _ countsKeeper: Bool
    ) -> RuntimeSpec.Resources {
        guard countsKeeper else { return resources }
        var resources = resources
        if let limit = resources.pids?.limit, limit >= 0, limit < .max { resources.pids?.limit = limit + 1 }
        if let limit = resources.unified?["pids.max"].flatMap({ Int64($0) }), limit >= 0, limit < .max {
            resources.unified?["pids.max"] = String(limit + 1)
        }
        return resources
    }

    /// Tells systemd first: what it writes by itself is rounded, and what is written last is exact.
    func apply(_ resources: RuntimeSpec.Resources) throws(CgroupError) {
        try ResourceCheck.check(resources)
        let resources = Self.withRoom(resources, countsKeeper)
        var properties = SystemdProperties()
        try properties.addLimits(resources, layout: layout, period: inner.bandwidthPeriod)
        if !properties.words.isEmpty { try helper.set(name, properties) }
        try inner.apply(resources)
    }

    /// Sets the limits that systemd was told of when the scope was started.
    func applyFiles(_ resources: RuntimeSpec.Resources) throws(CgroupError) {
        try inner.apply(Self.withRoom(resources, countsKeeper))
    }

    func entrance() throws(CgroupError) -> CgroupEntrance {
        var entrance = try inner.entrance()
        entrance.keeper = keeper
        return entrance
    }

    func entrance(below name: String) throws(CgroupError) -> CgroupEntrance {
        var entrance = try inner.entrance(below: name)
        entrance.keeper = keeper
        return entrance
    }

    func remove(timeout: Duration) throws(CgroupError) {
        keeper?.end()
        try inner.remove(timeout: timeout)
        try helper.stop(name)
    }

    var bandwidthPeriod: UInt64 { inner.bandwidthPeriod }
    func makeSubgroup(_ prefix: String) throws(CgroupError) -> CgroupSubgroup { try inner.makeSubgroup(prefix) }
    func openSubgroup(_ path: String) throws(CgroupError) -> CgroupSubgroup { try inner.openSubgroup(path) }
    func delegate(uid: UInt32, gid: UInt32) throws(CgroupError) { try inner.delegate(uid: uid, gid: gid) }
    func add(_ pid: Int32) throws(CgroupError) { try inner.add(pid) }
    func freeze() throws(CgroupError) { try inner.freeze() }
    func thaw() throws(CgroupError) { try inner.thaw() }
    func isFrozen() throws(CgroupError) -> Bool { try inner.isFrozen() }

    func processes() throws(CgroupError) -> [Int32] { withoutKeeper(try inner.processes()) }

    func killAll(timeout: Duration) throws(CgroupError) -> [Int32] {
        // The keeper goes with the others, so that nobody gains time by forking; then systemd may remove the scope at once.
        _ = try? outOfMemoryVerdict()
        return withoutKeeper(try inner.killAll(timeout: timeout))
    }

    private func withoutKeeper(_ processes: [Int32]) -> [Int32] {
        guard let number = keeper?.number else { return processes }
        return processes.filter { $0 != number }
    }

    func statistics() throws(CgroupError) -> CgroupStatistics {
        var statistics = try inner.statistics()
        guard countsKeeper else { return statistics }
        if keeper?.number != nil {
            statistics.pids.current -= min(statistics.pids.current, 1)
        }
        if let limit = statistics.pids.limit { statistics.pids.limit = limit - min(limit, 1) }
        return statistics
    }

    func outOfMemoryVerdict() throws(CgroupError) -> OutOfMemoryVerdict {
        let verdict = try inner.outOfMemoryVerdict()
        return lastVerdict.value.withLock { last in
            // A scope that is gone says nothing, which takes nothing back.
            if verdict.kills >= last.kills { last = verdict }
            return last
        }
    }

    func outOfMemoryRecord() throws(CgroupError) -> OutOfMemoryRecord {
        let pressure = try inner.outOfMemoryRecord().pressure
        return OutOfMemoryRecord(verdict: try outOfMemoryVerdict(), pressure: pressure)
    }

    func goOn(after record: OutOfMemoryRecord?) throws(CgroupError) {
        if let verdict = record?.verdict { lastVerdict.value.withLock { $0 = verdict } }
        try inner.goOn(after: record)
    }
}
