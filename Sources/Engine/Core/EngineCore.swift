import DocumentTexts
import EngineContainer
import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import NIOPosix
import Seccomp

/// What the public methods call: look-ups, lists, and everything that is about more than one container.
final class EngineCore: Sendable {
    let node: Node
    private let rootLock: SharedDescriptor
    private let leftovers: Leftovers
    /// Ids of containers whose rows cannot be read.
    let setAside: Set<String>

    private init(node: Node, rootLock: SharedDescriptor, leftovers: Leftovers, setAside: Set<String>) {
        self.node = node
        self.rootLock = rootLock
        self.leftovers = leftovers
        self.setAside = setAside
    }

    /// Threads for blocking calls: enough that a slow image load does not hold up a start.
    private static let blockingThreads = 16

    static func open(_ configuration: EngineConfiguration, held: HeldDescriptors) async throws -> EngineCore {
        let paths = Paths(root: configuration.root, state: configuration.state)
        let pool = BlockingPool(threads: blockingThreads)
        do {
            let rootLock = try await pool.run { try prepareDirectories(paths) }
            let hub = EventHub()
            let damage = DamageLog(configuration.logger)
            let (store, isNew) = try await pool.run { try openStore(paths, hub, damage) }
            hub.connect(store, last: try await store.lastEvent())
            // Before anything is read of the rows: ids that containers hold, for example.
            let repair = RowRepair(paths: paths, store: store, hub: hub, pool: pool, damage: damage) { id in
                let manager = SystemFacts.cgroupManager(configuration.cgroupManager)
                let own = configuration.cgroupParent
                // The engine's own is of its form.
                let place = try? CgroupPlace(id, manager: manager, own: own, parent: "")
                return place ?? CgroupPlace(text: "/\(own)/\(id)")
            }
            let rows = try await repair.restore(isNew: isNew)
            let images = try await pool.run { try ImageService(paths) }
            if File.exists(images.damagedIndex) {
                let reason = "it is not as it was written; what can be read of it is used"
                damage.tell(
                    "'\(paths.content)/index.json.check' or the list of images beside it",
                    reason,
                    movedTo: images.damagedIndex
                )
            }
            let namespaces = try await UserNamespaces.open(configuration, paths, store, pool)
            // From here on what ends below this process is reaped; the probes above wait for their own children.
            let orphans = configuration.inheritsOrphans ? try OrphanReaper() : nil
            let node = try Node(
                configuration: configuration,
                paths: paths,
                store: store,
                hub: hub,
                images: images,
                pool: pool,
                strangers: PathLooks(threads: blockingThreads),
                held: held,
                orphans: orphans,
                namespaces: namespaces,
                damage: damage
            )
            return try await load(node, rootLock, rows)
        } catch {
            await pool.shutdown()
            throw EngineError.wrap(error, "open '\(configuration.root)'")
        }
    }

    private static func prepareDirectories(_ paths: Paths) throws -> SharedDescriptor {
        for directory in [
            paths.root, paths.state, paths.content, paths.snapshots, paths.volumes, paths.seccomp, paths.profiles,
            paths.containers, paths.bundles,
        ] {
            try File.makeDirectories(directory, mode: 0o700)
        }
        let lock = try File.open(paths.lock, [.readWrite, .create], mode: 0o600)
        guard try lock.lock(within: .seconds(5)) else {
            throw EngineError.conflict("another engine uses '\(paths.root)'")
        }
        // Names and environments of containers: SQLite makes a file with the mode of the day, and its journals like it.
        try File.open(paths.database, [.readWrite, .create, .noFollow], mode: 0o600).changeMode(0o600)
        return SharedDescriptor(lock)
    }

    private static func load(_ node: Node, _ rootLock: SharedDescriptor, _ rows: Rows) async throws -> EngineCore {
        for row in rows.unreadable { if let name = row.name { node.table.reserve(name, text: row.id) } }
        for record in rows.records {
            node.table.insert(Container(record, node: node, isNew: false), name: record.name)
        }
        for found in rows.damaged {
            let container = Container(found.record, node: node, isNew: false, damage: found.reason)
            node.table.insert(container, name: found.record.name)
        }
        // What is there now and is nobody's was left by a crash: nothing that is made from here on has such an id.
        let leftovers = try await node.pool.run { try Leftovers(node, known: rows.known) }
        do {
            try await leftovers.releaseIDs(node)
            try await node.store.trimEvents(keeping: 100_000)
        } catch {
            // On a full disk, for example. The next start does it; what is to be given back stays held.
            node.logger.warning("the database was not tidied", metadata: ["error": "\(error)"])
        }
        let setAside = rows.unreadable.map(\.id) + rows.damaged.map(\.record.id.description)
        return EngineCore(node: node, rootLock: rootLock, leftovers: leftovers, setAside: Set(setAside))
    }

