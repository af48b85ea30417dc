internal import Kernel
internal import Synchronization

/// Whether memory ran out.
public struct OutOfMemoryVerdict: Hashable, Sendable {
    /// How many processes of the group the kernel has killed for memory.
    public let kills: UInt64
    /// The group whose limit was hit: this one's path, an ancestor's, or `system` for the whole machine.
    ///
    /// Empty without kills, and when it cannot be known.
    public let owner: String

    /// Makes a verdict; for backends that have it from elsewhere.
    public init(kills: UInt64, owner: String) {
        self.kills = kills
        self.owner = owner
    }

    /// Whether any process was killed.
    public var killed: Bool { kills > 0 }
}

/// What is known about memory that ran out in a group, for a program that goes on with it.
public struct OutOfMemoryRecord: Hashable, Sendable {
    /// The verdict at this moment.
    public let verdict: OutOfMemoryVerdict
    /// How often a limit was in the way at each level: the group itself first, then outwards; empty when nobody can tell.
    public let pressure: [UInt64]

    /// Makes a record of what another program has written down.
    public init(verdict: OutOfMemoryVerdict, pressure: [UInt64]) {
        self.verdict = verdict
        self.pressure = pressure
    }
}

/// Says whose limit a kill was for, from how often memory ran out at each level.
///
/// A level that ran out between the last look and a new kill has killed. With none the whole machine ran out; with more than one nobody
/// can tell, and then nobody is named.
final class OutOfMemoryJudge: Sendable {
    private struct State {
        var kills: UInt64 = 0
        /// By level: the group itself first, then outwards; nil when the past is not known.
        var events: [UInt64]?
        var owner = ""
    }

    private let state: Mutex<State>
    private let components: [String]

    /// - Parameters:
    ///   - components: Of the group's path.
    ///   - start: How often each level had run out when the group was made; nil when nobody looked.
    init(_ components: [String], start: [UInt64]?) {
        self.components = components
        state = Mutex(State(events: start))
    }

    func judge(kills: UInt64, events: [UInt64]?) -> OutOfMemoryVerdict {
        state.withLock { state in
            if kills > state.kills {
                state.owner = owner(events, since: state.events)
                // Levels are looked at only with a kill: one that has run out may not have killed yet.
                state.events = events
                state.kills = kills
            }
            return OutOfMemoryVerdict(kills: kills, owner: kills == 0 ? "" : state.owner)
        }
    }

    /// Takes over what another program knew, and judges what has happened since it has looked.
    ///
    /// - Parameters:
    ///   - record: What it knew; nil when it has left nothing.
    ///   - kills: How often the group's processes were killed by now.
    ///   - pressure: How often a limit was in the way by now.
    ///   - events: From where events are counted from now on.
    func goOn(after record: OutOfMemoryRecord?, kills: UInt64, pressure: [UInt64]?, counting events: [UInt64]?) {
        state.withLock { state in
            let past = record.map(\.pressure).flatMap { $0.count == components.count ? $0 : nil }
            state = State(kills: record?.verdict.kills ?? 0, events: past, owner: record?.verdict.owner ?? "")
            if kills > state.kills { state.owner = past == nil ? "" : owner(pressure, since: past) }
            state.kills = max(kills, state.kills)
            state.events = events
        }
    }

    private func owner(_ events: [UInt64]?, since past: [UInt64]?) -> String {
        guard let events else { return "" }
        let hit = events.indices.filter { events[$0] > past?[$0] ?? 0 }
        if hit.isEmpty { return "system" }
        // Without a past a level above may have run out for others, long ago.
        guard hit.count == 1, past != nil || hit[0] == 0 else { return "" }
        return "/" + components.dropLast(hit[0]).joined(separator: "/")
    }
}

/// The notifications of a group, which another program may begin to listen to later.
final class MemoryWatch: Sendable {
    private let notifications: Mutex<MemoryNotifications?>

    init(_ notifications: MemoryNotifications?) { self.notifications = Mutex(notifications) }

    /// Listens from now on.
    func begin(_ memory: CgroupMember) {
        // A kernel without notifications leaves the owner of a limit unknown.
        notifications.withLock { $0 = try? MemoryNotifications(memory) }
    }

    /// By level, the group itself first; nil when nobody listens.
    func events() -> [UInt64]? { notifications.withLock { $0?.events() } }
}

/// Counts how often memory ran out at a v1 group's limit and at those of the groups above it.
///
/// v1 has no such counter, but it notifies: a group's descriptor hears when the group or one above it has run out. So what
/// a level has heard beyond the level above it was its own.
final class MemoryNotifications: Sendable {
    private final class Level: Sendable {
        let counter: EventFd
        let heard = Mutex<UInt64>(0)

        init() throws(KernelError) { counter = try EventFd() }
    }

    private let levels: [Level]

    /// Registers for a group and all above it but the root, which has no limit.
    ///
    /// - Throws: where the kernel has no notifications.
    init(_ memory: CgroupMember) throws(KernelError) {
        var levels: [Level] = []
        let root = memory.hierarchy.directory.raw
        for up in 0..<memory.components.count {
            let level = try Level()
            let control = try File.open(memory.path("memory.oom_control", levelsUp: up), at: root)
            try File.writeOnce(
                memory.path("cgroup.event_control", levelsUp: up),
                "\(level.counter.raw) \(control.raw)",
                at: root
            )
            levels.append(level)
        }
        self.levels = levels
    }

    /// By level, the group itself first.
    func events() -> [UInt64] {
        let heard = levels.map { level in
            level.heard.withLock { heard in
                heard += level.counter.drain()
                return heard
            }
        }
        return heard.indices.map { index in
            let above = index + 1 < heard.count ? heard[index + 1] : 0
            return heard[index] > above ? heard[index] - above : 0
        }
    }
}
