internal import CKernel
internal import Glibc

/// Starts a program from a process with any number of threads.
///
/// The child shares memory with the stopped caller until exec, so nothing is copied and no lock can be left held; all that happens
/// between clone and exec is C code that allocates nothing.
public struct Spawn: Sendable {
    /// The program's arguments, its own name first.
    public var arguments: [String]
    /// `NAME=value` texts; the parent's environment is not inherited.
    public var environment: [String]
    /// Which of the caller's descriptors (values) the program gets, and under which numbers (keys).
    ///
    /// All others stay behind; numbers 0 to 2 that are not given are `/dev/null`. The caller keeps its own.
    public var descriptors: [Int32: RawDescriptor] = [:]
    /// Whether the program leads a session of its own.
    public var newSession = true
    /// Its umask.
    public var umask: UInt32 = 0o022
    /// Its working directory, an open directory; nil for the caller's.
    public var directory: RawDescriptor?
    /// Its `oom_score_adj`, -1000 to 1000; nil for the caller's.
    public var oomScoreAdjustment: Int?
    /// A cgroup v2 directory that it is born in; nil for the caller's.
    public var cgroup: RawDescriptor?
    /// Namespaces of its own.
    public var namespaces: Namespace.Kinds = []
    /// What the caller gets when it ends; nil for nothing.
    public var exitSignal: Signal? = .child

    /// Describes a program.
    ///
    /// - Parameters:
    ///   - arguments: its arguments, its own name first.
    ///   - environment: `NAME=value` texts.
    public init(arguments: [String], environment: [String] = []) {
        self.arguments = arguments
        self.environment = environment
    }

    /// Starts the program by path.
    ///
    /// - Parameter path: the program.
    /// - Returns: the child; it is running the program already.
    /// - Throws: `KernelError` with the failed step.
    public func start(_ path: String) throws(KernelError) -> Child {
        let program = try File.open(path, .path)
        // An interpreter opens the script that it is given by name: a descriptor that exec closes is no name.
        let name = path.hasPrefix("/") ? path : nil
        do throws(KernelError) { return try start(program.raw, name: name) } catch { throw error.about(path) }
    }

    /// Starts an open program.
    ///
    /// - Parameter program: for example a `SealedExecutable`'s descriptor.
    /// - Returns: the child; it is running the program already.
    /// - Throws: `KernelError` with the failed step.
    public func start(_ program: RawDescriptor) throws(KernelError) -> Child { try start(program, name: nil) }

    private func start(_ program: RawDescriptor, name: String?) throws(KernelError) -> Child {
        if let name, name.utf8.contains(0) { throw .failed("execute", name, .invalid, detail: "a NUL byte") }
        let argv = try ArgumentVector(arguments)
        let envp = try ArgumentVector(environment)
        let null = try File.open("/dev/null", .readWrite)
        var map = descriptors
        for number: Int32 in 0...2 where map[number] == nil { map[number] = null.raw }
        let (targets, sources) = (Array(map.keys), Array(map.values))
        var call = unsafe ck_spawn_args()
        unsafe call.executable = program
        unsafe call.directory = directory ?? -1
        unsafe call.cgroup = cgroup ?? -1
        unsafe call.new_session = newSession ? 1 : 0
        unsafe call.umask = umask
        unsafe call.flags = UInt64(namespaces.rawValue)
        unsafe call.exit_signal = exitSignal?.rawValue ?? 0
        unsafe call.argv = unsafe UnsafePointer(argv.pointers)
        unsafe call.envp = unsafe UnsafePointer(envp.pointers)
        unsafe call.count = targets.count
        let score = (oomScoreAdjustment.map(String.init) ?? "").utf8CString
        let path = (name ?? "").utf8CString
        // The arrays live until the child has left our memory: ck_spawn returns only after exec or failure.
        let pid = unsafe targets.withUnsafeBufferPointer { targets in
            unsafe sources.withUnsafeBufferPointer { sources in
                unsafe score.withUnsafeBufferPointer { score in
                    unsafe path.withUnsafeBufferPointer { path in
                        unsafe call.targets = targets.baseAddress
                        unsafe call.sources = sources.baseAddress
                        unsafe call.oom_score_adj = oomScoreAdjustment == nil ? nil : score.baseAddress
                        unsafe call.path = name == nil ? nil : path.baseAddress
                        return unsafe ck_spawn(&call)
                    }
                }
            }
        }
        guard pid != -1 else { throw unsafe .failed(Spawn.step(call.stage), .current) }
        return unsafe Child(pid: pid, pidfd: Pidfd(Descriptor(adopting: call.pidfd)))
    }

    private static func step(_ stage: Int32) -> String {
        switch stage {
        case 1: "set oom_score_adj"
        case 2: "start session"
        case 3: "place descriptors"
        case 5: "enter working directory"
        case 6: "execute"
        default: "clone process"
        }
    }
}
