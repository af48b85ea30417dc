internal import Kernel
internal import OCISpec

// How the descriptor of a filter with questions gets from the process that the filter holds to who answers them.
//
// The process is the only one that can make the descriptor, by loading the filter, and from that moment the filter decides
// about each of its system calls. Were it to pass the descriptor on itself, a profile that asks about sendmsg, write or
// close would stop it in that call, with nobody there to answer: a deadlock. So it makes no system call at all. Before it
// loads the filter it says so, and passes a descriptor of itself and one of shared memory; then it stores the listener's
// number in that memory and spins. The parent takes the descriptor out of the process (pidfd_getfd), connects to the
// listener, sends it the state with the descriptor, and only then lets the process go on. All later calls, also those
// between here and exec, have somebody who answers.

/// Who answers the questions of a process's filter.
struct SeccompListener: Sendable {
    /// Empty when it is the caller.
    let path: String
    let metadata: String
    /// The container as it is when the filter is loaded.
    private(set) var state: ContainerState

    /// How long a listener may take to accept, and to read.
    private static let patience = Duration.seconds(10)

    /// Checks a document's listener against the filter.
    ///
    /// - Parameters:
    ///   - surroundings: What the document says of it.
    ///   - asks: Whether the filter asks at all.
    ///   - isCaller: Whether the caller answers.
    ///   - flags: The filter's SECCOMP_FILTER_FLAG_*.
    /// - Returns: Nil when nobody is asked.
    /// - Throws: `invalidArgument` when the filter asks and nobody is named, or nobody asks for what is said.
    static func plan(
        _ surroundings: SandboxSurroundings?,
        asks: Bool,
        isCaller: Bool,
        flags: UInt32
    ) throws(SandboxError) -> SeccompListener? {
        let path = surroundings?.listenerPath ?? ""
        let field = "linux.seccomp.listenerPath"
        if isCaller {
            guard path.isEmpty else { throw .invalid(field, "'\(path)': the filter's questions are answered already") }
            // A filter that refuses nothing has nothing to ask.
            return asks ? surroundings.map { SeccompListener(path: "", metadata: "", state: $0.state) } : nil
        }
        guard asks else {
            // The kernel refuses the flag without a listener, and a listener without questions is never answered.
            guard flags & 1 << 5 == 0 else {
                throw .invalid("linux.seccomp.flags", "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV without SCMP_ACT_NOTIFY")
            }
            guard surroundings?.listenerMetadata.isEmpty ?? true || !path.isEmpty else {
                throw .invalid("linux.seccomp.listenerMetadata", "without a listenerPath")
            }
            return nil
        }
        guard let surroundings, let listener = SeccompListener(surroundings) else {
            throw .invalid(field, "missing, but SCMP_ACT_NOTIFY is used")
        }
        guard path.hasPrefix("/"), !path.utf8.contains(0) else {
            throw .invalid(field, "'\(path)' is not an absolute path")
        }
        return listener
    }

    private init(path: String, metadata: String, state: ContainerState) {
        (self.path, self.metadata, self.state) = (path, metadata, state)
    }

    /// Whether the caller answers by himself.
    var isCaller: Bool { path.isEmpty }

    /// The listener of a container; nil when its document names none.
    ///
    /// - Parameters:
    ///   - surroundings: What the document says.
    ///   - isCaller: Whether the caller answers in any case.
    init?(_ surroundings: SandboxSurroundings, isCaller: Bool = false) {
        guard isCaller || !surroundings.listenerPath.isEmpty else { return nil }
        path = surroundings.listenerPath
        metadata = surroundings.listenerMetadata
        state = surroundings.state
    }

    /// The same listener, told of a container in this state.
    func telling(_ status: ContainerState.Status, pid: Int32) -> SeccompListener {
        var copy = self
        copy.state.status = status
        copy.state.pid = pid
        return copy
    }

    /// The parent's side: waits for the process to load its filter, and hands the listener over.
    ///
    /// - Parameters:
    ///   - process: A pidfd of the process.
    ///   - memory: What it has passed to tell the number in.
    ///   - guardian: The caller's, where the caller answers.
    /// - Throws: `seccomp`, when the process ends or nobody takes the filter; the process waits for ever then.
    func deliver(
        from process: RawDescriptor,
        _ memory: SharedDescriptor,
        _ guardian: (any FilterGuard)?
    ) throws(SandboxError) {
        try take(from: process, memory) { (filter) throws(SandboxError) in
            if isCaller { guardian?.took(filter, setUp: nil) } else { try send(filter, of: process) }
        }
    }

