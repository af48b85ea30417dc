public import Cgroups
public import Kernel
public import OCISpec
public import Seccomp

/// What the process gets as standard input, output and error.
public enum SandboxStreams: Sendable {
    /// Open descriptors of the caller, which keeps them.
    case descriptors(input: RawDescriptor, output: RawDescriptor, error: RawDescriptor)
    /// A terminal of the container's own devpts; its other end comes back with the process.
    case terminal
}

/// A filesystem of the container's root, not mounted yet.
public struct SandboxRootMount: Sendable, Hashable {
    /// Type: `overlay`, `bind`, or another filesystem.
    public var type: String
    /// Directory of a bind, else the name of a device.
    public var source: String
    /// Option words as in a document's mounts.
    public var options: [String]

    /// Makes a mount from its parts.
    public init(type: String, source: String, options: [String]) {
        self.type = type
        self.source = source
        self.options = options
    }
}

/// What a container is made of.
public struct SandboxRequest: Sendable {
    /// Id of the container, for hooks.
    public var id: String
    /// The document.
    public var specification: RuntimeSpec
    /// Absolute path of the bundle, where relative paths start.
    public var bundle: String
    /// The root filesystem; empty means that `root.path` is ready.
    public var rootMounts: [SandboxRootMount]
    /// Standard streams of the init process.
    public var streams: SandboxStreams
    /// The way into the container's cgroup, which is made and limited already; nil stays in the caller's.
    public var cgroup: CgroupEntrance?
    /// The system call filter, see `Sandbox.seccompProgram`.
    public var seccomp: SeccompProgram?
    /// What the caller answers the filter's questions by, when it is the caller who does; see `FilterGuard`.
    public var answers: SeccompProgram?
    /// What the container's processes may do with files, made for this container and not written down yet; nil leaves that to the mounts.
    public var rules: SandboxRules?
    /// Whether a document without any namespace is one for a container that shares them all with the host; else it is refused.
    public var allowsNoNamespaces = false
    /// How many of the caller's descriptors from 3 on the program gets too, under their own numbers.
    public var preservedDescriptors = 0
    /// Where the process waits for its start after `SandboxProcess.leave`.
    public var startListener: SandboxStartListener?

    /// Makes a request from its parts.
    public init(
        id: String,
        specification: RuntimeSpec,
        bundle: String,
        rootMounts: [SandboxRootMount] = [],
        streams: SandboxStreams,
        cgroup: CgroupEntrance? = nil,
        seccomp: SeccompProgram? = nil
    ) {
        self.id = id
        self.specification = specification
        self.bundle = bundle
        self.rootMounts = rootMounts
        self.streams = streams
        self.cgroup = cgroup
        self.seccomp = seccomp
    }
}

/// What an additional process of a running container is made of.
public struct SandboxExecRequest: Sendable {
    /// The process.
    public var process: RuntimeSpec.Process
    /// The container's init process, which must not have been reaped.
    public var container: RawDescriptor
    /// Standard streams.
    public var streams: SandboxStreams
    /// The way into the container's cgroup.
    public var cgroup: CgroupEntrance?
    /// The container's system call filter.
    public var seccomp: SeccompProgram?
    /// What the caller answers the filter's questions by, when it is the caller who does; see `FilterGuard`.
    public var answers: SeccompProgram?
    /// The container's own rules for files.
    public var rules: SandboxRules?
    /// How many of the caller's descriptors from 3 on the program gets too, under their own numbers.
    public var preservedDescriptors = 0
    /// What the container's processes share; nil gives the process only what its own section says.
    public var surroundings: SandboxSurroundings?

    /// Makes a request from its parts.
    public init(
        process: RuntimeSpec.Process,
        container: RawDescriptor,
        streams: SandboxStreams,
        cgroup: CgroupEntrance? = nil,
        seccomp: SeccompProgram? = nil,
        surroundings: SandboxSurroundings? = nil
    ) {
        self.process = process
        self.container = container
        self.streams = streams
        self.cgroup = cgroup
        self.seccomp = seccomp
        self.surroundings = surroundings
    }
}
