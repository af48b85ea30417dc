extension RuntimeSpec {
    /// The Linux section of a runtime document (OCI runtime-spec "config-linux").
    public struct Linux: Codable, Sendable, Equatable {
        /// Namespaces to make or join, each type at most once.
        ///
        /// An absent type is inherited.
        public var namespaces: [Namespace]?
        /// User ids of a new user namespace.
        public var uidMappings: [IDMapping]?
        /// Group ids of a new user namespace.
        public var gidMappings: [IDMapping]?
        /// Offsets of a new time namespace by clock: `monotonic`, `boottime`.
        public var timeOffsets: [String: TimeOffset]?
        /// Device files to make beside the default ones.
        public var devices: [Device]?
        /// Host interfaces to move into the network namespace, by their name outside.
        public var netDevices: [String: NetDevice]?
        /// Cgroup of the container.
        ///
        /// Absolute means below the mount point of the hierarchy.
        public var cgroupsPath: String?
        /// Limits.
        public var resources: Resources?
        /// Propagation of the root: `shared`, `slave`, `private` or `unbindable`.
        public var rootfsPropagation: String?
        /// System call filter.
        public var seccomp: Seccomp?
        /// Kernel parameters by dotted name.
        public var sysctl: [String: String]?
        /// Paths that nothing in the container can read.
        public var maskedPaths: [String]?
        /// Paths that nothing in the container can write.
        public var readonlyPaths: [String]?
        /// SELinux context of mounts.
        public var mountLabel: String?
        /// Resource control group.
        public var intelRdt: IntelRdt?
        /// Execution domain.
        public var personality: Personality?
        /// NUMA policy for set_mempolicy(2).
        public var memoryPolicy: MemoryPolicy?

        /// Creates the object from its fields.
        public init(
            namespaces: [Namespace]? = nil,
            uidMappings: [IDMapping]? = nil,
            gidMappings: [IDMapping]? = nil,
            timeOffsets: [String: TimeOffset]? = nil,
            devices: [Device]? = nil,
            netDevices: [String: NetDevice]? = nil,
            cgroupsPath: String? = nil,
            resources: Resources? = nil,
            rootfsPropagation: String? = nil,
            seccomp: Seccomp? = nil,
            sysctl: [String: String]? = nil,
            maskedPaths: [String]? = nil,
            readonlyPaths: [String]? = nil,
            mountLabel: String? = nil,
            intelRdt: IntelRdt? = nil,
            personality: Personality? = nil,
            memoryPolicy: MemoryPolicy? = nil
        ) {
            self.namespaces = namespaces
            self.uidMappings = uidMappings
            self.gidMappings = gidMappings
            self.timeOffsets = timeOffsets
            self.devices = devices
            self.netDevices = netDevices
            self.cgroupsPath = cgroupsPath
            self.resources = resources
            self.rootfsPropagation = rootfsPropagation
            self.seccomp = seccomp
            self.sysctl = sysctl
            self.maskedPaths = maskedPaths
            self.readonlyPaths = readonlyPaths
            self.mountLabel = mountLabel
            self.intelRdt = intelRdt
            self.personality = personality
            self.memoryPolicy = memoryPolicy
        }
    }

    /// A namespace to make, or to join when it has a path.
    public struct Namespace: Codable, Sendable, Equatable {
        /// Which kind.
        public var type: NamespaceType
        /// Absolute path of an existing namespace.
        public var path: String?

        /// Creates the object from its fields.
        public init(type: NamespaceType, path: String? = nil) {
            self.type = type
            self.path = path
        }
    }

    /// The kinds of namespaces.
    public enum NamespaceType: String, Codable, Sendable, CaseIterable {
        /// Process ids.
        case pid
        /// Network stack.
        case network
        /// Mount table.
        case mount
        /// System V IPC and POSIX message queues.
        case ipc
        /// Host and domain name.
        case uts
        /// User and group ids.
        case user
        /// View of the cgroup tree.
        case cgroup
        /// Monotonic and boot-time clocks.
        case time
    }

    /// Offset of one clock of a time namespace.
    public struct TimeOffset: Codable, Sendable, Equatable {
        /// Whole seconds.
        public var secs: Int64?
        /// Nanoseconds.
        public var nanosecs: UInt32?

        /// Creates the object from its fields.
        public init(secs: Int64? = nil, nanosecs: UInt32? = nil) {
            self.secs = secs
            self.nanosecs = nanosecs
        }
    }

    /// One device file.
    public struct Device: Codable, Sendable, Equatable {
        /// `c`, `u` (unbuffered character), `b` or `p` (FIFO).
        public var type: String
        /// Absolute path inside the container.
        public var path: String
        /// Major number.
        ///
        /// Not used by FIFOs.
        public var major: Int64?
        /// Minor number.
        ///
        /// Not used by FIFOs.
        public var minor: Int64?
        /// Permission bits.
        ///
        /// Absent means 0666.
        public var fileMode: UInt32?
        /// Owner.
        ///
        /// Absent means 0.
        public var uid: UInt32?
        /// Group.
        ///
        /// Absent means 0.
        public var gid: UInt32?

        /// Creates the object from its fields.
        public init(
            type: String,
            path: String,
            major: Int64? = nil,
            minor: Int64? = nil,
            fileMode: UInt32? = nil,
            uid: UInt32? = nil,
            gid: UInt32? = nil
        ) {
            self.type = type
            self.path = path
            self.major = major
            self.minor = minor
            self.fileMode = fileMode
            self.uid = uid
            self.gid = gid
        }
    }

    /// A host interface that moves into the container.
    public struct NetDevice: Codable, Sendable, Equatable {
        /// Its name inside.
        ///
        /// Absent keeps the one outside.
        public var name: String?

        /// Creates the object from its fields.
        public init(name: String? = nil) {
            self.name = name
        }
    }

    /// A resource control group (resctrl).
    public struct IntelRdt: Codable, Sendable, Equatable {
        /// Class of service.
        ///
        /// Absent means one per container.
        public var closID: String?
        /// L3 line of the schemata file.
        public var l3CacheSchema: String?
        /// Memory bandwidth line of the schemata file.
        public var memBwSchema: String?
        /// Lines for the schemata file.
        public var schemata: [String]?
        /// Whether to make a monitoring group.
        public var enableMonitoring: Bool?

        /// Creates the object from its fields.
        public init(
            closID: String? = nil,
            l3CacheSchema: String? = nil,
            memBwSchema: String? = nil,
            schemata: [String]? = nil,
            enableMonitoring: Bool? = nil
        ) {
            self.closID = closID
            self.l3CacheSchema = l3CacheSchema
            self.memBwSchema = memBwSchema
            self.schemata = schemata
            self.enableMonitoring = enableMonitoring
        }
    }

    /// Execution domain for personality(2).
    public struct Personality: Codable, Sendable, Equatable {
        /// `LINUX` or `LINUX32`.
        public var domain: String
        /// Flags.
        ///
        /// None are defined yet.
        public var flags: [String]?

        /// Creates the object from its fields.
        public init(domain: String, flags: [String]? = nil) {
            self.domain = domain
            self.flags = flags
        }
    }

    /// NUMA policy for set_mempolicy(2).
    public struct MemoryPolicy: Codable, Sendable, Equatable {
        /// Name such as `MPOL_BIND`.
        public var mode: String
        /// List of nodes such as `0-3,7`.
        public var nodes: String?
        /// Names such as `MPOL_F_STATIC_NODES`.
        public var flags: [String]?

        /// Creates the object from its fields.
        public init(mode: String, nodes: String? = nil, flags: [String]? = nil) {
            self.mode = mode
            self.nodes = nodes
            self.flags = flags
        }
    }
}
