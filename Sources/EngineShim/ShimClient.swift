import FoundationEssentials
package import EngineModel
package import Kernel
package import ShimProtocol
package import SwiftProtobuf

/// The calls that the engine makes to one container's shim.
package struct ShimClient: Sendable {
    package let id: ContainerID
    package let connection: ShimConnection
    package let deadlines: EngineConfiguration.Deadlines
    /// Told of every call that had no answer in time; true when that cannot be for what the call does.
    package var onSilence: (@Sendable (_ isSure: Bool) -> Void)?

    /// A call that was given less than this and is not answered says nothing for sure.
    package static let shortestTelling = Duration.seconds(2)

    package init(
        id: ContainerID,
        connection: ShimConnection,
        deadlines: EngineConfiguration.Deadlines
    ) {
        self.id = id
        self.connection = connection
        self.deadlines = deadlines
    }

    private func task<Answer: Message & Sendable>(
        _ method: TaskMethod,
        _ request: some Message,
        deadline: Duration? = nil,
        as type: Answer.Type
    ) async throws -> Answer {
        let isSlow = [.create, .start, .delete, .shutdown].contains(method)
        return try await call(
            ServiceName.taskV3,
            method.rawValue,
            request,
            deadline: deadline ?? deadlines.call,
            isSlow: isSlow,
            as: type
        )
    }

    private func call<Answer: Message & Sendable>(
        _ service: String,
        _ method: String,
        _ request: some Message,
        deadline: Duration,
        isSlow: Bool = false,
        as type: Answer.Type
    ) async throws -> Answer {
        do {
            return try await connection.call(service, method, request, deadline: deadline, as: type)
        } catch let error as RPCError where error.status == .deadlineExceeded {
            onSilence?(!isSlow && deadline >= Self.shortestTelling)
            throw error
        }
    }

    /// Whether the shim answers anything within `deadline`; nil when there is no connection to it any more.
    ///
    /// At the engine's end it is not waited for.
    package func speaks(within deadline: Duration) async -> Bool? {
        let (service, method) = (ServiceName.supervisor, SupervisorMethod.info.rawValue)
        do {
            _ = try await withTaskCancellationHandler {
                try await connection.call(
                    service,
                    method,
                    ShimInfoRequest(),
                    deadline: deadline,
                    as: ShimInfoResponse.self
                )
            } onCancel: {
                connection.close()
            }
            return true
        } catch let error as RPCError where error.status == .deadlineExceeded {
            return false
        } catch let error as RPCError where error.status == .unavailable {
            return nil
        } catch {
            return true  // a refusal is an answer
        }
    }

    private func task(_ method: TaskMethod, _ request: some Message, deadline: Duration? = nil) async throws {
        _ = try await task(method, request, deadline: deadline, as: Google_Protobuf_Empty.self)
    }

    package func info(deadline: Duration) async throws -> ShimInfoResponse {
        try await call(
            ServiceName.supervisor,
            SupervisorMethod.info.rawValue,
            ShimInfoRequest(),
            deadline: deadline,
            as: ShimInfoResponse.self
        )
    }

    /// Waits up to `wait` for events behind `sequence`.
    ///
    /// `generation`: of the descriptors that are held; another one is news as well. 0 for who does not hold any.
    package func events(
        after sequence: UInt64,
        generation: UInt64 = 0,
        knownProbes: UInt64? = nil,
        wait: Duration,
        deadline: Duration? = nil
    ) async throws -> ShimEventsResponse {
        var request = ShimEventsRequest()
        request.afterSeq = sequence
        request.descriptorsGeneration = generation
        if let knownProbes { request.knownProbes = knownProbes }
        let (seconds, attoseconds) = wait.components
        request.waitMilliseconds = UInt32(clamping: seconds * 1000 + attoseconds / 1_000_000_000_000_000)
        let message = request
        // Only the engine's end cancels a poll, and then nobody needs the connection any more.
        return try await withTaskCancellationHandler {
            try await connection.call(
                ServiceName.supervisor,
                SupervisorMethod.events.rawValue,
                message,
                deadline: deadline ?? wait + deadlines.call,
                as: ShimEventsResponse.self
            )
        } onCancel: {
            connection.close()
        }
    }

    package func acknowledge(_ sequence: UInt64) async throws {
        var request = ShimAcknowledgeRequest()
        request.seq = sequence
        _ = try await call(
            ServiceName.supervisor,
            SupervisorMethod.acknowledge.rawValue,
            request,
            deadline: deadlines.call,
            as: ShimAcknowledgeResponse.self
        )
    }

    /// Tells a shim that is not the parent how a process ended.
    package func reportExit(exec: ExecID?, pid: Int32, status: ExitStatus) async throws {
        var request = ShimReportExitRequest()
        request.execID = exec?.description ?? ""
        request.pid = UInt32(bitPattern: pid)
        request.waitStatus = UInt32(bitPattern: status.waitStatus)
        _ = try await call(
            ServiceName.supervisor,
            "ReportExit",
            request,
            deadline: deadlines.call,
            as: ShimReportExitResponse.self
        )
    }

    /// Has the shim look at its files; what was damaged is set aside and made anew by it.
    package func checkFiles(deadline: Duration) async throws -> [ShimFileDamage] {
        try await call(
            ServiceName.supervisor,
            SupervisorMethod.checkFiles.rawValue,
            ShimCheckFilesRequest(),
            deadline: deadline,
            as: ShimCheckFilesResponse.self
        ).damages
    }

    /// Changes the restart policy; `stopped` takes back a restart that is planned, and is for good.
    package func setPolicy(
        _ policy: ShimRestartPolicy? = nil,
        stopped: Bool = false,
        deadline: Duration? = nil
    ) async throws {
        var request = ShimSetPolicyRequest()
        if let policy { request.restart = policy }
        request.stopped = stopped
        _ = try await call(
            ServiceName.supervisor,
            SupervisorMethod.setPolicy.rawValue,
            request,
            deadline: deadline ?? deadlines.call,
            as: ShimSetPolicyResponse.self
        )
    }

    package func state(exec: ExecID? = nil, deadline: Duration? = nil) async throws -> TaskStateResponse {
        var request = TaskStateRequest()
        request.id = id.description
        request.execID = exec?.description ?? ""
        return try await task(.state, request, deadline: deadline, as: TaskStateResponse.self)
    }

    /// How long a call that may take its time is waited for when the engine ends.
    private static let lastMoments = Duration.seconds(2)

    /// A call that mounts and may wait for storage.
    ///
    /// At the engine's end a shim that works answers in moments. For one that does not, the end would wait a minute, and what is to be undone
    /// then is what the next start finds all the same.
    private func untilTheEnd<Answer: Message & Sendable>(
        _ method: TaskMethod,
        _ request: some Message,
        as type: Answer.Type
    ) async throws -> Answer {
        try await withTaskCancellationHandler {
            try await task(method, request, deadline: deadlines.start, as: type)
        } onCancel: {
            connection.close(after: Self.lastMoments)
        }
    }

    package func create(_ request: TaskCreateRequest) async throws -> Int32 {
        Int32(truncatingIfNeeded: try await untilTheEnd(.create, request, as: TaskCreateResponse.self).pid)
    }

    package func start(exec: ExecID? = nil) async throws -> Int32 {
        var request = TaskStartRequest()
        request.id = id.description
        request.execID = exec?.description ?? ""
        return Int32(truncatingIfNeeded: try await untilTheEnd(.start, request, as: TaskStartResponse.self).pid)
    }

    package func exec(
        _ exec: ExecID,
        process: [UInt8],
        terminal: Bool,
        options: ShimExecOptions? = nil
    ) async throws {
        var request = TaskExecRequest()
        request.id = id.description
        request.execID = exec.description
        request.terminal = terminal
        if var options {
            options.process = .init(process)
            request.spec = Google_Protobuf_Any(packed: options)
        } else {
            request.spec = Google_Protobuf_Any(typeURL: TypeURL.process, json: process)
        }
        // The shim notes it and no more: what takes its time is the start.
        try await task(.exec, request)
    }

    package func kill(
        signal: Int32,
        all: Bool = false,
        exec: ExecID? = nil,
        deadline: Duration? = nil
    ) async throws {
        var request = TaskKillRequest()
        request.id = id.description
        request.execID = exec?.description ?? ""
        request.signal = UInt32(signal)
        request.all = all
        try await task(.kill, request, deadline: deadline)
    }

    package func pause() async throws {
        var request = TaskPauseRequest()
        request.id = id.description
        try await task(.pause, request)
    }

    package func resume(deadline: Duration? = nil) async throws {
        var request = TaskResumeRequest()
        request.id = id.description
        try await task(.resume, request, deadline: deadline)
    }

    package func resize(exec: ExecID?, to size: TerminalSize) async throws {
        var request = TaskResizePtyRequest()
        request.id = id.description
        request.execID = exec?.description ?? ""
        request.height = UInt32(size.height)
        request.width = UInt32(size.width)
        try await task(.resizePty, request)
    }

    package func update(resources: [UInt8]) async throws {
        var request = TaskUpdateRequest()
        request.id = id.description
        request.resources = Google_Protobuf_Any(typeURL: TypeURL.linuxResources, json: resources)
        try await task(.update, request)
    }

    package func pids() async throws -> [Int32] {
        var request = TaskPidsRequest()
        request.id = id.description
        return try await task(.pids, request, as: TaskPidsResponse.self).processes.map {
            Int32(truncatingIfNeeded: $0.pid)
        }
    }

    package func stats() async throws -> Google_Protobuf_Any {
        var request = TaskStatsRequest()
        request.id = id.description
        return try await task(.stats, request, as: TaskStatsResponse.self).stats
    }

    package func delete(exec: ExecID? = nil, deadline: Duration? = nil) async throws -> TaskDeleteResponse {
        var request = TaskDeleteRequest()
        request.id = id.description
        request.execID = exec?.description ?? ""
        return try await task(.delete, request, deadline: deadline ?? deadlines.start, as: TaskDeleteResponse.self)
    }

    /// Ends the shim.
    ///
    /// A connection that ends instead of an answer is what was asked for.
    package func shutdown(deadline: Duration? = nil) async throws {
        var request = TaskShutdownRequest()
        request.id = id.description
        request.now = true
        do {
            try await task(.shutdown, request, deadline: deadline)
        } catch let error as RPCError where error.status == .unavailable {
            return
        }
    }
}

