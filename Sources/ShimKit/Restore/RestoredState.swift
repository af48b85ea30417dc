import Kernel
import ShimModel
import ShimProtocol
import ShimStreams

/// What a shim goes on with: a state, the descriptors that are there, and how it came to it.
struct RestoredState {
    /// How a shim comes to the state of another program.
    enum Way {
        /// The same process runs another program: nothing is lost.
        case upgrade
        /// Another process has died; what only its memory knew is lost.
        case adoption
    }

    let way: Way
    let state: ShimState
    let names: NamedDescriptors
    let table: TaskTable
    /// Every process of the state that had one, by key.
    ///
    /// Those that are gone are there as processes that have ended.
    private(set) var processes: [ProcessKey: ContainerProcess] = [:]
    /// Processes of which nothing is left; another that has ended stands in for each.
    private(set) var gone: Set<ProcessKey> = []

    /// Looks what of the processes is there.
    ///
    /// - Throws: `invalidArgument` for a state that cannot be, or why the kernel cannot be asked.
    init(_ way: Way, _ state: ShimState, _ names: NamedDescriptors) throws(StateError) {
        self.way = way
        self.state = state
        self.names = names
        table = try TaskTable(state)
        guard state.hasInitial else {
            return
        }
        for process in [state.initial] + state.execs where process.pid != 0 {
            try find(process)
        }
    }

    private mutating func find(_ process: ShimProcessState) throws(StateError) {
        let key = ProcessKey(execID: process.execID)
        let prefix = DescriptorName.process(key)
        // Checked by the table.
        let pid = Int32(clamping: process.pid)
        var pidfd = names[prefix + "pidfd"]
        if pidfd == nil, way == .adoption {
            pidfd = Self.open(pid, startTime: process.startTime)
        }
        if pidfd == nil {
            gone.insert(key)
            do throws(KernelError) {
                pidfd = try Pidfd.ofEndedProcess()
            } catch {
                throw .failed(error.code, "stand in for process \(pid): \(error)")
            }
        }
        if let pidfd {
            processes[key] = ContainerProcess(pid: pid, pidfd: pidfd, terminal: names[prefix + "terminal"])
        }
    }

    /// A process that is still there by its number: opened before its start is compared, so that it cannot be another one.
    private static func open(_ pid: Int32, startTime: UInt64) -> SharedDescriptor? {
        guard startTime != 0, let pidfd = try? Pidfd(pid: pid).intoDescriptor(),
            (try? ProcessFacts.startTime(of: pid)) == startTime
        else {
            return nil
        }
        return SharedDescriptor(pidfd)
    }

    /// What the backend goes on with.
    func backend<B: Backend>(_ type: B.Type, _ context: BackendContext) throws(BackendError) -> B {
        guard state.hasInitial else {
            return try B(context)
        }
        var byID: [String: ContainerProcess] = [:]
        for (key, process) in processes {
            byID[key.execID] = process
        }
        return try B.restore(
            context,
            state: Array(state.backendState),
            descriptors: names.below(DescriptorName.backend),
            processes: byID
        )
    }

    /// Refuses what is not of this container, or of this backend.
    func check(_ context: BackendContext, _ information: BackendInformation) throws(StateError) {
        try Self.check(state, information)
        guard state.id == context.id, state.namespace == context.namespace else {
            throw .mismatch("it is of container \(state.namespace)/\(state.id), not \(context.namespace)/\(context.id)")
        }
    }

    /// Refuses what is not of this backend.
    static func check(_ state: ShimState, _ information: BackendInformation) throws(StateError) {
        guard state.backend == information.name else {
            throw .mismatch("it is of backend \(state.backend), this program is backend \(information.name)")
        }
    }
}
