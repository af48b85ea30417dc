internal import Cgroups
public import Kernel
public import OCISpec

/// A process that was set up inside a container.
public final class SandboxProcess: Sendable {
    /// Process id as the caller sees it.
    public let pid: Int32
    /// The process; the caller waits for it and reaps it.
    public let pidfd: SharedDescriptor
    /// The terminal's other end, nil without a terminal.
    public let terminal: SharedDescriptor?
    private let door: StartDoor
    /// What was left out of the document without being an error, such as capabilities that nobody can grant; for the log.
    public let warnings: [String]
    private let hooks: HookRunner?
    private let listener: SeccompListener?
    /// What is set on the process that this one clones.
    private let lateScheduler: SchedulingAttributes?

    private init(
        pid: Int32,
        pidfd: SharedDescriptor,
        terminal: SharedDescriptor?,
        door: StartDoor,
        warnings: [String],
        listener: SeccompListener?,
        hooks: HookRunner?,
        lateScheduler: SchedulingAttributes? = nil
    ) {
        self.lateScheduler = lateScheduler
        self.hooks = hooks
        self.warnings = warnings
        self.listener = listener
        self.pid = pid
        self.pidfd = pidfd
        self.terminal = terminal
        self.door = door
    }

    /// Lets a created process run its program, and returns when the program has been executed.
    ///
    /// - Parameter guardian: Who answers the filter's questions, where the caller does.
    /// - Throws: The step that failed, a hook that follows the start among them. The process has ended then or is about to;
    ///   the caller reaps it.
    public func start(answering guardian: (any FilterGuard)? = nil) throws(SandboxError) {
        do throws(SandboxError) {
            try waitForExecution(try door.open(), guardian)
            try hooks?.run(.poststart, status: .running, pid: pid)
        } catch {
            // It may wait for an answer, or run its program already. One that is gone is what is wanted.
            _ = try? Pidfd.send(.kill, to: pidfd.raw)
            throw error
        }
    }

    /// Lets a created process wait for its start at the listener of its request, for a caller who is about to end.
    ///
    /// Until then the process ends with its maker.
    ///
    /// - Throws: `handshake`.
    public func leave() throws(SandboxError) {
        guard case .channel(let channel) = door else { return }
        try step(.handshake) { () throws(KernelError) in try HandshakeEnd(socket: channel.raw).send(.leave) }
    }

    /// Finds a process that another program of ours has created.
    ///
    /// - Parameter attachment: What that one has written down.
    /// - Returns: The process, which is no child of the caller; nil when it has ended.
    public static func attach(_ attachment: SandboxAttachment) -> SandboxProcess? {
        // Opened before its start time is read: the number cannot go to another process between the two.
        guard let pidfd = try? Pidfd(pid: attachment.pid).intoDescriptor(),
            let facts = try? ProcessFacts(attachment.pid),
            facts.startTime == attachment.startTime, facts.state != "Z", facts.state != "X"
        else { return nil }
        return SandboxProcess(
            pid: attachment.pid,
            pidfd: SharedDescriptor(pidfd),
            terminal: nil,
            door: .socket(path: attachment.startSocket, token: attachment.token),
            warnings: [],
            listener: SeccompListener(
                SandboxSurroundings(
                    id: attachment.id,
                    specification: attachment.specification,
                    bundle: attachment.bundle
                )
            )?.telling(.created, pid: attachment.pid),
            hooks: HookRunner(
                id: attachment.id,
                specification: attachment.specification,
                bundle: attachment.bundle
            )
        )
    }

    /// The conversation with a process that waits for its start, for who takes this object's place in another program.
    ///
    /// Nil when the process waits elsewhere.
    public var conversation: SharedDescriptor? {
        guard case .channel(let channel) = door else { return nil }
        return channel
    }

