package import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import OCISpec
import ShimProtocol

// The start of an exec session.
extension Container {
    /// Accepts a start; the process is made when the session is started.
    package func beginExec(_ id: ExecID, _ options: ExecStartOptions) async throws -> ExecSession {
        try await adopted()
        guard var exec = execs[id] else { throw EngineError.noSuchExec(id.description) }
        guard exec.phase == .created else {
            throw EngineError.conflict("exec \(id) has already run")
        }
        try checkExecAllowed()
        exec.phase = .starting
        exec.startedAt = StoredTime(.now)
        if let consoleSize = options.consoleSize { exec.configuration.consoleSize = consoleSize }
        execs[id] = exec
        execEnds[id] = Promise()
        let isTerminal = options.terminal ?? exec.configuration.terminal
        let node = node
        return ExecSession(isTerminal: isTerminal) { connection in
            try await node.supervisor.complete {
                try await self.runExec(id, framed: !isTerminal, marksEnd: options.marksEnd, connection)
            }
        }
    }

    private func runExec(
        _ exec: ExecID,
        framed: Bool,
        marksEnd: Bool,
        _ connection: ClientConnection?
    ) async throws {
        guard let configuration = execs[exec]?.configuration else { throw EngineError.noSuchExec(exec.description) }
        do {
            // Before the shim knows of it: whoever comes after this life asks the shim what became of it.
            await keep(exec)
            node.faults.reached(.execNoted)
            let client = try await addOnce(exec, configuration)
            node.faults.reached(.execAdded)
            if connection == nil { execEnds[exec] = nil }
            if let connection {
                var options = AttachOptions(
                    stdin: configuration.attachStdin,
                    stdout: configuration.attachStdout,
                    stderr: configuration.attachStderr,
                    detachKeys: configuration.detachKeys
                )
                options.marksEnd = marksEnd
                try await pass(connection, options, exec: exec, terminal: !framed, closesStdin: true)
            }
            node.faults.reached(.execAttached)
            let pid = try await client.start(exec: exec)
            guard belief(in: pid, of: shim) != .denied else {
                throw EngineError.internalFailure(
                    "backend '\(record.plan.backend)' says that process \(pid) is the session's, and that process is not its own"
                )
            }
            node.faults.reached(.execStarted)
            let command = configuration.command.joined(separator: " ")
            // The time is that of its beginning: by now it may have ended. Its end is told behind this, and waits for it.
            let began = execs[exec]?.startedAt?.timestamp ?? .now
            await publish([event("exec_start: \(command)", at: began, ["execID": exec.description])])
            if execs[exec]?.phase == .starting { execs[exec]?.phase = .running(pid: pid) }
            await keep(exec)
            if let end = execs[exec]?.earlyEnd { await ended(exec, end) }
        } catch {
            // As for a container: the next start asks the shim what became of it.
            if Task.isCancelled { throw EngineError.ending }
            throw await execFailed(exec, configuration, error, framed: framed, connection)
        }
    }

    /// Tells the shim of a session, or the successor of one that has just died: nothing has begun by then, and the next is there in a moment.
    ///
    /// - Returns: who was told.
    private func addOnce(_ exec: ExecID, _ configuration: ExecConfiguration) async throws -> ShimClient {
        let before = shim
        do {
            let client = try answering()
            try await add(exec, configuration, client)
            return client
        } catch {
            let isCutOff = (error as? RPCError)?.status == .unavailable
            guard isCutOff || before == nil || !reachable, silence == nil, unsupervised == nil else { throw error }
            try await awaitSuccession(isCutOff ? before : nil)
            let client = try answering()
            try await add(exec, configuration, client)
            return client
        }
    }

    /// Waits until the death of a shim has been dealt with, for as long as a call may take; `lost` is one of whose death nobody may know yet.
    private func awaitSuccession(_ lost: Shim?) async throws {
        let dealtWith = Promise<Void>()
        node.supervisor.start { [weak self] in
            if let lost { await self?.lost(lost, "its connection has ended") }
            // Somebody else may be at it.
            await self?.exclusively {}
            dealtWith.resolve(.success(()))
        }
        _ = try await dealtWith.value(within: node.deadlines.call)
    }

    /// Tells a shim of a session.
    ///
    /// One that a crashed life of the engine told of and did not start is told anew.
    private func add(_ exec: ExecID, _ configuration: ExecConfiguration, _ client: ShimClient) async throws {
        let process = try JSON.bytes(try process(configuration))
        let options = try execOptions(configuration)
        do {
            try await client.exec(exec, process: process, terminal: configuration.terminal, options: options)
        } catch let error as RPCError where error.status == .alreadyExists {
            _ = try await client.delete(exec: exec)
            try await client.exec(exec, process: process, terminal: configuration.terminal, options: options)
        }
    }

    /// What a session wants beyond its process; nil for a shim that knows only that.
    private func execOptions(_ configuration: ExecConfiguration) throws -> ShimExecOptions? {
        guard shim?.capabilities?.contains(ShimAbility.execTimeout) ?? false else {
            guard configuration.timeoutInMilliseconds == nil else {
                throw EngineError(.unsupported, "backend \(record.plan.backend) cannot limit the time of a session")
            }
            return nil
        }
        var options = ShimExecOptions()
        options.timeoutMilliseconds = configuration.timeoutInMilliseconds ?? 0
        options.ringSizeInBytes = configuration.ringSizeInBytes ?? node.configuration.execRingSizeInBytes
        return options
    }

    private func execFailed(
        _ exec: ExecID,
        _ configuration: ExecConfiguration,
        _ error: any Error,
        framed: Bool,
        _ connection: ClientConnection?
    ) async -> EngineError {
        let failure = EngineError.execFailure(error, program: configuration.command.first ?? "", id)
        let isSilent = [.unavailable, .timedOut].contains(failure.code)
        let code = failure.startExitCode == 125 && !isSilent ? 126 : failure.startExitCode
        execs[exec]?.phase = .ended(code: code, pid: nil)
        execs[exec]?.endedAt = StoredTime(.now)
        execs[exec]?.problem = failure.message
        overtaking[.exec(exec)] = nil
        execEnds.removeValue(forKey: exec)?.resolve(.success(()))
        await keep(exec)
        // Before the session is deleted, for the shim then ends the client's stream.
        if let connection {
            let (descriptor, text) = (connection.descriptor, failure.message + "\r\n")
            // A client that has gone away has no use for the text.
            try? await node.pool.run {
                try Self.write(text, .output, framed: framed, to: descriptor)
                // A silent shim may have it in its hands for as long as it lives: for the client it ends here.
                if isSilent { try UnixSocket.shutdown(descriptor.raw) }
            }
        }
        // The shim forgets the session; one that it does not know is what is wanted, and one that is silent is not waited for.
        if let client = shim?.client {
            let forget = { @Sendable in _ = try? await client.delete(exec: exec) }
            if isSilent { node.supervisor.start(forget) } else { await forget() }
        }
        return failure
    }
}

extension EngineError {
    /// A failed exec of `program`, in the words of Docker's daemon.
    static func execFailure(_ error: any Error, program: String, _ id: ContainerID) -> EngineError {
        var failure = startFailure(error, program: program, id)
        if failure.reason == .commandNotFound || failure.reason == .commandNotExecutable {
            failure.message =
                "OCI runtime exec failed: exec failed: unable to start container process: "
                + failure.message.replacing("failed to create task for container: ", with: "")
        }
        return failure
    }
}
