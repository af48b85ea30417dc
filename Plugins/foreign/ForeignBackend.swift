import HostBundle
import Kernel
import ShimKit
import ShimProtocol
import SwiftProtobuf

/// Containers that another's shim v2 program makes, such as containerd's `containerd-shim-runc-v2`, unchanged.
///
/// This shim stands between it and the manager: it is the foreign shim's containerd, and for the manager a shim like any other. So the
/// log, the exit record, the journal and attached clients are ours, and live on without a manager.
final class ForeignBackend: Backend {
    static let information = BackendInformation(
        name: "foreign",
        version: BuildVersion.text,
        capabilities: ["exec", "terminal", "pause", "update"],
        mountTypes: ["overlay", "bind"],
        optionNames: ["shim", "runtime", "root"]
    )

    let context: BackendContext
    var shim: ForeignShim?
    /// The record as it was written last; nil while there is no container.
    var written: [UInt8]?
    /// Ids of exec sessions by process.
    var execs: [Int32: String] = [:]
    /// The processes that are watched, to end them without the foreign shim.
    var held: [Int32: SharedDescriptor] = [:]
    private var host: BackendHost?
    private var watch: BackendHost.Watch?
    private var events: EventSink?
    /// The end of the init process's input that the foreign shim opens when it likes.
    var input: SharedDescriptor?

    var record: ForeignRecord? { written.flatMap { ForeignRecord(bytes: $0) } }

    /// The foreign shim has ends of the container's pipes open.
    var streamHolders: [Int32] { record?.processes().map(\.pid) ?? [] }

    var records: [String: [UInt8]] { written.map { [ForeignRecord.fileName: $0] } ?? [:] }

    init(_ context: BackendContext) throws(BackendError) {
        self.context = context
    }

    // Create, start, exec -----------------------------------------------------------------------------------------------

    func create(_ request: BackendCreateRequest) throws(BackendError) -> ContainerProcess {
        var record = ForeignRecord(program: try Self.program(request, context))
        let root = BundleRoot(bundle: record.program.bundle)
        record.groupWasThere = try ContainerGroup.isThere(forDocument: request.specification)
        written = try record.write(context.bundle)
        do throws(BackendError) {
            try prepare(record.program.bundle)
            // A root that is ready is in our own bundle.
            let own = RootMount(type: "bind", source: "\(context.bundle)/rootfs", target: "", options: ["rbind"])
            try root.mount(request.rootMounts.isEmpty ? [own] : request.rootMounts)
            try Self.write(root.resolved(specification: request.specification), to: "\(root.bundle)/config.json")
            let options = Self.options(request)
            try takeEvents(record.program.bundle)
            let shim = try ForeignShim.start(record.program, options: options)
            self.shim = shim
            record.address = shim.address
            written = try record.write(context.bundle)
            let process = try create(request.streams, options)
            record.cgroup = ContainerGroup.path(of: process.pid)
            written = try record.write(context.bundle)
            watchShim()
            return process
        } catch {
            // The first error is what matters.
            Self.note(record.cleanUp(context.bundle))
            forget()
            throw error
        }
    }

    private func create(
        _ streams: ProcessStreams,
        _ options: Google_Protobuf_Any?
    ) throws(BackendError) -> ContainerProcess {
        let shim = try existing("create")
        let paths = try StreamPaths(streams)
        let request = TaskCreateRequest.with { request in
            request.id = context.id
            request.bundle = shim.program.bundle
            (request.stdin, request.stdout, request.stderr) = (paths.input, paths.output, paths.error)
            request.terminal = paths.terminal != nil
            if let options { request.options = options }
        }
        let answer: TaskCreateResponse = try shim.call(
            .create,
            request,
            TaskCreateResponse.self,
            within: ForeignShim.patience
        )
        // It opens its end of the input when it likes; our copy of it goes when the program runs.
        input = paths.inputEnd
        // What waits for its start has not ended, and its group is killed with the container: it is nobody else's.
        return try process(Int32(bitPattern: answer.pid), paths.terminal, mayHaveEnded: false)
    }

    func start() throws(BackendError) {
        let shim = try existing("start")
        let request = TaskStartRequest.with { $0.id = context.id }
        _ = try shim.call(.start, request, TaskStartResponse.self, within: ForeignShim.patience)
        try letInputEnd("")
        input = nil
    }

