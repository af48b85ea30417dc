extension RuntimeSpec {
    /// The program that a container, or an exec session, runs (OCI runtime-spec "process").
    public struct Process: Codable, Sendable, Equatable {
        /// Whether the three standard streams are a pseudo-terminal.
        public var terminal: Bool?
        /// First size of the terminal.
        ///
        /// Ignored without one.
        public var consoleSize: ConsoleSize?
        /// Who the program runs as.
        ///
        /// Absent means 0:0.
        public var user: User?
        /// Argument vector with at least one entry; the first is looked up as execvp(3) does.
        public var args: [String]?
        /// The exact environment, `NAME=value`.
        public var env: [String]?
        /// Absolute working directory.
        ///
        /// Absent means `/`.
        public var cwd: String?
        /// The five capability sets.
        ///
        /// Absent means none.
        public var capabilities: Capabilities?
        /// Resource limits, each type at most once.
        public var rlimits: [Rlimit]?
        /// Whether exec may never add privileges.
        public var noNewPrivileges: Bool?
        /// AppArmor profile to enter at exec.
        public var apparmorProfile: String?
        /// SELinux label to enter at exec.
        public var selinuxLabel: String?
        /// Value for `oom_score_adj`.
        ///
        /// Absent leaves it untouched.
        public var oomScoreAdj: Int?
        /// Attributes for sched_setattr(2).
        public var scheduler: Scheduler?
        /// I/O class and priority for ioprio_set(2).
        public var ioPriority: IOPriority?
        /// CPU lists for an exec session.
        public var execCPUAffinity: CPUAffinity?

        /// Creates the object from its fields.
        public init(
            terminal: Bool? = nil,
            consoleSize: ConsoleSize? = nil,
            user: User? = nil,
            args: [String]? = nil,
            env: [String]? = nil,
            cwd: String? = nil,
            capabilities: Capabilities? = nil,
            rlimits: [Rlimit]? = nil,
            noNewPrivileges: Bool? = nil,
            apparmorProfile: String? = nil,
            selinuxLabel: String? = nil,
            oomScoreAdj: Int? = nil,
            scheduler: Scheduler? = nil,
            ioPriority: IOPriority? = nil,
            execCPUAffinity: CPUAffinity? = nil
        ) {
            self.terminal = terminal
            self.consoleSize = consoleSize
            self.user = user
            self.args = args
            self.env = env
            self.cwd = cwd
            self.capabilities = capabilities
            self.rlimits = rlimits
            self.noNewPrivileges = noNewPrivileges
            self.apparmorProfile = apparmorProfile
            self.selinuxLabel = selinuxLabel
            self.oomScoreAdj = oomScoreAdj
            self.scheduler = scheduler
            self.ioPriority = ioPriority
            self.execCPUAffinity = execCPUAffinity
        }
    }

    /// Size of a terminal in characters.
    public struct ConsoleSize: Codable, Sendable, Equatable {
        /// Rows.
        public var height: UInt32
        /// Columns.
        public var width: UInt32

        /// Creates the object from its fields.
        public init(height: UInt32, width: UInt32) {
            self.height = height
            self.width = width
        }
    }

    /// Who a process runs as, in the container's ids.
    public struct User: Codable, Sendable, Equatable {
        /// User id.
        public var uid: UInt32
        /// Primary group id.
        public var gid: UInt32
        /// File mode creation mask.
        ///
        /// Absent leaves it untouched.
        public var umask: UInt32?
        /// Supplementary groups beside the primary one.
        public var additionalGids: [UInt32]?
        /// The raw `User` text of an image or client, such as `www-data:tape` or `1000`.
        ///
        /// Berth's extension on Linux: when present it is resolved against `/etc/passwd` and `/etc/group` inside the
        /// container's root, just before the credentials change, and `uid` and `gid` are ignored.
        public var username: String?

        /// Creates the object from its fields.
        public init(
            uid: UInt32 = 0,
            gid: UInt32 = 0,
            umask: UInt32? = nil,
            additionalGids: [UInt32]? = nil,
            username: String? = nil
        ) {
            self.uid = uid
            self.gid = gid
            self.umask = umask
            self.additionalGids = additionalGids
            self.username = username
        }

        /// Decodes the object; what is absent or null gets its default.
        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            uid = try values.decodeIfPresent(UInt32.self, forKey: .uid) ?? 0
            gid = try values.decodeIfPresent(UInt32.self, forKey: .gid) ?? 0
            umask = try values.decodeIfPresent(UInt32.self, forKey: .umask)
            additionalGids = try values.decodeIfPresent([UInt32].self, forKey: .additionalGids)
            username = try values.decodeIfPresent(String.self, forKey: .username)
        }

        private enum CodingKeys: String, CodingKey {
            case uid
            case gid
            case umask
            case additionalGids
            case username
        }
    }

    /// The five capability sets, each a list of names such as `CAP_CHOWN`.
    ///
    /// Absent means empty.
    public struct Capabilities: Codable, Sendable, Equatable {
        /// Upper bound for what exec can gain.
        public var bounding: [String]?
        /// In force.
        public var effective: [String]?
        /// Kept across exec through file capabilities.
        public var inheritable: [String]?
        /// May be made effective.
        public var permitted: [String]?
        /// Kept across exec without privileges.
        public var ambient: [String]?

        /// Creates the object from its fields.
        public init(
            bounding: [String]? = nil,
            effective: [String]? = nil,
            inheritable: [String]? = nil,
            permitted: [String]? = nil,
            ambient: [String]? = nil
        ) {
            self.bounding = bounding
            self.effective = effective
            self.inheritable = inheritable
            self.permitted = permitted
            self.ambient = ambient
        }
    }

    /// One resource limit.
    public struct Rlimit: Codable, Sendable, Equatable {
        /// Name such as `RLIMIT_NOFILE`.
        public var type: String
        /// The limit in force.
        public var soft: UInt64
        /// The ceiling of the soft limit.
        public var hard: UInt64

        /// Creates the object from its fields.
        public init(type: String, soft: UInt64, hard: UInt64) {
            self.type = type
            self.soft = soft
            self.hard = hard
        }
    }

    /// Attributes for sched_setattr(2).
    public struct Scheduler: Codable, Sendable, Equatable {
        /// Name such as `SCHED_BATCH`.
        public var policy: String
        /// Nice value of the normal policies.
        public var nice: Int32?
        /// Static priority of the real-time policies.
        public var priority: Int32?
        /// Names such as `SCHED_FLAG_RESET_ON_FORK`.
        public var flags: [String]?
        /// Nanoseconds of the deadline policy.
        public var runtime: UInt64?
        /// Nanoseconds of the deadline policy.
        public var deadline: UInt64?
        /// Nanoseconds of the deadline policy.
        public var period: UInt64?

        /// Creates the object from its fields.
        public init(
            policy: String,
            nice: Int32? = nil,
            priority: Int32? = nil,
            flags: [String]? = nil,
            runtime: UInt64? = nil,
            deadline: UInt64? = nil,
            period: UInt64? = nil
        ) {
            self.policy = policy
            self.nice = nice
            self.priority = priority
            self.flags = flags
            self.runtime = runtime
            self.deadline = deadline
            self.period = period
        }
    }

    /// Scheduling class and priority of a process's I/O.
    public struct IOPriority: Codable, Sendable, Equatable {
        /// `IOPRIO_CLASS_RT`, `IOPRIO_CLASS_BE` or `IOPRIO_CLASS_IDLE`.
        public var ioClass: String
        /// 0 (highest) to 7.
        public var priority: Int

        /// Creates the object from its fields.
        public init(ioClass: String, priority: Int) {
            self.ioClass = ioClass
            self.priority = priority
        }

        private enum CodingKeys: String, CodingKey {
            case ioClass = "class"
            case priority
        }
    }

    /// CPU lists of an exec session.
    public struct CPUAffinity: Codable, Sendable, Equatable {
        /// While the session is being set up.
        public var initial: String?
        /// When the program runs.
        public var final: String?

        /// Creates the object from its fields.
        public init(initial: String? = nil, final: String? = nil) {
            self.initial = initial
            self.final = final
        }
    }
}
