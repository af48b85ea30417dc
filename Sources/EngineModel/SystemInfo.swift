/// What the node and the engine are.
public struct SystemInfo: Sendable {
    /// Stable id of this engine's root.
    public var id: String
    /// Containers by what they do.
    public var running: Int, paused: Int, stopped: Int
    /// Number of images.
    public var images: Int
    /// Directory of the durable state.
    public var root: String
    /// Backends by name with their executable.
    public var backends: [String: String]
    /// The backend of a container that names none.
    public var defaultBackend: String
    /// 1 (also hybrid) or 2.
    public var cgroupVersion: Int
    /// Release and version of the kernel.
    public var kernelVersion: String
    /// `PRETTY_NAME` of the host's os-release.
    public var operatingSystem: String
    /// Machine by the kernel's name, such as `x86_64`.
    public var architecture: String
    /// Processors online.
    public var cpus: Int
    /// Memory of the host in bytes.
    public var memory: Int64
    /// Host name.
    public var hostname: String
    /// Version of the engine.
    public var version: String
    /// Who makes the cgroups of containers: `cgroupfs` or `systemd`.
    public var cgroupManager: CgroupManager
    /// User namespaces.
    public var userNamespaces: UserNamespaceStatus
    /// What is missing or odd on this node.
    public var warnings: [String]
    /// Containers whose shims have not been found yet since the engine was opened.
    public var adopting: Int

    package init(
        id: String,
        running: Int,
        paused: Int,
        stopped: Int,
        images: Int,
        root: String,
        backends: [String: String],
        defaultBackend: String,
        cgroupVersion: Int,
        kernelVersion: String,
        operatingSystem: String,
        architecture: String,
        cpus: Int,
        memory: Int64,
        hostname: String,
        version: String,
        cgroupManager: CgroupManager,
        userNamespaces: UserNamespaceStatus,
        warnings: [String],
        adopting: Int
    ) {
        self.id = id
        self.running = running
        self.paused = paused
        self.stopped = stopped
        self.images = images
        self.root = root
        self.backends = backends
        self.defaultBackend = defaultBackend
        self.cgroupVersion = cgroupVersion
        self.kernelVersion = kernelVersion
        self.operatingSystem = operatingSystem
        self.architecture = architecture
        self.cpus = cpus
        self.memory = memory
        self.hostname = hostname
        self.version = version
        self.cgroupManager = cgroupManager
        self.userNamespaces = userNamespaces
        self.warnings = warnings
        self.adopting = adopting
    }
}

/// Bytes on disk.
public struct DiskUsage: Sendable {
    /// Unpacked layers.
    public var layers: Int64
    /// Images.
    public var images: [ImageSnapshot]
    /// Containers with the bytes of their writable layers.
    public var containers: [(container: ContainerSnapshot, size: Int64)]

    package init(layers: Int64, images: [ImageSnapshot], containers: [(container: ContainerSnapshot, size: Int64)]) {
        self.layers = layers
        self.images = images
        self.containers = containers
    }
}
