internal import CKernel
internal import Glibc

/// What a process still has to do before its program runs, for a copy of it that somebody else may look into from its first moment.
///
/// The copy has nothing of this process's memory but the pages in which these steps are written down, the program's arguments among them,
/// and the code that does them.
@safe public final class LastSteps {
    /// A filter that is loaded as the last step.
    public struct Filter {
        /// `struct sock_filter` records, 8 bytes each.
        public var program: [UInt64]
        /// `SECCOMP_FILTER_FLAG_*`.
        public var flags: UInt32
        /// Through what the filter's listener is handed over, if it has one, and the byte that is sent before with a pidfd of the copy
        /// and this memory.
        public var listener: (handover: ListenerHandover, announcement: UInt8)?

        /// Makes a value from its parts.
        public init(program: [UInt64], flags: UInt32, listener: (handover: ListenerHandover, announcement: UInt8)?) {
            self.program = program
            self.flags = flags
            self.listener = listener
        }
    }

    /// The packets that report a failure.
    ///
    /// Each ends with four bytes for errno, the lowest first, which the copy fills in but for the last two.
    public struct Failures {
        /// The terminal could not become the session's.
        public var console: [UInt8]
        /// The filter could not be loaded.
        public var filter: [UInt8]
        /// A candidate could not be executed.
        public var execution: [UInt8]
        /// There is no candidate.
        public var missing: [UInt8]
        /// There is none that may be executed.
        public var denied: [UInt8]

        /// Makes a value from its parts.
        public init(console: [UInt8], filter: [UInt8], execution: [UInt8], missing: [UInt8], denied: [UInt8]) {
            self.console = console
            self.filter = filter
            self.execution = execution
            self.missing = missing
            self.denied = denied
        }
    }

    private nonisolated(unsafe) let steps: OpaquePointer
    private let filter: Filter?

    /// Writes the steps down: wait for the word, make a session, load the filter, execute the program.
    ///
    /// - Parameters:
    ///   - candidates: paths of the program, tried as execvp(3) does.
    ///   - arguments: with the program's own name first.
    ///   - environment: `NAME=value` texts.
    ///   - channel: socket of packets, closed on exec.
    ///   - word: only byte of the packet that is waited for, without which the copy ends; nil when it does not wait.
    ///   - hasTerminal: whether standard input becomes the controlling terminal; without one the session need not be new.
    ///   - filter: what is loaded last.
    ///   - failures: what is sent when a step fails.
    /// - Throws: `KernelError`.
    public init(
        candidates: [String],
        arguments: ArgumentVector,
        environment: ArgumentVector,
        channel: RawDescriptor,
        waitingFor word: UInt8?,
        hasTerminal: Bool,
        filter: Filter?,
        failures: Failures
    ) throws(KernelError) {
        let paths = try ArgumentVector(candidates)
        let packets = [failures.console, failures.filter, failures.execution, failures.missing, failures.denied]
        let sizes = packets.map(\.count)
        let bytes = packets.flatMap { $0 }
        let records = filter?.program ?? []
        let made = unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe sizes.withUnsafeBufferPointer { sizes in
                unsafe records.withUnsafeBufferPointer { records in
                    // The plan is copied by the call; what it points to lives until then.
                    var plan = unsafe ck_last_steps_plan()
                    unsafe plan.candidates = unsafe UnsafePointer(paths.pointers)
                    unsafe plan.argv = unsafe UnsafePointer(arguments.pointers)
                    unsafe plan.envp = unsafe UnsafePointer(environment.pointers)
                    unsafe plan.channel = channel
                    unsafe plan.proceed = word ?? 0
                    unsafe plan.announce = filter?.listener?.announcement ?? 0
                    unsafe plan.terminal = hasTerminal ? 1 : 0
                    unsafe plan.filter = records.baseAddress
                    unsafe plan.filter_count = records.count
                    unsafe plan.filter_flags = filter?.flags ?? 0
                    unsafe plan.words = filter?.listener?.handover.words
                    unsafe plan.memory = filter?.listener?.handover.memory.raw ?? -1
                    unsafe plan.failures = bytes.baseAddress
                    unsafe plan.failure_sizes = sizes.baseAddress
                    return unsafe withExtendedLifetime((paths, arguments, environment)) {
                        unsafe ck_last_steps_new(&plan)
                    }
                }
            }
        }
        guard let made = unsafe made else { throw .failed("write down last steps", .current) }
        unsafe steps = made
        self.filter = filter
    }

    deinit { unsafe ck_last_steps_free(steps) }

    /// Keeps all memory that the process has now from the copy.
    ///
    /// Before a filter is loaded that might forbid it. Any other copy of this process would not live from here on.
    ///
    /// - Throws: `KernelError`.
    public func forget() throws(KernelError) {
        try system("keep memory from the clone") { unsafe ck_last_steps_forget(steps) }
    }

    /// Makes the copy, which does the steps, for the parent of this process: a sibling, which the parent reaps.
    ///
    /// Takes the older call where a system call filter hides clone3(2), as common profiles do because they cannot look at what its
    /// argument points to.
    ///
    /// - Parameter older: whether to take the older call at once, where a filter would kill for the newer one.
    /// - Returns: the sibling.
    /// - Throws: `KernelError`; errno is `.noMemory` also when the PID namespace for children has lost its first process.
    public func clone(older: Bool) throws(KernelError) -> Child {
        var pidfd: Int32 = -1
        let pid = unsafe ck_last_steps_clone(steps, older ? 1 : 0, &pidfd)
        if pid == -1 { throw .failed("clone process", .current) }
        return Child(pid: pid, pidfd: Pidfd(Descriptor(adopting: pidfd)))
    }
}
