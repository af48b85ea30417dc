import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import OCISpec
import ShimProtocol
import SwiftProtobuf

extension Container {
    /// Starts on a user's behalf.
    package func start() async throws {
        try await adopted()
        try await exclusively {
            try requireSeen()
            try requireUndamaged()
            do throws(Lifecycle.Refusal) {
                try lifecycle.startRequested()
            } catch {
                throw refusal(error, verb: "start")
            }
            try await launchAndFinish()
        }
    }

    /// Starts because the policy says so.
    func restartByPolicy() async {
        await exclusively {
            // It may run already; as soon as that is seen this restart is none.
            if isUnseen { return scheduleRestart(after: .seconds(1)) }
            guard lifecycle.restartDue() else { return }
            do {
                try await launchAndFinish()
            } catch {
                logger.error("restart by policy failed", metadata: ["error": "\(error)"])
            }
        }
    }

    /// What nobody could see is not taken for nothing.
    func requireSeen() throws {
        guard isUnseen else { return }
        throw EngineError.unreachable(id, "it cannot be seen what became of it; it is looked at again all the time")
    }

    private func launchAndFinish() async throws {
        refreshView()
        do { try await refuseSecondInstance() } catch {
            // Nothing was begun, so nothing is undone: what there is stays as it is.
            throw await startFailed(error, isRefused: true)
        }
        do {
            let pid = try await launch()
            node.faults.reached(.startStarted)
            overtaking[.initial] = nil
            await perform(lifecycle.startSucceeded(pid: pid, at: .now), exclusive: true)
            node.faults.reached(.startCommitted)
        } catch {
            // The engine ends: whether it runs, or what is to be undone, is found by the next start.
            if Task.isCancelled { throw EngineError.ending }
            if await startedByTheDead() { return }
            throw await startFailed(error, cleanUpErrors: await undoStart())
        }
    }

    /// Tells of a start that was not made.
    private func startFailed(
        _ error: any Error,
        cleanUpErrors: [String] = [],
        isRefused: Bool = false
    ) async -> EngineError {
        let program = (record.plan.resolved.entrypoint + record.plan.resolved.command).first ?? ""
        var failure = EngineError.startFailure(error, program: program, id)
        // The stages of a backend that drives other programs: it is they that are wrong, not the command.
        let isBelow = ["shim", "runtime"].contains(failure.failure?.stage)
        if isBelow || ShimConnection.isRefusal(error) || (error as? RPCError)?.status == .unavailable {
            let name = record.plan.backend
            failure.message += "; what backend '\(name)' is says 'berth backend info \(name)'"
        }
        failure.cleanUpErrors += cleanUpErrors
        await noteFailedStart(failure.message)
        // The clients that waited for this start learn of its end by the end of their connections.
        attaches = []
        let isShortage = failure.code == .resourceExhausted || ShimConnection.isShortage(error)
        let actions = lifecycle.startFailed(
            failure.message,
            exitCode: failure.startExitCode,
            isShortage: isShortage,
            isRefused: isRefused
        )
        await perform(actions, exclusive: true)
        return failure
    }

    /// The steps from nothing to a running init.
    ///
    /// Every step has a deadline; ``undoStart()`` undoes any prefix of them.
    private func launch() async throws -> Int32 {
        // The end of the run before is in its journal alone until it is written, and the journal goes with the bundle.
        guard await isWritten() else {
            throw EngineError(.resourceExhausted, "the end of the run before cannot be written to the database")
        }
        await tearDown()
        afterCommit.removeAll { $0 == .tearDown }
        // A new shim counts its events from 1 again.
        (run, journaled, durable, overtaking, probes, recordDamage) = (Random.hex(8), 0, 0, [:], 0, nil)
        counted = 0
        let (rootfs, launched) = try await prepareAndSpawn()
        let connection = try await ShimConnection.connect(
            to: paths.shimSocket,
            token: launched.token,
            deadline: node.deadlines.connect,
            group: node.group
        )
        let shim = adoptConnection(connection, process: launched.process, pidfd: launched.pidfd)
        node.faults.reached(.startConnected)
        let pid = try await shim.client.create(try createRequest(rootfs))
        let held = try believedInit(pid, of: shim)
        initProcess = held
        node.held.hold(held.pidfd, "init/pidfd", of: id)
        self.shim?.hasTask = true
        // Whether it is understood has to be known before anything runs; whether it took the policy, before anybody can stop that.
        try await learnAbilities(shim)
        try noteLearning()
        follow(shim, after: 0)
        node.faults.reached(.startCreated)
        await handOverWaitingClients()
        node.faults.reached(.startAttached)
        let started = try await shim.client.start()
        guard started == pid else {
            throw EngineError.internalFailure(
                "backend '\(record.plan.backend)' has created process \(pid), and says that it has started process \(started)"
            )
        }
        try node.faults.answered(.startReplied)
        return started
    }