extension ShimRestartPolicy {
    /// The policy as it travels.
    package init(_ policy: RestartPolicy, longestDelay: Duration) {
        self.init()
        longestDelayMilliseconds = UInt64(max(1, longestDelay / .milliseconds(1)))
        switch policy {
        case .no: name = "no"
        case .always: name = "always"
        case .unlessStopped: name = "unless-stopped"
        case .onFailure(let maximum): (name, maximumRetries) = ("on-failure", UInt32(clamping: maximum))
        }
    }
}

extension EngineError {
    /// What a shim answered, as the engine's error: a failed start keeps its stage and errno.
    package static func shim(_ error: any Error, _ what: String, _ id: ContainerID) -> EngineError {
        guard let error = error as? RPCError else { return wrap(error, "container \(id): \(what)") }
        switch error.status {
        case .deadlineExceeded, .unavailable: return unreachable(id, "\(what): \(error)")
        default: break
        }
        let failure = error.failure.map {
            Failure(
                stage: $0.stage,
                operation: $0.operation,
                object: $0.object,
                errno: $0.errno == 0 ? nil : Errno(rawValue: $0.errno)
            )
        }
        return EngineError(error.code, "\(what): \(error.message)", failure: failure)
    }

    /// A failed start of `program`, with the words that clients look for.
    package static func startFailure(_ error: any Error, program: String, _ id: ContainerID) -> EngineError {
        var result = shim(error, "failed to start", id)
        let isMissing = result.message.hasSuffix("executable file not found in $PATH")
        guard let errno = isMissing ? .noEntry : result.failure?.errno, isMissing || result.failure?.stage == "exec"
        else {
            if result.reason == .general { result.reason = .startFailed }
            return result
        }
        result.code = .invalidArgument
        switch errno {
        case .noEntry, .notDirectory:
            result.reason = .commandNotFound
            let path = program.contains("/")
            result.message =
                "failed to create task for container: exec: \"\(program)\": "
                + (path ? "stat \(program): no such file or directory" : "executable file not found in $PATH")
        case .accessDenied, .isDirectory, .execFormat:
            result.reason = .commandNotExecutable
            let text = errno == .accessDenied ? "permission denied" : errno.description.lowercased()
            result.message = "failed to create task for container: exec: \"\(program)\": \(text)"
        default:
            result.reason = .startFailed
        }
        return result
    }
}