    func exec(_ request: BackendExecRequest) throws(BackendError) -> ContainerProcess {
        let shim = try existing("exec")
        let paths = try StreamPaths(request.streams)
        let document = try BundleRoot(bundle: shim.program.bundle).resolved(process: request.process)
        let add = TaskExecRequest.with { add in
            (add.id, add.execID) = (context.id, request.id)
            (add.stdin, add.stdout, add.stderr) = (paths.input, paths.output, paths.error)
            add.terminal = paths.terminal != nil
            add.spec = Google_Protobuf_Any(typeURL: TypeURL.process, json: document)
        }
        let _: Google_Protobuf_Empty = try shim.call(.exec, add)
        do throws(BackendError) {
            let start = TaskStartRequest.with { ($0.id, $0.execID) = (context.id, request.id) }
            let answer: TaskStartResponse = try shim.call(.start, start, TaskStartResponse.self)
            let process = try process(Int32(bitPattern: answer.pid), paths.terminal, mayHaveEnded: true)
            execs[process.pid] = request.id
            try letInputEnd(request.id)
            withExtendedLifetime(paths) {}
            return process
        } catch {
            delete(exec: request.id)
            throw error
        }
    }

    /// The foreign shim keeps an end of the input open until it is told; from then on it ends with ours.
    private func letInputEnd(_ exec: String) throws(BackendError) {
        let close = TaskCloseIORequest.with { ($0.id, $0.execID, $0.stdin) = (context.id, exec, true) }
        do throws(BackendError) {
            let _: Google_Protobuf_Empty = try existing("close-io").call(.closeIO, close)
        } catch  where error.code == .notFound {
            // It has ended already.
        }
    }

    // The foreign shim's own end ------------------------------------------------------------------------------------------

    func attach(to host: BackendHost) {
        self.host = host
        if shim == nil, written != nil {
            host.after(.zero) { [weak self] in self?.shimHasGone() }
        } else {
            watchShim()
        }
        guard shim != nil, let record else { return }
        do throws(BackendError) { try takeEvents(record.program.bundle) } catch {
            // Where nobody listens they are refused at once, which stops no foreign shim.
            host.log("events of the foreign shim are not taken", ("error", error.description))
        }
    }

    private func takeEvents(_ bundle: String) throws(BackendError) {
        guard let host else { return }
        do throws(KernelError) { events = try EventSink(bundle: bundle, host: host) } catch {
            throw .failed(stage: "shim", error)
        }
    }

    /// Notices at once that the foreign shim has gone: nothing else tells before the next call.
    private func watchShim() {
        guard let host, let shim else { return }
        do throws(KernelError) {
            watch = try host.watch(shim.descriptor, .readable) { [weak self, weak shim] _ in
                if shim?.isThere() == false { self?.shimHasGone() }
            }
        } catch {
            host.log("foreign shim is not watched", ("error", "\(error)"))
        }
    }

    /// Ends the container, as containerd does: nobody can take over what the dead shim held, and who writes to its pipes fails.
    ///
    /// The orphans are this process's children from now on, so how they ended is known.
    private func shimHasGone() {
        if let watch { host?.unwatch(watch) }
        watch = nil
        host?.log("the foreign shim has gone: its container is ended", ("shim", record?.program.path ?? ""))
        ContainerGroup.kill(record?.cgroup)
        for pidfd in held.values { _ = try? Pidfd.send(.kill, to: pidfd.raw) }
    }

    // Signals and limits ------------------------------------------------------------------------------------------------

    func kill(_ process: ContainerProcess, signal: Signal) throws(BackendError) {
        let request = TaskKillRequest.with { request in
            (request.id, request.execID) = (context.id, execs[process.pid] ?? "")
            request.signal = UInt32(signal.rawValue)
        }
        do throws(BackendError) {
            let _: Google_Protobuf_Empty = try existing("kill").call(.kill, request, within: .seconds(2))
        } catch {
            // Where the shim cannot, the kernel can.
            guard signal == .kill, (try? Pidfd.send(.kill, to: process.pidfd.raw)) == true else { throw error }
        }
    }

    func exitStatus(of process: ContainerProcess) -> ExitStatus? {
        let request = TaskWaitRequest.with { ($0.id, $0.execID) = (context.id, execs[process.pid] ?? "") }
        // Without an answer it is the kernel that knows, or nobody.
        let answer = try? shim?.call(.wait, request, TaskWaitResponse.self, within: .seconds(2))
        guard let answer else { return nil }
        switch answer.exitStatus {
        case 129...192: return .signaled(Int32(answer.exitStatus) - 128, core: false)
        case let number: return UInt8(exactly: number).map { .exited($0) }
        }
    }

    func killAll(signal: Signal) throws(BackendError) {
        guard let shim else { return }
        let request = TaskKillRequest.with { request in
            (request.id, request.signal, request.all) = (context.id, UInt32(signal.rawValue), true)
        }
        do throws(BackendError) {
            let _: Google_Protobuf_Empty = try shim.call(.kill, request, within: .seconds(2))
        } catch {
            // What it will not or cannot kill is killed by its group.
            guard signal == .kill else { throw error }
        }
        if signal == .kill { ContainerGroup.kill(record?.cgroup) }
    }