    /// A shim that has died before it could answer has written down that init runs: its successor takes over.
    ///
    /// - Returns: false when it has not; then the start is undone.
    private func startedByTheDead() async -> Bool {
        guard let shim, let pidfd = shim.pidfd, await ended(pidfd, within: .milliseconds(200)) else { return false }
        let (path, damage, id) = (paths.journal, node.damage, id)
        // A journal that cannot be read tells of no start.
        let journal = try? await node.pool.run { try JournalFile.content(path, after: 0) }
        if let problem = journal?.damage { damage.tell("'\(path)'", problem, container: id) }
        let begun = journal?.events.last { $0.topic == EventTopic.start && $0.execID.isEmpty }
        guard let begun else { return false }
        let (pid, at) = (Int32(truncatingIfNeeded: begun.pid), Timestamp(begun.time))
        logger.warning("the shim has died after the start", metadata: ["pid": "\(pid)"])
        overtaking[.initial] = nil
        await perform(lifecycle.startSucceeded(pid: pid, at: at), exclusive: true, at: at)
        guard lifecycle.isActive else { return true }
        dropConnection()
        await adoptOnce()
        return true
    }

    /// The steps that block, in one visit to a thread that may.
    private func prepareAndSpawn() async throws -> ([ContainerdMount], ShimProcess.Launched) {
        let node = node
        let launch = ShimProcess.Launch(
            backend: try node.backend(record.plan.backend),
            id: id,
            paths: paths,
            run: run ?? "",
            faults: node.faults
        )
        for entry in record.plan.mounts where entry.point.kind == .bind {
            _ = try await node.isThere(entry.point.source)
        }
        let bundle = BundleWriter(
            node: node,
            paths: paths,
            record: record,
            joined: try joinedNamespaces(),
            abilities: try await node.namespaces.backends.abilities(of: launch.backend)
        )
        return try await node.pool.run {
            let rootfs = try bundle.write()
            return (rootfs, try node.making { try ShimProcess.launch(launch) })
        }
    }

    /// There is one instance of a container at most: whatever is left of another refuses the start.
    private func refuseSecondInstance() async throws {
        let (lock, place) = (paths.lock, node.cgroup(record).directory)
        let (holder, tasks) = try await node.pool.run { () -> (Int32?, [Int32]) in
            let tasks = try CgroupTasks(path: place).living()
            guard File.exists(lock) else { return (nil, tasks) }
            let file = try File.open(lock)
            return (try RecordLock.holder(file.raw), tasks)
        }
        if let pid = tasks.first {
            let more = tasks.count == 1 ? "" : " and \(tasks.count - 1) more"
            throw EngineError.conflict(
                "container \(id) cannot be started: process \(pid)\(more) of its last run is left"
            )
        }
        // A shim that has no process any more is on its way out, or is ended by the tear-down that follows.
        guard let holder, unsupervised != nil || stuck != nil else { return }
        throw EngineError.conflict("container \(id) cannot be started: its shim, process \(holder), is left")
    }

    /// Whatever a start needs and may have lost since the last one, as far as it can be seen without stopping anything.
    ///
    /// - Throws: What the start would.
    func requireStartable() async throws {
        let (node, configuration) = (node, record.configuration)
        _ = try node.backend(record.plan.backend)
        for entry in record.plan.mounts where entry.point.kind == .bind && !entry.createSource {
            guard try await node.isThere(entry.point.source) else { throw BundleWriter.missing(entry.point.source) }
        }
        try await node.pool.run {
            if let restriction = configuration.restriction { try node.profiles.check(restriction) }
        }
        _ = try joinedNamespaces()
    }