    /// The parent's side: waits for the process to load its filter, and takes the listener.
    ///
    /// - Parameters:
    ///   - process: A pidfd of the process.
    ///   - memory: What it has passed to tell the number in.
    ///   - use: What is done before the process goes on.
    /// - Returns: The listener.
    /// - Throws: `seccomp`, when the process ends; else it waits for ever then.
    @discardableResult
    func take(
        from process: RawDescriptor,
        _ memory: SharedDescriptor,
        _ use: (SharedDescriptor) throws(SandboxError) -> Void = { _ in }
    ) throws(SandboxError) -> SharedDescriptor {
        let handover = try step(.seccomp) { () throws(KernelError) in try ListenerHandover(sharing: memory) }
        let pidfd = try step(.seccomp) { () throws(KernelError) in
            Pidfd(try BorrowedDescriptor(process).duplicate())
        }
        let number = try waitForListener(pidfd, handover)
        let listener = try step(.seccomp) { () throws(KernelError) in
            SharedDescriptor(try pidfd.copyDescriptor(number))
        }
        try use(listener)
        handover.acknowledge()
        return listener
    }

    /// Hands a listener to who answers it.
    ///
    /// - Parameters:
    ///   - filter: The listener.
    ///   - process: A pidfd of the process that the filter is for.
    /// - Throws: `seccomp`, when nobody takes it.
    func send(_ filter: SharedDescriptor, of process: RawDescriptor) throws(SandboxError) {
        try step(.seccomp) { () throws(KernelError) in
            do throws(KernelError) {
                let pid = try Self.number(of: process)
                let message = ContainerProcessState(pid: pid, metadata: metadata, state: state).json
                let socket = try UnixSocket.connect(path, patience: Self.patience)
                let sent = try UnixSocket.sendDescriptors([filter.raw], with: message, to: socket.raw)
                if sent < message.count { try socket.writeAll(Array(message[sent...])) }
            } catch  where error.errno == .wouldBlock {
                throw .failed("hand filter to listener", path, .timedOut, detail: "it does not accept or read")
            } catch {
                throw .failed("hand filter to listener", path, error.errno, detail: "\(error)")
            }
        }
    }

    /// The number of the listener in the process.
    ///
    /// The process cannot tell by anything that could be waited for; loading takes some microseconds.
    private func waitForListener(
        _ process: borrowing Pidfd,
        _ handover: ListenerHandover
    ) throws(SandboxError) -> RawDescriptor {
        try step(.seccomp) { () throws(KernelError) in
            let begin = Clock.monotonic.now
            while handover.listener == nil {
                // A millisecond at most, or the end of the process, which may be killed at any time.
                if !(try process.poll(for: .readable, timeout: .milliseconds(1)).isEmpty) {
                    throw .failed("load seccomp filter", .noProcess, detail: "the process ended")
                }
                guard Clock.monotonic.now - begin < Self.patience else {
                    throw .failed("load seccomp filter", .timedOut)
                }
            }
            guard let number = handover.listener else { throw .failed("load seccomp filter", .badDescriptor) }
            return number
        }
    }

    /// A process's number in the namespace of the caller.
    static func number(of pidfd: RawDescriptor) throws(KernelError) -> Int32 {
        let text = try File.readText("/proc/self/fdinfo/\(pidfd)", limit: 4096)
        for line in text.split(separator: "\n") where line.hasPrefix("Pid:") {
            if let number = Int32(line.dropFirst(4).drop { $0 == "\t" || $0 == " " }), number > 0 { return number }
        }
        throw .failed("find number of process", .noProcess)
    }
}

/// A filter that the set-up of an additional process has loaded for it.
///
/// Its questions about calls of the set-up, which are not the process's and come before anybody knows the process, are answered
/// here: they are made. The process itself waits until its listener has been handed on.
struct LoadedFilter {
    let listener: SharedDescriptor

    /// Waits for the next word of the set-up.
    func answerSetUp(until end: HandshakeEnd) throws(SandboxError) -> HandshakeAnswer? {
        let begin = Clock.monotonic.now
        var isAsked = true
        while Clock.monotonic.now - begin < Sandbox.patience {
            let ready = try step(.handshake) { () throws(KernelError) in
                var polled = PollSet()
                polled.add(end.socket, .readable)
                // Once no process has the filter any more it would be ready for ever.
                if isAsked { polled.add(listener.raw, .readable) }
                return try polled.wait(timeout: Sandbox.patience)
            }
            if ready.contains(where: { $0.descriptor == end.socket }) { return try end.receive(within: .zero) }
            for event in ready where event.descriptor == listener.raw {
                isAsked = event.events.contains(.readable)
                guard isAsked else { continue }
                try step(.seccomp) { () throws(KernelError) in
                    guard let question = try SeccompNotification.next(from: listener.raw) else { return }
                    // Who asked may have been killed meanwhile.
                    do throws(KernelError) { try question.answer(.proceed, to: listener.raw) } catch
                        where error.errno == .noEntry
                    {}
                }
            }
        }
        throw .refused(.handshake, "wait for the process", "", "no answer in time", code: .timedOut)
    }
}
