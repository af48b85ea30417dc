import EngineModel
package import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import ShimProtocol

/// How often the shims of one container have died lately.
///
/// A value: no clock inside.
package struct DeathRecord: Sendable, Equatable {
    private var times: [Timestamp] = []

    /// Deaths within this time count together.
    static let window = Duration.seconds(60)
    /// After so many within the window nobody takes over any more.
    static let limit = 5

    /// Counts a death.
    /// - Returns: how long to wait before the next shim is started; nil when it is not to be started.
    mutating func died(at now: Timestamp) -> Duration? {
        times.removeAll { now - $0 > Self.window }
        times.append(now)
        guard times.count <= Self.limit else { return nil }
        return times.count == 1 ? .zero : .milliseconds(50 << times.count)
    }

    /// Nobody has died: what was to follow could not be tried, or its outcome not be seen.
    mutating func takeBack() {
        if !times.isEmpty { times.removeLast() }
    }
}

extension Container {
    /// The shim is dead, and how the container is nobody has said.
    ///
    /// - Throws: when descriptors or memory are short, or a process cannot be looked at: then nothing is decided.
    func succeedShim() async throws {
        (reachable, silence) = (false, nil)
        if initProcess == nil { initProcess = try await heldInit() }
        let policy = policyOfDeath
        if !isDeathTold {
            logger.warning("the shim has died", metadata: ["policy": "\(policy.rawValue)"])
            await commit([event("shim_die", ["policy": policy.rawValue])])
            isDeathTold = true
        }
        switch policy {
        case .kill:
            // One that has ended by itself is not ended for this.
            if initProcess.flatMap(end) == nil { lifecycle.willEnd(because: "killed, for its shim has died") }
            try await killUnsupervised(why: "its shim has died")
        case .adopt: try await startSuccessor()
        }
    }

    /// Of a container whose configuration may be what is lost nobody knows that it is to be killed.
    var policyOfDeath: ShimDeath {
        record.configuration.shimDeath ?? (damage == nil ? node.configuration.shimDeath : .adopt)
    }

    /// The init process, held from the time when a shim knew it, or found by number and start time; nil when it is gone.
    func heldInit() async throws -> HeldProcess? {
        guard let pid = lifecycle.pid, pid > 0 else { return nil }
        let start = record.state.initStart
        if let start, let held = node.held[id]["init/pidfd"] {
            return HeldProcess(pid: pid, startTime: start, pidfd: held)
        }
        let tasks = CgroupTasks(path: node.cgroup(record).directory)
        return try await node.pool.run {
            // Nobody came to note when it started: what has its number in its place is it.
            if start == nil, try !tasks.living().contains(pid) { return nil }
            return try HeldProcess.find(pid: pid, startTime: start)
        }
    }

    // Adoption --------------------------------------------------------------------------------------------------------

    /// Starts a shim that takes over; a few times, if need be, and then nobody.
    private func startSuccessor() async throws {
        guard !record.plan.backend.isEmpty else {
            return await goOnUnsupervised("its shim has died, and its plan, which names the backend, is damaged")
        }
        guard try File.isThere(paths.shimState) else {
            let why = "its backend writes no state that another could go on with, or that was damaged"
            return await goOnUnsupervised("its shim has died, and \(why)")
        }
        while true {
            guard let pause = deaths.died(at: Clock.monotonic.now) else {
                return await goOnUnsupervised("\(DeathRecord.limit) shims in a row have died")
            }
            // Shutting down: the next life of the engine finds everything as it is.
            do { try await Task.sleep(for: pause) } catch { return }
            do {
                if try await takeOver() { return }
            } catch let error where ShimConnection.isShortage(error) || error is LivingShim {
                deaths.takeBack()
                throw error
            } catch {
                logger.error("no shim has taken over", metadata: ["error": "\(error)"])
                dropConnection()
            }
        }
    }

