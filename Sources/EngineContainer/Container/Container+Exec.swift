import DocumentTexts
package import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import OCISpec
import ShimProtocol

/// One exec session.
package struct Exec: Sendable, Codable {
    /// Where it is.
    enum Phase: Sendable, Equatable, Codable {
        case created
        case starting
        case running(pid: Int32)
        /// Ended with a code, 128 + signal, or 126 and 127 for a start that failed.
        case ended(code: Int, pid: Int32?)
    }

    let id: ExecID
    var configuration: ExecConfiguration
    var phase = Phase.created
    /// An end that overtook the answer to its start.
    var earlyEnd: End?
    var startedAt: StoredTime?
    var endedAt: StoredTime?
    var timedOut: Bool?
    var createdAt: StoredTime?
    /// What is the matter with it beyond its end.
    var problem: String?

    /// How and when it ended.
    struct End: Sendable, Codable {
        var code: Int
        var pid: Int32
        var at: StoredTime
        var timedOut: Bool?
        /// Why the code is that of an unknown end.
        var unknown: String?

        init(_ status: ProcessExit, pid: Int32, at: StoredTime, timedOut: Bool? = nil) {
            (code, self.pid, self.at, self.timedOut) = (status.number, pid, at, timedOut)
            if case .unknown(let reason) = status { unknown = reason }
        }
    }
}

extension Container {
    package func createExec(_ configuration: ExecConfiguration) async throws -> ExecID {
        try await adopted()
        try checkExecAllowed()
        guard !configuration.command.isEmpty else { throw EngineError.invalid("No exec command specified") }
        for text in configuration.command { try ConfigurationCheck.noNUL(text, "argument") }
        for text in configuration.environment { try ConfigurationCheck.variable(text) }
        try ConfigurationCheck.workingDirectory(configuration.workingDirectory)
        try ConfigurationCheck.user(configuration.user)
        try checkRights(configuration)
        if let keys = configuration.detachKeys, !keys.isEmpty { try Self.check(detachKeys: keys) }
        forgetSessions()
        var exec = Exec(id: .random(), configuration: configuration)
        exec.createdAt = StoredTime(.now)
        execs[exec.id] = exec
        node.table.insert(exec.id, of: id)
        refreshView()
        await keep(exec.id)
        let command = configuration.command.joined(separator: " ")
        await publish([event("exec_create: \(command)", ["execID": exec.id.description])])
        node.faults.reached(.execCreated)
        return exec.id
    }

    /// What a container is held to holds all of its processes: a session is no way around it.
    private func checkRights(_ configuration: ExecConfiguration) throws {
        guard configuration.privileged, let restriction = record.configuration.restriction else { return }
        let what = restriction.mode == .learn ? "teaches" : "is held to"
        throw EngineError.invalid(
            "exec: 'privileged' and profile '\(restriction.profile)', which container \(record.name) \(what), exclude each other"
        )
    }

    func checkExecAllowed() throws {
        switch lifecycle.phase {
        case .running: return
        case .paused: throw EngineError.conflict("Container \(id) is paused, unpause the container before exec")
        case .restarting, .awaitingRestart: throw refusal(.restarting, verb: "exec")
        default: throw EngineError.conflict("container \(id) is not running")
        }
    }

    func snapshot(of exec: Exec) -> ExecSnapshot {
        var snapshot = ExecSnapshot(
            id: exec.id,
            containerID: id,
            configuration: exec.configuration,
            user: exec.configuration.user.isEmpty ? record.plan.resolved.user : exec.configuration.user,
            running: false
        )
        snapshot.startedAt = exec.startedAt?.timestamp
        snapshot.endedAt = exec.endedAt?.timestamp
        snapshot.timedOut = exec.timedOut ?? false
        snapshot.problem = exec.problem
        switch exec.phase {
        case .created: break
        case .starting: snapshot.running = true
        case .running(let pid): (snapshot.running, snapshot.pid) = (true, pid)
        case .ended(let code, let pid): (snapshot.exitCode, snapshot.pid) = (code, pid)
        }
        return snapshot
    }

    /// How long an inspect waits for the end of a session that has a client.
    ///
    /// Clients ask for the code as soon as their stream has ended, which is a moment before the process is reaped; Docker's takes
    /// the code of a session that still runs for 0.
    private static var endGrace: Duration { .seconds(1) }

    package func inspectExec(_ exec: ExecID) async throws -> ExecSnapshot {
        try await adopted()
        if let end = execEnds[exec] { _ = try await end.value(within: Self.endGrace) }
        guard let exec = execs[exec] else { throw EngineError.noSuchExec(exec.description) }
        return snapshot(of: exec)
    }

    /// A process of a session runs, of which a crashed life of the engine did not learn.
    func execStarted(_ event: ShimEvent) {
        guard let id = ExecID(event.execID), let phase = execs[id]?.phase else { return }
        guard phase == .created || phase == .running(pid: 0) else { return }
        execs[id]?.phase = .running(pid: Int32(truncatingIfNeeded: event.pid))
        if let exec = execs[id] { awaitEnd(exec) }
    }

    /// A client of an earlier life will ask for the code as soon as its stream ends.
    func awaitEnd(_ exec: Exec) {
        let configuration = exec.configuration
        let hasClient = configuration.attachStdin || configuration.attachStdout || configuration.attachStderr
        if hasClient, case .running = exec.phase, execEnds[exec.id] == nil { execEnds[exec.id] = Promise() }
    }

