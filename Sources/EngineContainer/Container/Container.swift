package import EngineModel
package import EngineShim
import EngineSpec
package import EngineStore
package import Kernel
import Logging
import Synchronization

/// One container: owns its state machine, its shim's connection and everybody who waits for it.
///
/// Steps that must not overlap (start, tear-down, removal) run under ``exclusively(_:)``; everything else may interleave at
/// any await and therefore looks at the state again.
package actor Container {
    package nonisolated let id: ContainerID
    package nonisolated let node: Node
    package nonisolated let paths: ContainerPaths
    nonisolated let logger: Logger
    /// What list and inspect show: kept by the actor, read by anybody without waiting for it.
    package nonisolated let view: View
    /// The image's manifest, whose blobs stay as long as the container does.
    package nonisolated let manifest: String
    /// What of its configuration is lost; nil for nothing.
    ///
    /// Where something is, the record holds placeholders, which are never written.
    package nonisolated let damage: String?

    package var record: ContainerRecord
    package var lifecycle: Lifecycle
    package var shim: Shim?
    var reachable = true {
        didSet { if reachable, let silence { silenceIsOver(silence) } }
    }
    /// The shim that does not answer, since when, and what it does; nil while it answers, and when there is none.
    var silence: SilentShim?
    /// The generation of the shim that is being asked whether it still answers; 0 for none.
    var doubted: UInt64 = 0
    /// Whether the present shim starts the container again by itself.
    var shimRestarts = false
    /// What is known of its health; nil without a check.
    var health: HealthSnapshot?
    /// Probes that the shim has told of.
    var probes: UInt64 = 0
    /// The run that the shim's journal is of.
    var run: String?
    /// Events of this run up to here have been taken in.
    var journaled: UInt64 = 0
    /// Events of this run up to here are in the database: the shim may forget them.
    var durable: UInt64 = 0
    /// The last report of system calls of this run that was counted.
    var counted: UInt64 = 0
    /// The run that a profile was told to learn of.
    var learningRun: String?
    /// Which profile of its name a run was started under; of one run.
    var startedUnder: (run: String?, identity: String?)?
    /// Numbers of events that have overtaken what they need, by what they are about.
    var overtaking: [ProcessName: UInt64] = [:]
    var outbox = Outbox()
    /// What is done as soon as a state is written that could not be written.
    var afterCommit: [Lifecycle.Action] = []
    /// The init process of the present run, held from outside of the shim.
    var initProcess: HeldProcess?
    /// How processes ended that lie unreaped with a silent shim, while that is being ended.
    var seenEnds: [ProcessName: ExitStatus] = [:]
    /// The end of the init process that was seen while the shim was silent.
    var silentEnd: SilentEnd?
    /// When the init process started whose end is waited for because the shim was silent.
    var watchedStart: UInt64?
    /// Generation of what is held of the shim.
    var heldGeneration: UInt64 = 0
    /// Generation that the shim has spoken of last.
    var heardGeneration: UInt64 = 0
    /// Whether it could not be seen what became of the container when it was looked at last: then it is not for granted that nothing
    /// runs, whatever the database says.
    var isUnseen = false
    /// How often in a row the shim was silent.
    var silences = 0
    /// How shims have died lately.
    var deaths = DeathRecord()
    /// Whether the death of the present run's last shim was told.
    var isDeathTold = false
    /// Why the bundle could not be removed the last time; nil when it could.
    var removalObstacle: String?
    /// Why the exit record of the present run cannot be read.
    var recordDamage: String?
    /// Why nobody supervises what runs; nil when a shim does.
    var unsupervised: String?
    /// What is left after a kill, and since when.
    var stuck: StuckState?
    /// Whether the container goes as soon as it has ended.
    var removalWanted = false
    /// How often it could not be removed although its configuration says so.
    var failedRemovals = 0
    var waits: [Wait] = []
    var attaches: [PendingAttach] = []
    var execs: [ExecID: Exec] = [:]
    /// Sessions whose end was told of before the shim's journal could tell.
    var comparedEnds: Set<ExecID> = []
    /// Completes at the end of a session that has a client.
    var execEnds: [ExecID: Promise<Void>] = [:]
    package var logFollowers: [Weak<LogFollower>] = []
    /// Completes when what an earlier life left has been adopted, finished or undone.
    package nonisolated let adoption: Promise<Void>
    var removal: Promise<Void>?
    /// Whether the shim's program is being replaced.
    package var isUpgradingShim = false
    var shimGeneration: UInt64 = 0
    private var busy = false
    private var queue: [CheckedContinuation<Void, Never>] = []

    /// A shim with its connection.
    package struct Shim: Sendable {
        package var process: ShimProcess?
        var pidfd: SharedDescriptor?
        package var client: ShimClient
        var generation: UInt64
        /// What it can, by its own words; nil before it has answered.
        var capabilities: Set<String>?
        /// Whether it is not the parent of what it supervises.
        var isAdopter = false
        /// Whether the task exists, so that clients can be handed over.
        var hasTask: Bool
    }

    /// Somebody who waits, held weakly: who has gone away is forgotten.
    struct Wait {
        var condition: WaitCondition
        var promise: Weak<Promise<WaitResult>>
    }

    package final class View: Sendable {
        private let value: Mutex<ContainerSnapshot>

        init(_ snapshot: ContainerSnapshot) { value = Mutex(snapshot) }

        package var snapshot: ContainerSnapshot {
            get { value.withLock { $0 } }
            set { value.withLock { $0 = newValue } }
        }
    }

    package init(_ record: ContainerRecord, node: Node, isNew: Bool, damage: String? = nil) {
        id = record.id
        self.damage = damage
        self.node = node
        self.record = record
        manifest = record.plan.manifest
        paths = node.paths.container(record.id)
        var logger = node.logger
        logger[metadataKey: "container"] = "\(record.id.short)"
        self.logger = logger
        let lifecycle = Lifecycle(
            restored: record.state,
            policy: record.configuration.restartPolicy,
            autoRemove: record.configuration.autoRemove
        )
        self.lifecycle = lifecycle
        run = record.state.run
        journaled = record.state.journaled ?? 0
        durable = journaled
        counted = record.state.counted ?? 0
        removalWanted = record.state.removalWanted ?? false
        health = record.state.health
        adoption = Promise()
        view = View(
            Self.snapshot(
                record,
                lifecycle,
                paths: node.paths.container(record.id),
                Condition(health: record.state.health, damage: damage, shimDeath: node.configuration.shimDeath),
                execs: []
            )
        )
        if isNew { adoption.resolve(.success(())) }
    }

    // One at a time ---------------------------------------------------------------------------------------------------

    /// Runs `body` when every earlier step has finished.
    ///
    /// No deadline: each step inside has its own.
    package func exclusively<T: Sendable>(_ body: () async throws -> T) async rethrows -> T {
        if busy {
            await withCheckedContinuation { queue.append($0) }
        } else {
            busy = true
        }
        defer {
            if queue.isEmpty { busy = false } else { queue.removeFirst().resume() }
        }
        return try await body()
    }

    /// Waits until this container is adopted, with a deadline.
    package nonisolated func adopted() async throws {
        if adoption.isResolved { return }
        let deadline = node.deadlines.adoption + node.deadlines.call
        guard try await adoption.value(within: deadline) != nil else {
            throw EngineError.unreachable(id, "it is still being adopted")
        }
    }

    /// - Throws: what to do with a container of which something is lost.
    func requireUndamaged() throws {
        guard let damage else { return }
        throw EngineError.conflict(
            "container \(id) is damaged (\(damage)): it can be stopped and removed, and has to be created anew"
        )
    }

    // Showing ---------------------------------------------------------------------------------------------------------

    func refreshView() {
        var condition = Condition(
            reachable: reachable,
            unsupervised: unsupervised,
            stuck: stuck,
            damage: damage,
            shimDeath: node.configuration.shimDeath
        )
        (condition.health, condition.silence) = (health, silence)
        view.snapshot = Self.snapshot(record, lifecycle, paths: paths, condition, execs: Array(execs.keys))
    }

    /// What is the matter with a container beyond its life.
    private struct Condition {
        var reachable = true
        var unsupervised: String?
        var stuck: StuckState?
        var health: HealthSnapshot?
        var silence: SilentShim?
        var damage: String?
        /// The engine's default.
        var shimDeath: ShimDeath
    }

    private static func snapshot(
        _ record: ContainerRecord,
        _ lifecycle: Lifecycle,
        paths: ContainerPaths,
        _ condition: Condition,
        execs: [ExecID]
    ) -> ContainerSnapshot {
        let resolved = record.plan.resolved
        let command = resolved.entrypoint + resolved.command
        var snapshot = ContainerSnapshot(
            id: record.id,
            name: record.name,
            created: record.created,
            configuration: record.configuration,
            imageID: record.plan.imageID,
            path: command.first ?? "",
            arguments: Array(command.dropFirst()),
            resolved: resolved,
            state: ContainerState(
                status: lifecycle.status,
                pid: lifecycle.pid,
                exit: lifecycle.isActive ? nil : lifecycle.lastExit,
                error: lifecycle.error,
                startedAt: lifecycle.startedAt,
                finishedAt: lifecycle.finishedAt,
                reachable: condition.reachable,
                unsupervised: condition.unsupervised,
                stuck: condition.stuck,
                damaged: condition.damage
            ),
            mounts: record.plan.mounts.map(\.point),
            restartCount: lifecycle.restartCount,
            logPath: record.plan.log.enabled ? paths.log : nil,
            hostsPath: paths.hosts,
            resolvConfPath: paths.resolvConf,
            hostnamePath: paths.hostname,
            backend: record.plan.backend,
            userNamespace: record.plan.userNamespace ?? .older,
            execIDs: execs,
            shimDeath: record.configuration.shimDeath ?? condition.shimDeath
        )
        (snapshot.state.health, snapshot.state.silence) = (condition.health, condition.silence)
        return snapshot
    }

    // Writing ---------------------------------------------------------------------------------------------------------

    /// Attributes of every event of this container.
    var eventAttributes: [String: String] {
        var attributes = record.plan.resolved.labels
        attributes["image"] = record.configuration.image
        attributes["name"] = record.name
        return attributes
    }

    package func event(_ action: String, at time: Timestamp = .now, _ extra: [String: String] = [:]) -> EventDraft {
        EventDraft(
            time: time,
            kind: .container,
            action: action,
            id: id.description,
            attributes: eventAttributes.merging(extra) { _, new in new }
        )
    }

    // Waiting ---------------------------------------------------------------------------------------------------------

    package func wait(_ condition: WaitCondition) -> ContainerWait {
        let promise = Promise<WaitResult>()
        // Its end does not wait for its removal.
        let atRest = [.created, .exited, .dead, .removing].contains(lifecycle.phase)
        if condition == .notRunning, atRest {
            promise.resolve(.success(waitResult()))
        } else if condition == .removed, lifecycle.phase == .removed {
            promise.resolve(.success(waitResult()))
        } else {
            waits.removeAll { $0.promise.object == nil }
            waits.append(Wait(condition: condition, promise: Weak(object: promise)))
        }
        return ContainerWait { try await promise.value() }
    }

    /// What a wait is answered: `code`, or that of the last end; why, when nobody knows it.
    func waitResult(_ code: Int? = nil) -> WaitResult {
        let exit = lifecycle.lastExit
        guard case .unknown(let reason)? = exit?.status, code ?? exit?.status.number == exit?.status.number else {
            return WaitResult(exitCode: code ?? exit?.status.number ?? 0)
        }
        return WaitResult(exitCode: code ?? exit?.status.number ?? 0, error: "exit status unknown: \(reason)")
    }

    func releaseWaits(_ conditions: Set<WaitCondition>, _ result: WaitResult) {
        for wait in waits where conditions.contains(wait.condition) { wait.promise.object?.resolve(.success(result)) }
        waits.removeAll { conditions.contains($0.condition) || $0.promise.object == nil }
        if conditions.contains(.notRunning) { endLogFollowers() }
    }

    func endLogFollowers() {
        for follower in logFollowers { follower.object?.containerEnded() }
        logFollowers = []
    }
}