    /// The namespaces of other containers that this one joins; they must run.
    private func joinedNamespaces() throws -> [RuntimeSpec.NamespaceType: String] {
        var joined: [RuntimeSpec.NamespaceType: String] = [:]
        func join(_ reference: String, _ kind: RuntimeSpec.NamespaceType, _ file: String) throws {
            let other = try node.table.find(reference)
            guard let pid = other.view.snapshot.state.pid else {
                throw EngineError.conflict("cannot join \(kind.rawValue) of a non running container: \(other.id)")
            }
            joined[kind] = "/proc/\(pid)/ns/\(file)"
        }
        let configuration = record.configuration
        if case .container(let reference) = configuration.network { try join(reference, .network, "net") }
        if case .container(let reference) = configuration.pidMode { try join(reference, .pid, "pid") }
        if case .container(let reference) = configuration.ipcMode { try join(reference, .ipc, "ipc") }
        if let other = record.plan.userNamespace?.sharedWith { try join(other.description, .user, "user") }
        return joined
    }

    /// A policy as the shim is told of it.
    func shimPolicy(_ policy: RestartPolicy) -> ShimRestartPolicy {
        ShimRestartPolicy(policy, longestDelay: node.configuration.longestRestartDelay)
    }

    /// Whether the container is in a namespace of another, which its document names by a process that may be gone at the next
    /// start: then the engine starts it again, with a new document.
    var joinsAnother: Bool {
        let configuration = record.configuration
        if case .container = configuration.network { return true }
        if case .container = configuration.pidMode { return true }
        if case .container = configuration.ipcMode { return true }
        return record.plan.userNamespace?.sharedWith != nil
    }

    func adoptConnection(
        _ connection: ShimConnection,
        process: ShimProcess?,
        pidfd: SharedDescriptor?,
        isAdopter: Bool = false
    ) -> Shim {
        shimGeneration += 1
        var client = ShimClient(id: id, connection: connection, deadlines: node.deadlines)
        client.onSilence = { [weak self, supervisor = node.supervisor, shimGeneration] isSure in
            supervisor.start { [weak self] in await self?.calledInVain(shimGeneration, isSure: isSure) }
        }
        var shim = Shim(process: process, pidfd: pidfd, client: client, generation: shimGeneration, hasTask: false)
        shim.isAdopter = isAdopter
        self.shim = shim
        (heldGeneration, heardGeneration, isDeathTold) = (0, 0, false)
        watch(shim)
        return shim
    }

    private func createRequest(_ rootfs: [ContainerdMount]) throws -> TaskCreateRequest {
        var log = ShimLogOptions()
        log.path = paths.log
        log.maxSizeInBytes = record.plan.log.maxSizeInBytes
        log.maxFiles = UInt32(max(1, record.plan.log.maxFiles))
        log.disabled = !record.plan.log.enabled
        var options = ShimCreateOptions()
        options.log = log
        options.openStdin = record.configuration.openStdin
        options.stdinOnce = record.configuration.stdinOnce
        options.exitRecordPath = paths.exitRecord(run ?? "")
        options.backendOptions = node.configuration.backendOptions[record.plan.backend] ?? [:]
        options.systemdCgroup = node.cgroup(record).isScope
        if let health = try healthCheck() { options.health = health }
        if !joinsAnother {
            options.restart = shimPolicy(lifecycle.policy)
            options.restartCount = UInt32(lifecycle.restartCount)
        }
        var request = TaskCreateRequest()
        request.id = id.description
        request.bundle = paths.bundle
        request.rootfs = rootfs
        request.terminal = record.configuration.terminal
        request.options = Google_Protobuf_Any(packed: options)
        return request
    }

    /// Undoes whatever a start has done so far.
    ///
    /// What could not be undone is returned, and recovery will find it.
    private func undoStart() async -> [String] {
        await tearDown()
        return []
    }
}