    /// Goes on with a process that another program has created, in its place.
    ///
    /// - Parameters:
    ///   - id: Id of the container, for hooks.
    ///   - specification: Its document.
    ///   - bundle: Absolute path of its bundle.
    ///   - pid: Process id as the caller sees it.
    ///   - pidfd: The process, which may have ended.
    ///   - terminal: The terminal's other end, nil without a terminal.
    ///   - conversation: As the other program had it; nil for a process that has been started.
    ///   - isGuarded: Whether the caller answers the filter's questions.
    /// - Returns: The process.
    /// - Throws: `SandboxError` when there is no stand-in for a missing conversation.
    public static func resume(
        id: String,
        specification: RuntimeSpec,
        bundle: String,
        pid: Int32,
        pidfd: SharedDescriptor,
        terminal: SharedDescriptor?,
        conversation: SharedDescriptor?,
        isGuarded: Bool = false
    ) throws(SandboxError) -> SandboxProcess {
        let channel = try step(.handshake) { () throws(KernelError) in
            if let conversation { return conversation }
            // One that nobody is at the other end of: a start finds that the process has ended.
            return try UnixSocket.pair(kind: .sequentialPackets).0
        }
        let surroundings = SandboxSurroundings(id: id, specification: specification, bundle: bundle)
        return SandboxProcess(
            pid: pid,
            pidfd: pidfd,
            terminal: terminal,
            door: .channel(channel),
            warnings: [],
            listener: SeccompListener(surroundings, isCaller: isGuarded)?.telling(.created, pid: pid),
            hooks: HookRunner(id: id, specification: specification, bundle: bundle)
        )
    }

    /// Sends a signal.
    ///
    /// - Parameter signal: What to send.
    /// - Returns: False when the process has ended.
    /// - Throws: `SandboxError`.
    public func signal(_ signal: Signal) throws(SandboxError) -> Bool {
        try step(.handshake) { () throws(KernelError) in
            // A zombie takes signals and does nothing with them.
            let isAlive = try BorrowedDescriptor(pidfd.raw).poll(for: .readable, timeout: .zero).isEmpty
            guard isAlive else { return false }
            return try Pidfd.send(signal, to: pidfd.raw)
        }
    }

    /// Runs the hooks that follow the removal of a container whose process has ended.
    ///
    /// - Parameters:
    ///   - id: Id of the container.
    ///   - specification: Its document.
    ///   - bundle: Absolute path of its bundle.
    /// - Returns: What went wrong; each hook runs whatever happens to others.
    public static func runPoststopHooks(id: String, specification: RuntimeSpec, bundle: String) -> [SandboxError] {
        HookRunner(id: id, specification: specification, bundle: bundle)?.runAll(.poststop, status: .stopped) ?? []
    }

    /// Runs the hooks that follow the removal of the container.
    ///
    /// - Returns: What went wrong; each hook runs whatever happens to others.
    public func runPoststopHooks() -> [SandboxError] { hooks?.runAll(.poststop, status: .stopped) ?? [] }

    /// Lets the set-up of an additional process clone it, and returns that when it has executed its program.
    ///
    /// - Throws: The step that failed; the cloned process has been reaped then, the set-up is the caller's still.
    func handOver(_ guardian: (any FilterGuard)?) throws(SandboxError) -> SandboxProcess {
        let channel = try door.open()
        let (process, failure, filter) = try receiveClone(channel, guardian)
        // It has nothing left to do, and its filter might ask somebody even about its end.
        Self.abandon(pidfd.raw)
        do throws(SandboxError) {
            if let failure { throw failure }
            if let filter { try process.deliver(filter, guardian) }
            try process.waitForExecution(channel, guardian)
        } catch {
            Self.abandon(process)
            throw error
        }
        return process
    }

    /// More messages than a set-up and the process that it clones have reason to send.
    private static let messageLimit = 4096