    /// One attempt.
    ///
    /// - Returns: false when the new shim has died, too.
    /// - Throws: ``LivingShim`` when there is one, which may be the one that was taken for dead, and it is not reached.
    private func takeOver() async throws -> Bool {
        guard let run else { throw EngineError.internalFailure("the run of the dead shim is not known") }
        let launch = ShimProcess.Launch(
            backend: try node.backend(record.plan.backend),
            id: id,
            paths: paths,
            run: run,
            faults: node.faults
        )
        try await correctPolicyOfTheDead()
        let (node, held) = (node, node.held[id])
        let launched = try await node.pool.run {
            try node.making { try ShimProcess.adopt(launch, held: held) }
        }
        guard let launched else { throw LivingShim(reason: "somebody holds its lock") }
        let connection: ShimConnection
        do {
            connection = try await ShimConnection.connect(
                to: paths.shimSocket,
                token: launched.token,
                deadline: node.deadlines.connect,
                group: node.group
            )
        } catch {
            // One that was just started and listens where nobody finds it would be in the way of the next.
            if ShimConnection.isRefusal(error) { await endShim(launched.pidfd, alive: true) }
            throw error
        }
        let shim = adoptConnection(connection, process: launched.process, pidfd: launched.pidfd, isAdopter: true)
        (heldGeneration, heardGeneration) = (0, 0)
        node.adopters.insert(id)
        do {
            try await learnAbilities(shim)
        } catch {
            if await ended(launched.pidfd, within: .milliseconds(200)) { return false }
            // It lives and may answer later: it is found by its lock then.
            throw LivingShim(reason: "\(error)")
        }
        (reachable, unsupervised) = (true, nil)
        self.shim?.hasTask = true
        await commit([event("shim_adopt", ["shim": String(launched.process.pid)])])
        logger.notice("a new shim has taken over", metadata: ["shim": "\(launched.process.pid)"])
        await reportEnds(to: shim)
        // Sessions whose start nobody has answered are among them.
        await compareExecs()
        follow(shim, after: journaled)
        return true
    }

    /// Tells a shim that is nobody's parent what was reaped here before it was there.
    private func reportEnds(to shim: Shim) async {
        if let initProcess, let status = end(of: initProcess) {
            await report(.initial, initProcess.pid, status, to: shim)
        }
        for exec in execs.values {
            guard case .running(let pid) = exec.phase, let end = heldEnd(of: exec.id, pid) else { continue }
            await report(.exec(exec.id), pid, end, to: shim)
        }
    }

    /// A process of this container was reaped by the engine: its shim is not its parent.
    package func reaped(_ end: OrphanReaper.End) async {
        guard let shim, shim.isAdopter else { return }
        if end.pid == initProcess?.pid, end.startTime == initProcess?.startTime {
            return await report(.initial, end.pid, end.status, to: shim)
        }
        for exec in execs.values where exec.phase == .running(pid: end.pid) {
            return await report(.exec(exec.id), end.pid, end.status, to: shim)
        }
    }

    private func report(_ name: ProcessName, _ pid: Int32, _ status: ExitStatus, to shim: Shim) async {
        let exec: ExecID? = if case .exec(let id) = name { id } else { nil }
        do {
            try await shim.client.reportExit(exec: exec, pid: pid, status: status)
        } catch {
            // It has its own ways to find out, and says so where it cannot.
            logger.info("exit was not taken by the shim", metadata: ["pid": "\(pid)", "error": "\(error)"])
        }
    }

    // Without a shim --------------------------------------------------------------------------------------------------

    /// Lets the container run on although nobody supervises it, and says so; its end is still seen.
    func goOnUnsupervised(_ reason: String) async {
        unsupervised = reason
        dropConnection()
        logger.error("container runs without supervision", metadata: ["reason": "\(reason)"])
        await dismissClients(reason)
        await commit([event("unsupervised", ["reason": reason])])
        guard let held = initProcess else { return await goOnUnknown(reason) }
        let (waiter, run) = (node.waiter, run)
        node.supervisor.start { [weak self] in
            guard await waiter.readable(held.pidfd.raw), let self else { return }
            await self.exclusively {
                guard await self.run == run, await self.unsupervised != nil else { return }
                await self.endUnsupervised(unknown: "\(reason); nobody tells how its first process ended")
            }
            await self.removeIfWanted()
        }
    }

