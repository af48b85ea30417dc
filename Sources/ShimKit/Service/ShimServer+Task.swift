import FoundationEssentials
import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// The Task service, versions 2 and 3.
extension ShimServer {
    /// Handles a call of the Task service.
    func task(
        _ method: TaskMethod,
        _ call: TTRPCServerConnection.Call,
        _ waiter: WaiterID
    ) throws(RPCError) -> [UInt8]? {
        switch method {
        case .state: return try state(call.decode(TaskStateRequest.self)).bytes
        case .create: return try create(call.decode(TaskCreateRequest.self)).bytes
        case .start: return try start(call.decode(TaskStartRequest.self), waiter)?.bytes
        case .delete: return try delete(call.decode(TaskDeleteRequest.self)).bytes
        case .pids: return try pids(call.decode(TaskPidsRequest.self)).bytes
        case .pause: try pause(call.decode(TaskPauseRequest.self))
        case .resume: try resume(call.decode(TaskResumeRequest.self))
        case .checkpoint: throw .unimplemented("checkpoint")
        case .kill: try kill(call.decode(TaskKillRequest.self))
        case .exec: try exec(call.decode(TaskExecRequest.self))
        case .resizePty: try resize(call.decode(TaskResizePtyRequest.self))
        case .closeIO: try closeIO(call.decode(TaskCloseIORequest.self))
        case .update: try update(call.decode(TaskUpdateRequest.self))
        case .wait: return try wait(call.decode(TaskWaitRequest.self), waiter)?.bytes
        case .stats: return try stats(call.decode(TaskStatsRequest.self)).bytes
        case .connect: return try connect(call.decode(TaskConnectRequest.self)).bytes
        case .shutdown: try shutdown(call.decode(TaskShutdownRequest.self), waiter)
        }
        return []
    }

    /// A request must name the shim's container.
    func check(_ id: String) throws(RPCError) {
        guard table.id == id || table.isEmpty else {
            throw .notFound("container \(id) is not here")
        }
    }

    private func handle(_ key: ProcessKey) throws(RPCError) -> Handle {
        guard let handle = handles[key] else {
            throw .notFound("process not found")
        }
        return handle
    }

    // Start and exec ------------------------------------------------------------------------------------------------

    private func start(_ request: TaskStartRequest, _ waiter: WaiterID) throws(RPCError) -> TaskStartResponse? {
        try check(request.id)
        let key = ProcessKey(execID: request.execID)
        try table.checkStart(key)
        let handle = try handle(key)
        switch key {
        case .initial:
            announceStart(handle)
            do throws(BackendError) {
                try backend.start()
                startFailure = nil
            } catch {
                saveState()
                initialFailed(error, waiter)
                return nil
            }
        case .exec(let id):
            try startExec(id, handle)
        }
        let pid = handle.process?.pid ?? 0
        perform(table.started(key, pid: pid, at: .now))
        return TaskStartResponse.with { $0.pid = UInt32(pid) }
    }

    /// Writes down that the program is about to run: whoever finds this shim dead knows that it may have.
    private func announceStart(_ handle: Handle) {
        guard configuration.hasJournal else { return }
        var next = table
        let now = Timestamp.now
        saveState(announcing: announced(next.started(.initial, pid: handle.process?.pid ?? 0, at: now), at: now))
    }

    /// The init process failed before its program ran: whatever status it leaves is not the program's.
    ///
    /// The caller hears of it when the end is published: then the container is stopped for everybody, and can be deleted.
    private func initialFailed(_ error: BackendError, _ waiter: WaiterID) {
        startFailure = error.description
        failedStart = (waiter, Self.failure(error))
        loop.after(ShimLimits.death) { [weak self] in self?.answerFailedStart() }
    }

    /// Answers the Start that has failed, once.
    func answerFailedStart() {
        guard let (waiter, error) = failedStart else { return }
        failedStart = nil
        answer(waiter, .failure(error))
    }

    private func startExec(_ id: String, _ handle: Handle) throws(RPCError) {
        do throws(BackendError) {
            let process = try backend.exec(
                BackendExecRequest(id: id, process: handle.specification, streams: try processStreams(handle.io))
            )
            handle.process = process
            handle.specification = []
        } catch {
            perform(table.execFailed(id, reason: error.description, at: .now))
            // A manager that handed over the client's connection tells the client why before it deletes the session.
            if !configuration.hasJournal { handle.io.close() }
            throw Self.failure(error)
        }
        try begin(.exec(id), handle)
        if let timeout = handle.timeout { limit(id, handle, to: timeout) }
    }