    /// The process that the set-up has cloned, and what it has said already: why it has failed, or what its filter's listener is taken by.
    ///
    /// It may be faster than the set-up, whose message must be waited for all the same, or nobody would reap the process.
    private func receiveClone(
        _ channel: SharedDescriptor,
        _ guardian: (any FilterGuard)?
    ) throws(SandboxError) -> (process: SandboxProcess, failure: SandboxError?, filter: [SharedDescriptor]?) {
        // The other end must not see ours close before it has said what it has to say.
        defer { withExtendedLifetime(channel) {} }
        let end = HandshakeEnd(socket: channel.raw)
        var failure: SandboxError?
        var filter: LoadedFilter?
        var early: HandshakeAnswer?
        // The process inside can be made to say anything; nothing that it says may keep the set-up's word from being heard, without
        // which nobody would reap that process.
        for _ in 0..<Self.messageLimit {
            let answer: HandshakeAnswer
            do throws(SandboxError) {
                guard let next = try Self.next(end, filter, guardian) else { break }
                answer = next
            } catch  where error.code == .internal {
                failure = failure ?? error
                continue
            }
            switch answer.message {
            case .failed(let error): failure = failure ?? error
            case .filterNext where answer.sender == pid && filter == nil:
                filter = try take(answer.descriptors, guardian)
            // Nobody but the set-up may say which process it has cloned: the caller reaps that, and signals it.
            case .cloned(let cloned) where answer.sender == pid:
                guard let pidfd = answer.descriptors.first else { continue }
                if failure == nil {
                    do throws(SandboxError) { try letGo(cloned, pidfd, filter, channel) } catch { failure = error }
                }
                return (clone(cloned, pidfd, channel), failure, early?.sender == cloned ? early?.descriptors : nil)
            // It loads its filter itself, and waits for its listener to be taken.
            case .filterNext where answer.sender != pid && early == nil: early = answer
            default:
                failure =
                    failure
                    ?? .refused(.handshake, "start process", "", "unexpected message", code: .internal)
            }
        }
        throw failure ?? .refused(.handshake, "start process", "", "the set-up ended early", code: .internal)
    }

    private func clone(_ pid: Int32, _ pidfd: SharedDescriptor, _ channel: SharedDescriptor) -> SandboxProcess {
        SandboxProcess(
            pid: pid,
            pidfd: pidfd,
            terminal: terminal,
            door: .channel(channel),
            warnings: warnings,
            listener: listener,
            hooks: nil
        )
    }

    private static func next(
        _ end: HandshakeEnd,
        _ filter: LoadedFilter?,
        _ guardian: (any FilterGuard)?
    ) throws(SandboxError) -> HandshakeAnswer? {
        if let guardian { return try end.receive(within: Sandbox.patience, answering: guardian) }
        guard let filter else { return try end.receive(within: Sandbox.patience) }
        return try filter.answerSetUp(until: end)
    }

    /// Gives a cloned process what its set-up could not, and lets it go on if it waits for that.
    private func letGo(
        _ pid: Int32,
        _ pidfd: SharedDescriptor,
        _ filter: LoadedFilter?,
        _ channel: SharedDescriptor
    ) throws(SandboxError) {
        if let lateScheduler {
            try step(.limits) { () throws(KernelError) in
                do throws(KernelError) { try lateScheduler.apply(to: pid) } catch {
                    throw error.about("process.scheduler")
                }
            }
        }
        if let filter, let listener, !listener.isCaller { try listener.send(filter.listener, of: pidfd.raw) }
        guard lateScheduler != nil || filter != nil else { return }
        try step(.handshake) { () throws(KernelError) in try HandshakeEnd(socket: channel.raw).send(.proceed) }
    }

    /// Takes the listener of the filter that the set-up loads; it is handed on with the process that the filter is for.
    private func take(
        _ descriptors: [SharedDescriptor],
        _ guardian: (any FilterGuard)?
    ) throws(SandboxError) -> LoadedFilter {
        guard let listener, descriptors.count == 2 else {
            throw .refused(.handshake, "start process", "", "a filter that nobody expects", code: .internal)
        }
        return LoadedFilter(
            listener: try listener.take(from: descriptors[0].raw, descriptors[1]) { taken in
                guardian?.took(taken, setUp: pid)
            }
        )
    }

    /// Hands the listener of a filter that is about to be loaded to who answers it.
    private func deliver(
        _ descriptors: [SharedDescriptor],
        _ guardian: (any FilterGuard)?
    ) throws(SandboxError) {
        guard let listener, descriptors.count == 2 else {
            throw .refused(.handshake, "start process", "", "a filter that nobody expects", code: .internal)
        }
        // A hook of the container loads the filter too, so the process is that of the message, not this one.
        try listener.deliver(from: descriptors[0].raw, descriptors[1], guardian)
    }

