/// The document `config.json` of an OCI bundle (OCI runtime-spec 1.3), its Linux part complete.
///
/// Unknown properties are ignored, `null` counts as absent, and encoding leaves out what is nil. The types hold what was
/// written; whether a value can be applied is decided by who applies it.
public struct RuntimeSpec: Codable, Sendable, Equatable {
    /// Version of the specification that the document follows.
    public var ociVersion: String
    /// The program to run.
    ///
    /// Needed by `start`, not by `create`.
    public var process: Process?
    /// The root filesystem.
    public var root: Root?
    /// Host name inside the UTS namespace.
    public var hostname: String?
    /// NIS domain name inside the UTS namespace.
    public var domainname: String?
    /// Mounts in the order in which they are made, after the root.
    public var mounts: [Mount]?
    /// Programs to run at points of the life cycle.
    public var hooks: Hooks?
    /// Arbitrary metadata.
    ///
    /// Never control input for Berth.
    public var annotations: [String: String]?
    /// The Linux section.
    public var linux: Linux?

    /// Creates the object from its fields.
    public init(
        ociVersion: String,
        process: Process? = nil,
        root: Root? = nil,
        hostname: String? = nil,
        domainname: String? = nil,
        mounts: [Mount]? = nil,
        hooks: Hooks? = nil,
        annotations: [String: String]? = nil,
        linux: Linux? = nil
    ) {
        self.ociVersion = ociVersion
        self.process = process
        self.root = root
        self.hostname = hostname
        self.domainname = domainname
        self.mounts = mounts
        self.hooks = hooks
        self.annotations = annotations
        self.linux = linux
    }
}

extension RuntimeSpec {
    /// The root filesystem of the container (OCI runtime-spec "root").
    public struct Root: Codable, Sendable, Equatable {
        /// Directory, absolute or relative to the bundle.
        public var path: String
        /// Whether the root is read-only inside the container.
        public var readonly: Bool?

        /// Creates the object from its fields.
        public init(path: String, readonly: Bool? = nil) {
            self.path = path
            self.readonly = readonly
        }
    }

    /// One mount (OCI runtime-spec "mounts").
    public struct Mount: Codable, Sendable, Equatable {
        /// Absolute path inside the container.
        public var destination: String
        /// Filesystem type.
        ///
        /// Ignored for bind mounts.
        public var type: String?
        /// Device name or, for binds, a file or directory; relative to the bundle.
        public var source: String?
        /// Option words and filesystem data, in order.
        public var options: [String]?
        /// User id map of an id-mapped mount.
        ///
        /// Needs `gidMappings` too.
        public var uidMappings: [IDMapping]?
        /// Group id map of an id-mapped mount.
        public var gidMappings: [IDMapping]?

        /// Creates the object from its fields.
        public init(
            destination: String,
            type: String? = nil,
            source: String? = nil,
            options: [String]? = nil,
            uidMappings: [IDMapping]? = nil,
            gidMappings: [IDMapping]? = nil
        ) {
            self.destination = destination
            self.type = type
            self.source = source
            self.options = options
            self.uidMappings = uidMappings
            self.gidMappings = gidMappings
        }
    }

    /// A range of ids inside the container and where it lies on the host.
    public struct IDMapping: Codable, Sendable, Equatable {
        /// First id inside.
        public var containerID: UInt32
        /// First id outside.
        public var hostID: UInt32
        /// Number of ids.
        public var size: UInt32

        /// Creates the object from its fields.
        public init(containerID: UInt32, hostID: UInt32, size: UInt32) {
            self.containerID = containerID
            self.hostID = hostID
            self.size = size
        }
    }

    /// Programs run at points of the life cycle, each list in order (OCI runtime-spec "POSIX-platform hooks").
    public struct Hooks: Codable, Sendable, Equatable {
        /// Deprecated: run with `createRuntime`.
        public var prestart: [Hook]?
        /// In the runtime's namespaces, before the root is changed.
        public var createRuntime: [Hook]?
        /// In the container's namespaces, before the root is changed.
        public var createContainer: [Hook]?
        /// In the container, before the program.
        public var startContainer: [Hook]?
        /// In the runtime's namespaces, after the program has started.
        public var poststart: [Hook]?
        /// In the runtime's namespaces, after the container was deleted.
        public var poststop: [Hook]?

        /// Creates the object from its fields.
        public init(
            prestart: [Hook]? = nil,
            createRuntime: [Hook]? = nil,
            createContainer: [Hook]? = nil,
            startContainer: [Hook]? = nil,
            poststart: [Hook]? = nil,
            poststop: [Hook]? = nil
        ) {
            self.prestart = prestart
            self.createRuntime = createRuntime
            self.createContainer = createContainer
            self.startContainer = startContainer
            self.poststart = poststart
            self.poststop = poststop
        }
    }

    /// One program of a hook list.
    ///
    /// The container's state comes on its standard input.
    public struct Hook: Codable, Sendable, Equatable {
        /// Absolute path of the program.
        public var path: String
        /// Argument vector, first entry included.
        ///
        /// Empty means the path alone.
        public var args: [String]?
        /// Environment, `NAME=value`.
        public var env: [String]?
        /// Seconds until the hook counts as failed.
        ///
        /// Greater than zero.
        public var timeout: Int?

        /// Creates the object from its fields.
        public init(path: String, args: [String]? = nil, env: [String]? = nil, timeout: Int? = nil) {
            self.path = path
            self.args = args
            self.env = env
            self.timeout = timeout
        }
    }
}