    func ended(_ process: ContainerProcess) {
        held[process.pid] = nil
        if let id = execs.removeValue(forKey: process.pid) { delete(exec: id) }
    }

    private func delete(exec id: String) {
        // What it does not delete goes with the container.
        _ = try? shim?.call(
            .delete,
            TaskDeleteRequest.with { ($0.id, $0.execID) = (context.id, id) },
            TaskDeleteResponse.self,
            within: .seconds(2)
        )
    }

    func pause() throws(BackendError) {
        let _: Google_Protobuf_Empty = try existing("pause").call(.pause, TaskPauseRequest.with { $0.id = context.id })
    }

    func resume() throws(BackendError) {
        let shim = try existing("resume")
        do throws(BackendError) {
            let _: Google_Protobuf_Empty = try shim.call(.resume, TaskResumeRequest.with { $0.id = context.id })
        } catch {
            // One that has been killed meanwhile cannot be resumed, and need not.
            let request = TaskStateRequest.with { $0.id = context.id }
            let state = try shim.call(.state, request, TaskStateResponse.self).status
            guard state == .stopped else { throw error }
        }
    }

    func resize(_ process: ContainerProcess, rows: UInt16, columns: UInt16) throws(BackendError) -> Bool {
        let request = TaskResizePtyRequest.with { request in
            (request.id, request.execID) = (context.id, execs[process.pid] ?? "")
            (request.height, request.width) = (UInt32(rows), UInt32(columns))
        }
        let _: Google_Protobuf_Empty = try existing("resize").call(.resizePty, request)
        return true
    }

    func update(resources: [UInt8]) throws(BackendError) {
        let request = TaskUpdateRequest.with { request in
            request.id = context.id
            request.resources = Google_Protobuf_Any(typeURL: TypeURL.linuxResources, json: resources)
        }
        let _: Google_Protobuf_Empty = try existing("update").call(.update, request)
    }

    // What is ------------------------------------------------------------------------------------------------------------

    func metrics() throws(BackendError) -> BackendMetrics {
        let request = TaskStatsRequest.with { $0.id = context.id }
        let answer: TaskStatsResponse = try existing("metrics").call(.stats, request, TaskStatsResponse.self)
        do throws(RPCError) {
            if let metrics = try answer.stats.decode(CgroupV1Metrics.self) { return .version1(metrics) }
            if let metrics = try answer.stats.decode(CgroupV2Metrics.self) { return .version2(metrics) }
        } catch {
            throw .refused(stage: "metrics", operation: "decode", code: .internal, detail: error.message)
        }
        throw .refused(
            stage: "metrics",
            operation: "decode",
            object: answer.stats.typeURL,
            code: .unsupported,
            detail: "neither of the two forms of cgroups"
        )
    }

    func processes() throws(BackendError) -> [Int32] {
        let request = TaskPidsRequest.with { $0.id = context.id }
        let answer: TaskPidsResponse = try existing("processes").call(.pids, request, TaskPidsResponse.self)
        return answer.processes.map { Int32(bitPattern: $0.pid) }.filter(isOurs)
    }

    func outOfMemory() -> OutOfMemory {
        ContainerGroup.outOfMemory(record?.cgroup)
    }

    // The end ------------------------------------------------------------------------------------------------------------

    func delete() throws(BackendError) {
        guard let shim, let record else { return }
        // It must know of the end before it deletes, and it may have died: its own `delete` comes after in any case.
        let (wait, delete) = (
            TaskWaitRequest.with { $0.id = context.id }, TaskDeleteRequest.with { $0.id = context.id }
        )
        _ = try? shim.call(.wait, wait, TaskWaitResponse.self, within: .seconds(2))
        _ = try? shim.call(.delete, delete, TaskDeleteResponse.self, within: .seconds(5))
        let shutdown = TaskShutdownRequest.with { $0.id = context.id }
        _ = try? shim.call(.shutdown, shutdown, Google_Protobuf_Empty.self, within: .seconds(3))
        Self.note(record.cleanUp(context.bundle))
        forget()
    }

    /// There is no container any more.
    private func forget() {
        if let watch { host?.unwatch(watch) }
        (watch, events, shim, execs, held, input, written) = (nil, nil, nil, [:], [:], nil, nil)
    }

    static func cleanUp(_ context: BackendContext) throws(BackendError) {
        guard let record = ForeignRecord.read(context.bundle) else { return }
        note(record.cleanUp(context.bundle))
    }
}