    /// Recovery, then supervision.
    func run() async throws {
        let (node, leftovers) = (node, leftovers)
        await withTaskCancellationHandler {
            await withDiscardingTaskGroup { group in
                group.addTask { await node.supervisor.run() }
                group.addTask {
                    // The pool lends a thread for as long as the engine runs.
                    try? await node.pool.run { node.waiter.loop() }
                }
                if let orphans = node.orphans { group.addTask { await Self.reap(orphans, node) } }
                node.damage.connect { note in node.supervisor.start { await Self.write(note, node) } }
                node.supervisor.start { await Self.adoptAll(node) }
                node.supervisor.start { await leftovers.remove(node) }
                node.supervisor.start { await self.writeCopies() }
                node.supervisor.start { await Self.examine(node) }
                node.supervisor.start { await Self.watchShims(node) }
                node.supervisor.start { await Self.boundLogs(node) }
            }
            // A few calls that cannot wait, made here: a cancelled task gets no thread of the pool.
            CgroupCleaner.removeIfEmpty(node.configuration.cgroupParent)
            // Whoever still writes now is told so; there is nobody left whom it would concern.
            try? node.store.close()
            await node.pool.shutdown()
            // Those of its threads that hang would be waited for without end.
            node.strangers.abandon()
        } onCancel: {
            node.supervisor.stop()
            node.waiter.stop()
            node.hub.close()
        }
    }

    private static func adoptAll(_ node: Node) async {
        let gate = AdoptionGate()
        for container in node.table.all {
            if Task.isCancelled { return }
            await gate.enter()
            node.supervisor.start {
                await container.adopt()
                await gate.leave()
            }
        }
    }

    /// An event for everything that is damaged, so that operators can watch for it.
    private static func write(_ note: DamageNote, _ node: Node) async {
        var known: [String: String] = [:]
        if let snapshot = note.container.flatMap({ node.table[$0]?.view.snapshot }) {
            known = snapshot.resolved.labels
            (known["name"], known["image"]) = (snapshot.name, snapshot.configuration.image)
        }
        do { try await node.store.write(events: [note.event(known)]) } catch {
            node.logger.error("event of a damage was not written", metadata: ["error": "\(error)"])
        }
    }

    /// Looks at what was written and is not read before it is needed, behind everything that users wait for.
    private static func examine(_ node: Node) async {
        // It fails where the engine ends.
        try? await node.examineShared()
        for container in node.table.all {
            if Task.isCancelled { return }
            await container.examineFiles()
        }
        do {
            for problem in try await node.store.examineRest() {
                node.damage.tell("'\(node.paths.database)'", problem)
            }
        } catch is CancellationError {
            return  // the engine ends
        } catch {
            node.logger.warning("the rest of the database was not looked at", metadata: ["error": "\(error)"])
        }
    }

    /// Looks at the processes of all shims again and again, without waking any of them; of a thousand every five seconds.
    private static func watchShims(_ node: Node) async {
        while !Task.isCancelled {
            let containers = node.table.all
            let pause = max(.seconds(2), .milliseconds(5) * containers.count)
            do { try await Task.sleep(for: pause) } catch { return }
            for container in containers { await container.lookAtShim() }
        }
    }

    /// Cuts the logs of shims that are too long; soon again where one was, for whoever has filled it goes on.
    private static func boundLogs(_ node: Node) async {
        while !Task.isCancelled {
            let logs = node.table.all.map(\.paths.shimLog)
            guard let hasCut = try? await node.pool.run({ ShimLogBound.cut(logs) }) else { return }  // the engine ends
            let pause = hasCut ? .milliseconds(100) : max(.seconds(2), .milliseconds(5) * logs.count)
            do { try await Task.sleep(for: pause) } catch { return }
        }
    }

    /// Reaps what this process has inherited, and tells the shims that are not the parents of theirs.
    private static func reap(_ orphans: OrphanReaper, _ node: Node) async {
        while await node.waiter.readable(orphans.descriptor) {
            for end in orphans.sweep() {
                for id in node.adopters.all { await node.table[id]?.reaped(end) }
            }
        }
    }

    func shutdown() async {
        node.supervisor.stop()
        node.waiter.stop()
        node.hub.close()
    }

    func events(_ request: EventRequest) async throws -> EventSequence {
        for key in request.filters.keys where !EventFilter.keys.contains(key) {
            throw EngineError.invalid("invalid filter '\(key)'")
        }
        var (start, missed) = (node.hub.last, false)
        if let after = request.after {
            // A cursor that was never given out is that of a database which is lost.
            missed = after > start
            start = min(after, start)
            do {
                let oldest = try await node.store.firstEvent()
                if let oldest, start < oldest - 1 { (start, missed) = (oldest - 1, true) }
            } catch {
                throw EngineError.wrap(error, "read events")
            }
        }
        if let since = request.since {
            do {
                start = try await node.store.eventCursor(since: since) ?? node.hub.last
            } catch {
                throw EngineError.wrap(error, "read events")
            }
        }
        return EventSequence(hub: node.hub, request: request, start: start, missed: missed)
    }
}