    /// Nobody knows the first process: what is in the container's group runs on, and its end is that of the last one there.
    private func goOnUnknown(_ reason: String) async {
        let (run, why) = (run, "\(reason); nobody knows which was its first process")
        guard await isEmpty() != true else { return await endUnsupervised(unknown: why) }
        node.supervisor.start { [weak self] in
            // Version 1 of cgroups tells nobody of the last end in a group.
            while await self?.isEmpty() != true {
                do { try await Task.sleep(for: .seconds(1)) } catch { return }
                guard await self?.run == run, await self?.unsupervised != nil else { return }
            }
            guard let self else { return }
            await self.exclusively {
                guard await self.run == run, await self.unsupervised != nil else { return }
                await self.endUnsupervised(unknown: why)
            }
            await self.removeIfWanted()
        }
    }

    /// Whether nothing runs in the container's group; nil when it cannot be looked at now.
    private func isEmpty() async -> Bool? {
        let tasks = CgroupTasks(path: node.cgroup(record).directory)
        return try? await node.pool.run { try tasks.isIdle() }
    }

    /// Kills everything of a container that has no shim, and records how its init ended.
    ///
    /// The caller holds ``exclusively(_:)``.
    /// - Throws: when it cannot be seen what is left; then no end is recorded.
    func killUnsupervised(why: String) async throws {
        let tasks = CgroupTasks(path: node.cgroup(record).directory)
        let left = try await node.pool.run { try tasks.kill(within: .seconds(1)) }
        if !left.isEmpty {
            unsupervised = why
            await becameStuck()
            return await goOnUnsupervised(why)
        }
        await endUnsupervised(unknown: "\(why), and nobody tells how its first process ended")
    }

    /// The init process is gone: its true status where the kernel or its parent tells, and what is left of it is killed.
    ///
    /// The caller holds ``exclusively(_:)``.
    private func endUnsupervised(unknown reason: String) async {
        guard lifecycle.isActive else { return }
        var status = await initStatus(within: .seconds(1))
        let tasks = CgroupTasks(path: node.cgroup(record).directory)
        // The tear-down does it again.
        _ = try? await node.pool.run { try tasks.kill(within: .seconds(1)) }
        // It may have waited for one of those.
        if status == nil { status = await initStatus(within: .milliseconds(100)) }
        let exit = Lifecycle.Exit(
            how: ContainerExit(status: status.map(ProcessExit.init) ?? .unknown(reason)),
            at: .now
        )
        await recordExit(exit)
        // What could not be seen of it is over.
        (unsupervised, isUnseen) = (nil, false)
        await endLostExecs(at: exit.at)
        await perform(lifecycle.exited(exit), exclusive: true, at: exit.at)
    }

    /// Looks how the processes ended that a silent shim has not reaped: whoever inherits them reaps them at once and tells nobody, and
    /// before Linux 6.15 the kernel does not either.
    func seeEnds() async {
        seenEnds[.initial] = await initStatus(within: .milliseconds(500))
        for exec in execs.values {
            guard case .running(let pid) = exec.phase else { continue }
            seenEnds[.exec(exec.id)] = heldEnd(of: exec.id, pid)
        }
    }

    /// How init ended, as soon as it is seen.
    private func initStatus(within deadline: Duration) async -> ExitStatus? {
        if let seen = seenEnds[.initial] { return seen }
        guard let initProcess else { return nil }
        let end = Clock.monotonic.now + deadline
        while true {
            if let status = self.end(of: initProcess) { return status }
            if Clock.monotonic.now >= end { return nil }
            // Another process reaps it, of which there is no event.
            do { try await Task.sleep(for: .milliseconds(5)) } catch { return nil }
        }
    }

    /// Writes the exit record in a dead shim's place: an end must not be lost with the engine either.
    private func recordExit(_ exit: Lifecycle.Exit) async {
        guard let run else { return }
        let record = ExitRecord(pid: lifecycle.pid ?? 0, exit: exit, startedAt: lifecycle.startedAt)
        let (path, id, count) = (paths.exitRecord(run), id, lifecycle.restartCount)
        do {
            try await node.pool.complete {
                try File.writeAtomically(path, try record.document(of: id, restartCount: count), durable: true)
            }
        } catch {
            logger.error("exit record was not written", metadata: ["error": "\(error)"])
        }
    }
}

/// A shim lives and is not reached: no other one may take its place.
struct LivingShim: Error {
    let reason: String
}

extension ProcessExit {
    /// What wait(2) says.
    init(_ status: ExitStatus) {
        self =
            switch status {
            case .exited(let code): .code(code)
            case .signaled(let signal, _): .signal(signal)
            }
    }
}
