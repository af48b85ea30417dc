internal import CKernel

/// A resource limit of a process (`prlimit(2)`).
public struct Rlimit: Hashable, Sendable {
    /// What is limited.
    public struct Resource: Hashable, Sendable {
        let number: Int32

        private static let names = [
            "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
            "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
        ]

        init(number: Int32) { self.number = number }

        /// The resource of a name.
        ///
        /// - Parameter name: for example `RLIMIT_NOFILE` or `nofile`; nil results for unknown names.
        public init?(name: String) {
            var short = name.uppercased()
            if short.hasPrefix("RLIMIT_") { short.removeFirst(7) }
            guard let index = Resource.names.firstIndex(of: short) else { return nil }
            number = Int32(index)
        }

        /// For example `RLIMIT_NOFILE`.
        public var name: String { "RLIMIT_" + Resource.names[Int(number)] }

        /// Open descriptors.
        public static let openFiles = Resource(number: 7)
        /// Processes of the user.
        public static let processes = Resource(number: 6)
        /// Size of core dumps.
        public static let coreSize = Resource(number: 4)
    }

    /// No limit.
    public static let unlimited = UInt64.max

    /// What is enforced.
    public var soft: UInt64
    /// How far the process may raise it.
    public var hard: UInt64

    /// Makes a limit.
    public init(soft: UInt64, hard: UInt64) {
        self.soft = soft
        self.hard = hard
    }

    /// Reads a limit.
    ///
    /// - Parameters:
    ///   - resource: what is limited.
    ///   - pid: the process; 0 for the calling one.
    /// - Returns: the limit.
    /// - Throws: `KernelError`.
    public static func get(_ resource: Resource, of pid: Int32 = 0) throws(KernelError) -> Rlimit {
        var pair: [UInt64] = [0, 0]
        try system("read limit", resource.name) { unsafe ck_prlimit(pid, resource.number, nil, &pair) }
        return Rlimit(soft: pair[0], hard: pair[1])
    }

    /// Sets a limit.
    ///
    /// - Parameters:
    ///   - resource: what is limited.
    ///   - limit: the new limit.
    ///   - pid: the process; 0 for the calling one.
    /// - Throws: `KernelError`; errno is `.notPermitted` when the hard limit would rise without CAP_SYS_RESOURCE.
    public static func set(_ resource: Resource, _ limit: Rlimit, of pid: Int32 = 0) throws(KernelError) {
        try system("set limit", resource.name) {
            unsafe ck_prlimit(pid, resource.number, [limit.soft, limit.hard], nil)
        }
    }
}
