import DocumentTexts
import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

// The container comes into being: at the manager's call, and again at the policy's.
extension ShimServer {
    /// Handles Task.Create.
    func create(_ request: TaskCreateRequest) throws(RPCError) -> TaskCreateResponse {
        try table.checkCreate()
        guard request.id == configuration.context.id else {
            throw .invalidArgument("this shim is for container \(configuration.context.id), not \(request.id)")
        }
        guard request.checkpoint.isEmpty else {
            throw .unimplemented("restore")
        }
        let options = request.hasOptions ? try request.options.decode(ShimCreateOptions.self) : nil
        let restart = try options.map { options throws(RPCError) in try RestartState(options) } ?? RestartState()
        let handle = try makeInitial(request, options)
        handles[.initial] = handle
        exitRecordPath = options?.exitRecordPath ?? configuration.context.bundle + "/exit.json"
        // Only a manager that knows of policies can ask for one, now or later.
        creation = options == nil ? nil : request.bytes
        watchHealth(options)
        let pid = handle.process?.pid ?? 0
        let effects = table.created(
            id: request.id,
            bundle: configuration.context.bundle,
            pid: pid,
            stdio: StdioPaths(request),
            restart: restart
        )
        try begin(.initial, handle)
        perform(effects)
        return TaskCreateResponse.with { $0.pid = UInt32(pid) }
    }

    /// The init process, made by the backend and not watched yet.
    private func makeInitial(_ request: TaskCreateRequest, _ options: ShimCreateOptions?) throws(RPCError) -> Handle {
        let wishes = try BackendWishes(request, options, information.optionNames)
        if !wishes.unheard.isEmpty {
            ShimLog.write(
                "options are not honoured",
                ("container", request.id),
                ("options", wishes.unheard.joined(separator: ","))
            )
        }
        let io = try streams.initial(StdioPaths(request), options)
        let handle = Handle(io: io)
        do throws(BackendError) {
            handle.process = try backend.create(try createRequest(request, io, wishes))
        } catch {
            io.close()
            throw Self.failure(error)
        }
        return handle
    }

    private func createRequest(
        _ request: TaskCreateRequest,
        _ io: ProcessIO,
        _ wishes: BackendWishes
    ) throws(BackendError) -> BackendCreateRequest {
        let path = configuration.context.bundle + "/config.json"
        let specification: [UInt8]
        do throws(KernelError) {
            specification = try File.read(path, limit: ShimLimits.document)
        } catch {
            throw .failed(stage: "bundle", error)
        }
        guard CheckedObject.isSound(specification) else {
            let reason = "its check value is that of another document"
            throw .refused(stage: "bundle", operation: "read '\(path)'", code: .invalidArgument, detail: reason)
        }
        return BackendCreateRequest(
            specification: specification,
            rootMounts: request.rootfs.map { mount in
                RootMount(type: mount.type, source: mount.source, target: mount.target, options: mount.options)
            },
            streams: try processStreams(io),
            usesSystemdCgroup: wishes.usesSystemdCgroup,
            options: wishes.options
        )
    }

    /// What a process gets as its standard streams.
    func processStreams(_ io: ProcessIO) throws(BackendError) -> ProcessStreams {
        do throws(RPCError) {
            guard let ends = try io.streamsForProcess() else { return .terminal }
            return .descriptors(input: ends.input, output: ends.output, error: ends.error)
        } catch {
            throw .refused(stage: "stdio", operation: "make streams", code: error.code, detail: error.message)
        }
    }

    /// The process exists: its end is watched and its bytes move.
    func begin(_ key: ProcessKey, _ handle: Handle) throws(RPCError) {
        guard let process = handle.process else { return }
        do throws(KernelError) {
            try watch(key, handle)
        } catch {
            throw .failed(error.code, "watch process: \(error)")
        }
        do throws(RPCError) {
            try handle.io.begin(terminal: process.terminal)
        } catch {
            // A process whose output goes nowhere is not what was asked for.
            try? backend.kill(process, signal: .kill)
            throw error
        }
    }

    // Again -------------------------------------------------------------------------------------------------------------

    /// Creates and starts the container anew, from the request that first made it.
    ///
    /// A step that fails is an end like any other, for the policy to judge.
    func restart() {
        guard table.restartDue() else { return }
        startFailure = nil
        let handle: Handle
        do throws(RPCError) {
            handle = try recreate()
        } catch {
            let isShortage = error.status == .resourceExhausted
            ShimLog.write(isShortage ? "restart postponed" : "restart failed", ("error", error.message))
            return perform(isShortage ? table.restartPostponed() : table.restartFailed(error.message, at: .now))
        }
        do throws(RPCError) {
            perform(table.recreated(pid: handle.process?.pid ?? 0))
            try run(handle)
        } catch {
            ShimLog.write("restart failed", ("error", error.message))
            perform(table.restartFailed(error.message, at: .now))
        }
    }

    private func recreate() throws(RPCError) -> Handle {
        // The last run's group and what else was its own: the next one gets everything new.
        try backendCall { () throws(BackendError) in try backend.delete() }
        if let last = handles.removeValue(forKey: .initial) { close(last) }
        seenOutOfMemory = 0
        guard let creation, let request = try? TaskCreateRequest(serializedBytes: creation) else {
            throw .failed(.internal, "the request that made the container is lost")
        }
        let options = request.hasOptions ? try request.options.decode(ShimCreateOptions.self) : nil
        let handle = try makeInitial(request, options)
        handles[.initial] = handle
        return handle
    }

    /// Lets a new init process run.
    ///
    /// - Throws: Why there is no process any more. A process that is there and fails ends by itself, with the reason.
    private func run(_ handle: Handle) throws(RPCError) {
        do throws(RPCError) {
            try begin(.initial, handle)
            try backendCall { () throws(BackendError) in try backend.start() }
            perform(table.started(.initial, pid: handle.process?.pid ?? 0, at: .now))
        } catch {
            guard handle.watch == nil else {
                startFailure = error.message
                if let process = handle.process { try? backend.kill(process, signal: .kill) }
                return
            }
            try killCreated(.initial)
            throw error
        }
    }
}

extension StdioPaths {
    /// What the caller of Create named.
    init(_ request: TaskCreateRequest) {
        self.init(stdin: request.stdin, stdout: request.stdout, stderr: request.stderr, terminal: request.terminal)
    }
}