    /// The process of an exec: the container's own confinement with what was asked to be different.
    func process(_ exec: ExecConfiguration) throws -> RuntimeSpec.Process {
        let plan = record.plan
        var configuration = record.configuration
        try checkRights(exec)
        configuration.privileged = configuration.privileged || exec.privileged
        var process = RuntimeSpec.Process()
        process.terminal = exec.terminal
        if exec.terminal, let size = exec.consoleSize {
            process.consoleSize = RuntimeSpec.ConsoleSize(height: UInt32(size.height), width: UInt32(size.width))
        }
        let user = exec.user.isEmpty ? plan.resolved.user : exec.user
        process.user = SpecBuilder.user(user, groups: configuration.additionalGroups)
        process.args = exec.command
        let terminal = exec.terminal ? ["TERM=xterm"] : []
        process.env = Resolution.merge(plan.resolved.environment + terminal + exec.environment)
        process.cwd = exec.workingDirectory.isEmpty ? plan.resolved.workingDirectory : exec.workingDirectory
        process.capabilities = try SpecBuilder.capabilities(configuration)
        process.noNewPrivileges = configuration.noNewPrivileges
        (process.apparmorProfile, process.selinuxLabel) = SpecBuilder.labels(configuration)
        process.oomScoreAdj = configuration.oomScoreAdjustment
        process.rlimits = configuration.ulimits.map(SpecBuilder.rlimit)
        return process
    }

    /// An exec's process ended: the one terminal event of a session.
    func execEnded(_ event: ShimEvent) async {
        // What was seen by comparing is told once.
        guard let id = ExecID(event.execID), comparedEnds.remove(id) == nil else { return }
        let end = Exec.End(
            ContainerExit(event.exit).status,
            pid: Int32(truncatingIfNeeded: event.pid),
            at: StoredTime(Timestamp(event.exit.exitedAt)),
            timedOut: event.exit.timedOut ? true : nil
        )
        if execs[id]?.phase == .starting {
            execs[id]?.earlyEnd = end
            overtaking[.exec(id)] = event.seq
        } else {
            await ended(id, end)
        }
    }

    /// Records the end of a session, once it is known; the event of one that is told already is not told again.
    func ended(_ id: ExecID, _ end: Exec.End, isTold: Bool = false) async {
        node.faults.reached(.execEnded)
        execs[id]?.phase = .ended(code: end.code, pid: end.pid)
        execs[id]?.endedAt = end.at
        execs[id]?.timedOut = end.timedOut
        if let reason = end.unknown { execs[id]?.problem = "exit status unknown: \(reason)" }
        overtaking[.exec(id)] = nil
        execEnds.removeValue(forKey: id)?.resolve(.success(()))
        let isNoted = await keep(id)
        let word = ["execID": id.description, "exitCode": String(end.code)]
        await commit(isTold ? [] : [event("exec_die", at: end.at.timestamp, word)])
        // The shim forgets the session once the engine keeps its code. One that it has forgotten already is what is wanted.
        guard isNoted else { return }
        _ = try? await shim?.client.delete(exec: id)
    }

    /// Notes a session beside the bundle, so that the next life of the engine knows it: it lives as long as the container runs.
    ///
    /// - Returns: whether it is noted.
    @discardableResult
    func keep(_ id: ExecID) async -> Bool {
        guard let exec = execs[id] else { return false }
        let path = "\(paths.execs)/\(id)"
        let directory = paths.execs
        do {
            let bytes = CheckedObject.sealed(try JSON.bytes(exec))
            // Also while the engine ends: what it has heard of a session the shim does not tell again.
            try await node.pool.complete {
                try File.makeDirectories(directory)
                try File.writeAtomically(path, bytes, durable: false)
            }
            return true
        } catch {
            logger.warning("exec session was not noted", metadata: ["exec": "\(id)", "error": "\(error)"])
            return false
        }
    }

    /// The sessions that an earlier life noted; of one whose note cannot be read the id is known.
    ///
    /// - Throws: `KernelError` when they cannot be known now.
    static func noted(_ paths: ContainerPaths, _ damage: DamageLog, _ id: ContainerID) throws(KernelError) -> [Exec] {
        guard try File.isThere(paths.execs) else { return [] }
        var execs: [Exec] = []
        for entry in try File.open(paths.execs, [.directory]).readDirectory() {
            guard let exec = ExecID(entry.name) else { continue }
            let path = "\(paths.execs)/\(exec)"
            let bytes: [UInt8]?
            do throws(KernelError) { bytes = try File.read(path, limit: 1 << 20) } catch {
                if error.isShortage { throw error }
                bytes = nil
            }
            if let bytes, CheckedObject.isSound(bytes), let note = try? JSON.decode(Exec.self, bytes), note.id == exec {
                execs.append(note)
                continue
            }
            damage.setAside(path, "it is no note of a session", container: id)
            // The shim knows whether it runs.
            var lost = Exec(id: exec, configuration: ExecConfiguration(command: []), phase: .starting)
            lost.problem = "its note was damaged: what it runs is not known"
            execs.append(lost)
        }
        return execs
    }

    package func resizeExec(_ id: ExecID, to size: TerminalSize) async throws {
        try await adopted()
        guard let exec = execs[id] else { throw EngineError.noSuchExec(id.description) }
        guard case .running = exec.phase else { throw EngineError.conflict("exec \(id) is not running") }
        do { try await answering().resize(exec: id, to: size) } catch {
            throw EngineError.shim(error, "resize", self.id)
        }
    }
}