    private func waitForExecution(
        _ channel: SharedDescriptor,
        _ guardian: (any FilterGuard)?
    ) throws(SandboxError) {
        // The other end must not see ours close before it has said what it has to say.
        defer { withExtendedLifetime(channel) {} }
        let patience = Sandbox.patience + HookRunner.patience(hooks?.hooks.startContainer)
        // Closed by exec. A death before it looks the same from here; its exit status tells.
        while let answer = try HandshakeEnd(socket: channel.raw).receive(within: patience, answering: guardian) {
            switch answer.message {
            case .failed(let error): throw error
            case .filterNext: try deliver(answer.descriptors, guardian)
            default: throw .refused(.handshake, "start process", "", "unexpected message", code: .internal)
            }
        }
    }

    /// The parent's side after clone, up to the message that the process is ready.
    static func supervise(
        _ child: consuming Child,
        channel: SharedDescriptor,
        plan: ProcessPlan,
        hooks: HookRunner? = nil,
        netDevices: [MovedDevice] = [],
        prepare: (Int32) throws(SandboxError) -> Void = { _ in }
    ) throws(SandboxError) -> SandboxProcess {
        var plan = plan
        let pid = child.pid
        let pidfd = child.sharedPidfd()
        var moves = DeviceMoves()
        do throws(SandboxError) {
            try plan.applyFromOutside(to: pid)
            if hooks != nil || plan.listener?.state.status == .creating {
                plan.listener = plan.listener?.telling(.created, pid: pid)
            }
            let end = HandshakeEnd(socket: channel.raw)
            do throws(SandboxError) { try prepare(pid) } catch {
                // When the process has failed on its own, that is the reason; usually it has said nothing.
                if let said = try? end.receive(within: .zero), case .failed(let reason) = said.message { throw reason }
                throw error
            }
            let patience = Sandbox.patience + HookRunner.patience(hooks?.hooks.createContainer)
            var answer = try Self.answer(end, within: patience)
            if answer.message == .namespacesReady {
                try moves.move(netDevices, into: pid)
                try hooks?.run(.prestart, status: .creating, pid: pid)
                try hooks?.run(.createRuntime, status: .creating, pid: pid)
                try step(.handshake) { () throws(KernelError) in try end.send(.proceed) }
                answer = try Self.answer(end, within: patience)
            }
            guard answer.message == .ready else {
                throw .refused(.handshake, "create process", "", "unexpected message", code: .internal)
            }
            return SandboxProcess(
                pid: pid,
                pidfd: pidfd,
                terminal: answer.descriptors.first,
                door: .channel(channel),
                warnings: plan.warnings,
                listener: plan.listener,
                hooks: hooks,
                lateScheduler: plan.schedulingEndsWithFork ? plan.scheduler : nil
            )
        } catch {
            // While the namespace exists: with it virtual devices would end.
            let failures = moves.undo()
            abandon(pidfd.raw)
            plan.resourceControl?.remove()
            let error = failures.reduce(error) { $0.beside($1) }
            throw hooks?.afterFailure(error) ?? error
        }
    }

    /// The child's next message, when it is not the report of a failure.
    static func answer(
        _ end: HandshakeEnd,
        within patience: Duration
    ) throws(SandboxError) -> HandshakeAnswer {
        guard let answer = try end.receive(within: patience) else {
            throw .refused(.handshake, "create process", "", "the process ended during its set-up", code: .internal)
        }
        if case .failed(let error) = answer.message { throw error }
        return answer
    }

    /// Kills and reaps a process that was created or started, for callers that give it up.
    ///
    /// One that the kernel holds for longer than ten seconds is left to the caller's reaping.
    public static func abandon(_ process: SandboxProcess) { abandon(process.pidfd.raw) }

    /// Kills and reaps a process that nobody will hear of.
    static func abandon(_ pidfd: RawDescriptor) { Pidfd.end(pidfd, within: .seconds(10)) }
}