    /// Kills a session and all that it has started, when its time is over.
    func limit(_ id: String, _ handle: Handle, to time: Duration) {
        handle.timeoutTimer = loop.after(time) { [weak self] in
            handle.timeoutTimer = nil
            guard let self, let process = handle.process, handle.watch != nil else { return }
            handle.timedOut = true
            do throws(BackendError) {
                try backend.killAll(process, signal: .kill)
            } catch {
                ShimLog.write("session that took too long was not killed", ("exec", id), ("error", error.description))
            }
        }
    }

    private func exec(_ request: TaskExecRequest) throws(RPCError) {
        try check(request.id)
        guard Identifier.isValid(request.execID) else {
            throw .invalidArgument("exec id '\(request.execID)'")
        }
        guard request.hasSpec, request.spec.value.count <= ShimLimits.document else {
            throw .invalidArgument("exec: no process document")
        }
        guard table.execs.count < ShimLimits.execSessions else {
            throw .resourceExhausted("\(table.execs.count) exec sessions exist")
        }
        let paths = StdioPaths(
            stdin: request.stdin,
            stdout: request.stdout,
            stderr: request.stderr,
            terminal: request.terminal
        )
        let options = try request.spec.decode(ShimExecOptions.self)
        let effects = try table.addExec(request.execID, stdio: paths)
        let handle: Handle
        do throws(RPCError) {
            let ring = Int(min(options?.ringSizeInBytes ?? 0, 1 << 20))
            handle = Handle(io: try streams.exec(paths, isManaged: configuration.hasJournal, ringByteCount: ring))
        } catch {
            // The session was never there for anybody.
            _ = try? table.deleted(.exec(request.execID), at: .now)
            throw error
        }
        handle.specification = options.map { Array($0.process) } ?? request.spec.document
        if let limit = options?.timeoutMilliseconds, limit > 0 {
            handle.timeout = .milliseconds(Int64(min(limit, 31_536_000_000)))
        }
        handles[.exec(request.execID)] = handle
        perform(effects)
    }

    // State -----------------------------------------------------------------------------------------------------------

    private func state(_ request: TaskStateRequest) throws(RPCError) -> TaskStateResponse {
        try check(request.id)
        let key = ProcessKey(execID: request.execID)
        let record = try table.record(key)
        var response = TaskStateResponse()
        response.id = key == .initial ? table.id : request.execID
        response.execID = request.execID
        response.bundle = table.bundle
        response.pid = UInt32(record.pid)
        response.status = try table.status(key)
        response.stdin = record.stdio.stdin
        response.stdout = record.stdio.stdout
        response.stderr = record.stdio.stderr
        response.terminal = record.stdio.terminal
        if case .stopped(let exit) = record.phase {
            response.exitStatus = exit.number
            response.exitedAt = exit.exitedAt.message
        }
        return response
    }

    private func connect(_ request: TaskConnectRequest) throws(RPCError) -> TaskConnectResponse {
        TaskConnectResponse.with { response in
            response.shimPid = UInt32(Credentials.processID)
            if request.id == table.id {
                response.taskPid = UInt32(table.initial?.pid ?? 0)
            }
            response.version = information.version
        }
    }

    private func pids(_ request: TaskPidsRequest) throws(RPCError) -> TaskPidsResponse {
        try check(request.id)
        _ = try table.initialRecord()
        let pids = try backendCall { () throws(BackendError) in try backend.processes() }
        return TaskPidsResponse.with { response in
            // A backend's mistake is no reason to end: a number that is none is nobody's.
            response.processes = pids.filter { $0 > 0 }.map { pid in
                TaskProcessInfo.with { info in
                    info.pid = UInt32(pid)
                    if let exec = table.execs.first(where: { $0.value.pid == pid })?.key {
                        info.info = Google_Protobuf_Any(packed: RuncProcessDetails.with { $0.execID = exec })
                    }
                }
            }
        }
    }

