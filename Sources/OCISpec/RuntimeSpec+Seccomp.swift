extension RuntimeSpec {
    /// A system call filter (OCI runtime-spec "config-linux", seccomp).
    public struct Seccomp: Codable, Sendable, Equatable {
        /// What happens to calls without a matching rule.
        public var defaultAction: Action
        /// Errno of the default action, for `errno` and `trace` only.
        public var defaultErrnoRet: UInt32?
        /// Names such as `SCMP_ARCH_X86_64`.
        ///
        /// Absent means the native one.
        public var architectures: [String]?
        /// Names such as `SECCOMP_FILTER_FLAG_LOG`.
        public var flags: [String]?
        /// Unix socket that receives the notification descriptor.
        public var listenerPath: String?
        /// Opaque text for the listener.
        public var listenerMetadata: String?
        /// The rules.
        public var syscalls: [Rule]?

        /// Creates the object from its fields.
        public init(
            defaultAction: Action,
            defaultErrnoRet: UInt32? = nil,
            architectures: [String]? = nil,
            flags: [String]? = nil,
            listenerPath: String? = nil,
            listenerMetadata: String? = nil,
            syscalls: [Rule]? = nil
        ) {
            self.defaultAction = defaultAction
            self.defaultErrnoRet = defaultErrnoRet
            self.architectures = architectures
            self.flags = flags
            self.listenerPath = listenerPath
            self.listenerMetadata = listenerMetadata
            self.syscalls = syscalls
        }
    }
}

extension RuntimeSpec.Seccomp {
    /// One action for a list of system calls.
    public struct Rule: Codable, Sendable, Equatable {
        /// Names of system calls.
        ///
        /// Those that the kernel's table lacks are skipped.
        public var names: [String]
        /// What happens.
        public var action: Action
        /// Errno, for `errno` and `trace` only.
        ///
        /// Absent means EPERM.
        public var errnoRet: UInt32?
        /// Conditions on the arguments; all must hold.
        public var args: [Argument]?

        /// Creates the object from its fields.
        public init(names: [String], action: Action, errnoRet: UInt32? = nil, args: [Argument]? = nil) {
            self.names = names
            self.action = action
            self.errnoRet = errnoRet
            self.args = args
        }
    }

    /// A condition on one argument of a system call.
    public struct Argument: Codable, Sendable, Equatable {
        /// 0 to 5.
        public var index: UInt32
        /// Value to compare with; the mask for `maskedEqual`.
        public var value: UInt64
        /// The wanted value under the mask, for `maskedEqual`.
        public var valueTwo: UInt64?
        /// The comparison.
        public var op: Operator

        /// Creates the object from its fields.
        public init(index: UInt32, value: UInt64, valueTwo: UInt64? = nil, op: Operator) {
            self.index = index
            self.value = value
            self.valueTwo = valueTwo
            self.op = op
        }
    }

    /// What happens to a system call.
    public enum Action: String, Codable, Sendable, CaseIterable {
        /// Kills the thread; the old name of `killThread`.
        case kill = "SCMP_ACT_KILL"
        /// Kills the process.
        case killProcess = "SCMP_ACT_KILL_PROCESS"
        /// Kills the thread.
        case killThread = "SCMP_ACT_KILL_THREAD"
        /// Sends SIGSYS.
        case trap = "SCMP_ACT_TRAP"
        /// Fails with an errno.
        case errno = "SCMP_ACT_ERRNO"
        /// Tells a tracer.
        case trace = "SCMP_ACT_TRACE"
        /// Lets the call through.
        case allow = "SCMP_ACT_ALLOW"
        /// Lets the call through and logs it.
        case log = "SCMP_ACT_LOG"
        /// Asks the listener.
        case notify = "SCMP_ACT_NOTIFY"
    }

    /// How an argument is compared with a value, as unsigned 64-bit numbers.
    public enum Operator: String, Codable, Sendable, CaseIterable {
        /// Not equal.
        case notEqual = "SCMP_CMP_NE"
        /// Less than.
        case less = "SCMP_CMP_LT"
        /// Less than or equal.
        case lessOrEqual = "SCMP_CMP_LE"
        /// Equal.
        case equal = "SCMP_CMP_EQ"
        /// Greater than or equal.
        case greaterOrEqual = "SCMP_CMP_GE"
        /// Greater than.
        case greater = "SCMP_CMP_GT"
        /// Equal after masking: `argument & value == valueTwo`.
        case maskedEqual = "SCMP_CMP_MASKED_EQ"
    }
}
