public import Kernel
public import ShimProtocol

/// What a shim says of its backend.
public struct BackendInformation: Sendable {
    /// Short name, such as "native".
    public var name: String
    /// Version of the backend.
    public var version: String
    /// What the backend can do beyond the contract, as words for `Supervisor.Info`.
    public var capabilities: [String]
    /// Types of the mounts that the backend performs itself, such as "overlay".
    public var mountTypes: [String]

    /// Names of the options that the backend reads from ``BackendCreateRequest/options``; nil for a backend that looks at them itself.
    ///
    /// Another one in berthd's configuration is refused by its name; what containerd asks for beyond them is named in the shim's log.
    public var optionNames: [String]?

    /// Makes the information of its parts.
    public init(
        name: String,
        version: String,
        capabilities: [String] = [],
        mountTypes: [String] = [],
        optionNames: [String]? = nil
    ) {
        self.name = name
        self.version = version
        self.capabilities = capabilities
        self.mountTypes = mountTypes
        self.optionNames = optionNames
    }
}

/// Which container a backend is for.
public struct BackendContext: Sendable {
    /// containerd's namespace; "berth" under berthd.
    public let namespace: String
    /// The container's id, checked to be one: letters, digits and single separators, at most 128 bytes.
    public let id: String
    /// Absolute path of the OCI bundle: `config.json` and the directory `rootfs`.
    public let bundle: String

    package init(namespace: String, id: String, bundle: String) {
        self.namespace = namespace
        self.id = id
        self.bundle = bundle
    }
}

/// A mount of the container's root file system, not performed yet.
public struct RootMount: Sendable, Hashable {
    /// Type of the file system, such as "overlay" or "bind".
    public let type: String
    /// As in mount(8).
    public let source: String
    /// Path below the root; empty for the root itself.
    public let target: String
    /// As in mount(8).
    public let options: [String]

    package init(type: String, source: String, target: String, options: [String]) {
        self.type = type
        self.source = source
        self.target = target
        self.options = options
    }
}

/// What a process has as standard input, output and error.
public enum ProcessStreams: Sendable {
    /// The process's ends. The backend gives them to the process as 0, 1 and 2, and keeps no copy.
    case descriptors(input: SharedDescriptor, output: SharedDescriptor, error: SharedDescriptor)
    /// A terminal that the backend opens inside of the container; it returns the master as `ContainerProcess.terminal`.
    case terminal
}

/// A process's standard streams as descriptors, for a backend that makes the process by itself.
public struct ProcessEnds: Sendable {
    /// What `ContainerProcess` has for the terminal; nil without one.
    public let master: SharedDescriptor?
    private let ends: [SharedDescriptor]

    /// Takes the process's ends; a terminal is made in the devpts of the shim's own mount namespace.
    ///
    /// - Parameter streams: Of a request.
    /// - Throws: `KernelError`.
    public init(_ streams: ProcessStreams) throws(KernelError) {
        switch streams {
        case .descriptors(let input, let output, let error): (master, ends) = (nil, [input, output, error])
        case .terminal:
            let (controller, terminal) = try Pty().ends()
            (master, ends) = (controller, [terminal, terminal, terminal])
        }
    }

    /// Makes them input, output and error of the calling process, and a terminal its controlling one.
    ///
    /// For a child that leads a session, before it executes its program.
    ///
    /// - Throws: `KernelError`.
    public func place() throws(KernelError) {
        for (number, end) in ends.enumerated() { try DescriptorTable.place(end.raw, at: Int32(number)) }
        if master != nil { try Pty.makeControllingTerminal(0) }
    }
}

/// What to create.
public struct BackendCreateRequest: Sendable {
    /// `config.json` of the bundle, at most 16 MiB.
    public let specification: [UInt8]
    /// In this order; none when the bundle's root is ready.
    public let rootMounts: [RootMount]
    /// Of the init process.
    public let streams: ProcessStreams
    /// Whether systemd makes the container's cgroup: `linux.cgroupsPath` is `slice:prefix:name` then.
    public let usesSystemdCgroup: Bool
    /// What the operator has set for this backend.
    ///
    /// Of runc's options under containerd: `runtime` is its `binary_name`, `root`
    /// is its `root`; without a value there is no entry.
    public let options: [String: String]

    package init(
        specification: [UInt8],
        rootMounts: [RootMount],
        streams: ProcessStreams,
        usesSystemdCgroup: Bool = false,
        options: [String: String] = [:]
    ) {
        self.specification = specification
        self.rootMounts = rootMounts
        self.streams = streams
        self.usesSystemdCgroup = usesSystemdCgroup
        self.options = options
    }
}

/// What to execute beside the init process.
public struct BackendExecRequest: Sendable {
    /// The session's id.
    public let id: String
    /// An OCI Process document in JSON.
    public let process: [UInt8]
    /// Of the new process.
    public let streams: ProcessStreams

    package init(id: String, process: [UInt8], streams: ProcessStreams) {
        self.id = id
        self.process = process
        self.streams = streams
    }
}

/// A process of the container that the shim will reap.
public struct ContainerProcess: Sendable {
    /// As the host sees it.
    public let pid: Int32
    /// Open as long as the shim knows the process.
    public let pidfd: SharedDescriptor
    /// Master of the terminal, when one was asked for.
    public let terminal: SharedDescriptor?

    /// Makes the handle of a process that the backend has just made.
    public init(pid: Int32, pidfd: SharedDescriptor, terminal: SharedDescriptor? = nil) {
        self.pid = pid
        self.pidfd = pidfd
        self.terminal = terminal
    }
}

/// What a container uses, in the form that clients of containerd know.
public enum BackendMetrics: Sendable {
    /// Of a container whose controllers are in cgroup v1 hierarchies.
    case version1(CgroupV1Metrics)
    /// Of a container in a cgroup v2 hierarchy.
    case version2(CgroupV2Metrics)
}

/// What the kernel's killer did to a container.
public struct OutOfMemory: Sendable, Hashable {
    /// Processes killed since the container was created.
    public var kills: UInt64
    /// The cgroup whose limit was reached; empty when unknown or when there was no kill.
    public var owner: String

    /// Makes the report of its parts.
    public init(kills: UInt64 = 0, owner: String = "") {
        self.kills = kills
        self.owner = owner
    }
}