    private func stats(_ request: TaskStatsRequest) throws(RPCError) -> TaskStatsResponse {
        try check(request.id)
        guard try table.initialRecord().phase.exit == nil else {
            throw .notFound("process already finished")
        }
        let metrics = try backendCall { () throws(BackendError) in try backend.metrics() }
        return TaskStatsResponse.with { response in
            switch metrics {
            case .version1(let metrics): response.stats = Google_Protobuf_Any(packed: metrics)
            case .version2(let metrics): response.stats = Google_Protobuf_Any(packed: metrics)
            }
        }
    }

    private func wait(_ request: TaskWaitRequest, _ waiter: WaiterID) throws(RPCError) -> TaskWaitResponse? {
        try check(request.id)
        return try table.wait(ProcessKey(execID: request.execID), waiter)?.waitResponse
    }

    // Signals, freezing, limits -----------------------------------------------------------------------------------------

    private func kill(_ request: TaskKillRequest) throws(RPCError) {
        try check(request.id)
        let key = ProcessKey(execID: request.execID)
        try table.checkKill(key)
        guard (1...64).contains(request.signal) else {
            throw .invalidArgument("signal \(request.signal)")
        }
        let signal = Signal(rawValue: Int32(request.signal))
        let process = try handle(key).process
        try backendCall { () throws(BackendError) in
            if request.all, key == .initial {
                try backend.killAll(signal: signal)
            } else if request.all, let process {
                try backend.killAll(process, signal: signal)
            } else if let process {
                try backend.kill(process, signal: signal)
            }
        }
        if signal == .kill, key == .initial, table.activity == .paused {
            // A frozen process would not die before it is thawed.
            try backendCall { () throws(BackendError) in try backend.resume() }
            perform(table.resumed())
        }
    }

    private func pause(_ request: TaskPauseRequest) throws(RPCError) {
        try check(request.id)
        try table.checkPause()
        try backendCall { () throws(BackendError) in try backend.pause() }
        perform(table.paused())
    }

    private func resume(_ request: TaskResumeRequest) throws(RPCError) {
        try check(request.id)
        try table.checkResume()
        try backendCall { () throws(BackendError) in try backend.resume() }
        perform(table.resumed())
    }

    private func update(_ request: TaskUpdateRequest) throws(RPCError) {
        try check(request.id)
        guard try table.initialRecord().phase.exit == nil else {
            throw .failedPrecondition("cannot update a stopped container")
        }
        let resources = request.resources.document
        guard resources.count <= ShimLimits.document else {
            throw .invalidArgument("resources: document too long")
        }
        try backendCall { () throws(BackendError) in try backend.update(resources: resources) }
    }

    // Streams -----------------------------------------------------------------------------------------------------------

    private func resize(_ request: TaskResizePtyRequest) throws(RPCError) {
        try check(request.id)
        guard let rows = UInt16(exactly: request.height), let columns = UInt16(exactly: request.width) else {
            throw .invalidArgument("terminal of \(request.width) by \(request.height) characters")
        }
        let key = ProcessKey(execID: request.execID)
        _ = try table.record(key)
        let handle = try handle(key)
        if let process = handle.process,
            try backendCall({ () throws(BackendError) in try backend.resize(process, rows: rows, columns: columns) })
        {
            return
        }
        try handle.io.resize(rows: rows, columns: columns)
    }

    private func closeIO(_ request: TaskCloseIORequest) throws(RPCError) {
        try check(request.id)
        let key = ProcessKey(execID: request.execID)
        _ = try table.record(key)
        if request.stdin {
            try handle(key).io.closeInput()
        }
    }

    // Errors ------------------------------------------------------------------------------------------------------------

    /// Asks the backend, and turns its error into one for the wire.
    func backendCall<Value>(_ body: () throws(BackendError) -> Value) throws(RPCError) -> Value {
        do throws(BackendError) {
            return try body()
        } catch {
            throw Self.failure(error)
        }
    }

    /// A backend's error as it travels.
    static func failure(_ error: BackendError) -> RPCError {
        let failure = ShimFailure.with { failure in
            failure.stage = error.stage
            failure.operation = error.operation
            failure.object = error.object
            failure.errno = error.errno?.rawValue ?? 0
        }
        return .failed(error.code, error.description, at: failure)
    }
}
