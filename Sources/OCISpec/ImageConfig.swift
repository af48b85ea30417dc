/// How an image is run and made (OCI image-spec "config", with Docker's extensions).
///
/// Its digest is the image's id.
public struct ImageConfig: Codable, Sendable, Equatable {
    /// Time of making, RFC 3339.
    public var created: String?
    /// Who made it.
    public var author: String?
    /// Name as GOARCH has it.
    public var architecture: String
    /// Name as GOOS has it.
    public var os: String
    /// Version of the operating system.
    public var osVersion: String?
    /// Features that the operating system must have.
    public var osFeatures: [String]?
    /// Variant of the processor.
    public var variant: String?
    /// What a container of the image runs with.
    public var config: Execution?
    /// The layers.
    public var rootfs: RootFS
    /// How each layer was made, base first.
    public var history: [History]?
    /// Docker: container that the image was committed from.
    public var container: String?
    /// Docker: version that made the image.
    public var dockerVersion: String?
    /// Docker: remark.
    public var comment: String?

    /// Creates the object from its fields.
    public init(
        created: String? = nil,
        author: String? = nil,
        architecture: String,
        os: String,
        osVersion: String? = nil,
        osFeatures: [String]? = nil,
        variant: String? = nil,
        config: Execution? = nil,
        rootfs: RootFS,
        history: [History]? = nil,
        container: String? = nil,
        dockerVersion: String? = nil,
        comment: String? = nil
    ) {
        self.created = created
        self.author = author
        self.architecture = architecture
        self.os = os
        self.osVersion = osVersion
        self.osFeatures = osFeatures
        self.variant = variant
        self.config = config
        self.rootfs = rootfs
        self.history = history
        self.container = container
        self.dockerVersion = dockerVersion
        self.comment = comment
    }

    private enum CodingKeys: String, CodingKey {
        case created
        case author
        case architecture
        case os
        case osVersion = "os.version"
        case osFeatures = "os.features"
        case variant
        case config
        case rootfs
        case history
        case container
        case dockerVersion = "docker_version"
        case comment
    }
}

extension ImageConfig {
    /// What a container of an image runs with.
    public struct Execution: Codable, Sendable, Equatable {
        /// `user`, `uid`, `user:group`, `uid:gid`, `uid:group` or `user:gid`.
        public var user: String?
        /// Ports as `80/tcp`.
        public var exposedPorts: [String: EmptyObject]?
        /// Environment, `NAME=value`.
        public var environment: [String]?
        /// First part of the argument vector.
        public var entrypoint: [String]?
        /// Second part of the argument vector, replaced by a client's own.
        public var command: [String]?
        /// Directories that become volumes.
        public var volumes: [String: EmptyObject]?
        /// Working directory.
        public var workingDirectory: String?
        /// Metadata.
        public var labels: [String: String]?
        /// Signal to stop with, name or number.
        public var stopSignal: String?
        /// Deprecated; Windows only.
        public var argsEscaped: Bool?
        /// Docker: memory limit in bytes.
        public var memory: Int64?
        /// Docker: limit on memory plus swap in bytes.
        public var memorySwap: Int64?
        /// Docker: relative CPU weight.
        public var cpuShares: Int64?
        /// Docker: how to find out whether the container works.
        public var healthcheck: Healthcheck?
        /// Docker: instructions for images built on this one.
        public var onBuild: [String]?
        /// Docker: shell for the shell form of instructions.
        public var shell: [String]?
        /// Docker: seconds from the stop signal to the kill.
        public var stopTimeout: Int?
        /// Docker: host name.
        public var hostname: String?
        /// Docker: domain name.
        public var domainname: String?
        /// Docker: whether a terminal is made.
        public var tty: Bool?
        /// Docker: whether standard input stays open.
        public var openStdin: Bool?
        /// Docker: whether standard input closes with the first client.
        public var stdinOnce: Bool?
        /// Docker: whether there is no network.
        public var networkDisabled: Bool?

        /// Creates the object from its fields.
        public init(
            user: String? = nil,
            exposedPorts: [String: EmptyObject]? = nil,
            environment: [String]? = nil,
            entrypoint: [String]? = nil,
            command: [String]? = nil,
            volumes: [String: EmptyObject]? = nil,
            workingDirectory: String? = nil,
            labels: [String: String]? = nil,
            stopSignal: String? = nil,
            argsEscaped: Bool? = nil,
            memory: Int64? = nil,
            memorySwap: Int64? = nil,
            cpuShares: Int64? = nil,
            healthcheck: Healthcheck? = nil,
            onBuild: [String]? = nil,
            shell: [String]? = nil,
            stopTimeout: Int? = nil,
            hostname: String? = nil,
            domainname: String? = nil,
            tty: Bool? = nil,
            openStdin: Bool? = nil,
            stdinOnce: Bool? = nil,
            networkDisabled: Bool? = nil
        ) {
            self.user = user
            self.exposedPorts = exposedPorts
            self.environment = environment
            self.entrypoint = entrypoint
            self.command = command
            self.volumes = volumes
            self.workingDirectory = workingDirectory
            self.labels = labels
            self.stopSignal = stopSignal
            self.argsEscaped = argsEscaped
            self.memory = memory
            self.memorySwap = memorySwap
            self.cpuShares = cpuShares
            self.healthcheck = healthcheck
            self.onBuild = onBuild
            self.shell = shell
            self.stopTimeout = stopTimeout
            self.hostname = hostname
            self.domainname = domainname
            self.tty = tty
            self.openStdin = openStdin
            self.stdinOnce = stdinOnce
            self.networkDisabled = networkDisabled
        }

        private enum CodingKeys: String, CodingKey {
            case user = "User"
            case exposedPorts = "ExposedPorts"
            case environment = "Env"
            case entrypoint = "Entrypoint"
            case command = "Cmd"
            case volumes = "Volumes"
            case workingDirectory = "WorkingDir"
            case labels = "Labels"
            case stopSignal = "StopSignal"
            case argsEscaped = "ArgsEscaped"
            case memory = "Memory"
            case memorySwap = "MemorySwap"
            case cpuShares = "CpuShares"
            case healthcheck = "Healthcheck"
            case onBuild = "OnBuild"
            case shell = "Shell"
            case stopTimeout = "StopTimeout"
            case hostname = "Hostname"
            case domainname = "Domainname"
            case tty = "Tty"
            case openStdin = "OpenStdin"
            case stdinOnce = "StdinOnce"
            case networkDisabled = "NetworkDisabled"
        }
    }

    /// How to find out whether a container works (Docker).
    ///
    /// Times are nanoseconds; 0 means the default.
    public struct Healthcheck: Codable, Sendable, Equatable {
        /// Empty inherits; else the first entry is `NONE`, `CMD` or `CMD-SHELL`.
        public var test: [String]?
        /// From the end of one check to the next.
        public var intervalInNanoseconds: Int64?
        /// Until a check counts as failed.
        public var timeoutInNanoseconds: Int64?
        /// From the start, failures that do not count.
        public var startPeriodInNanoseconds: Int64?
        /// Between checks in the start period.
        public var startIntervalInNanoseconds: Int64?
        /// Failures in a row that mean unhealthy.
        public var retries: Int?

        /// Creates the object from its fields.
        public init(
            test: [String]? = nil,
            intervalInNanoseconds: Int64? = nil,
            timeoutInNanoseconds: Int64? = nil,
            startPeriodInNanoseconds: Int64? = nil,
            startIntervalInNanoseconds: Int64? = nil,
            retries: Int? = nil
        ) {
            self.test = test
            self.intervalInNanoseconds = intervalInNanoseconds
            self.timeoutInNanoseconds = timeoutInNanoseconds
            self.startPeriodInNanoseconds = startPeriodInNanoseconds
            self.startIntervalInNanoseconds = startIntervalInNanoseconds
            self.retries = retries
        }

        private enum CodingKeys: String, CodingKey {
            case test = "Test"
            case intervalInNanoseconds = "Interval"
            case timeoutInNanoseconds = "Timeout"
            case startPeriodInNanoseconds = "StartPeriod"
            case startIntervalInNanoseconds = "StartInterval"
            case retries = "Retries"
        }
    }

    /// The layers of an image.
    public struct RootFS: Codable, Sendable, Equatable {
        /// Always `layers`.
        public var type: String
        /// Digests of the uncompressed layers, base first.
        public var diffIDs: [Digest]

        /// Creates the object from its fields.
        public init(type: String = "layers", diffIDs: [Digest] = []) {
            self.type = type
            self.diffIDs = diffIDs
        }

        /// Decodes the object; what is absent or null gets its default.
        public init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: CodingKeys.self)
            type = try values.decodeIfPresent(String.self, forKey: .type) ?? "layers"
            diffIDs = try values.decodeIfPresent([Digest].self, forKey: .diffIDs) ?? []
        }

        private enum CodingKeys: String, CodingKey {
            case type
            case diffIDs = "diff_ids"
        }
    }

    /// How one layer was made.
    public struct History: Codable, Sendable, Equatable {
        /// Time, RFC 3339.
        public var created: String?
        /// Who made it.
        public var author: String?
        /// Command.
        public var createdBy: String?
        /// Remark.
        public var comment: String?
        /// Whether the step made no layer.
        public var emptyLayer: Bool?

        /// Creates the object from its fields.
        public init(
            created: String? = nil,
            author: String? = nil,
            createdBy: String? = nil,
            comment: String? = nil,
            emptyLayer: Bool? = nil
        ) {
            self.created = created
            self.author = author
            self.createdBy = createdBy
            self.comment = comment
            self.emptyLayer = emptyLayer
        }

        private enum CodingKeys: String, CodingKey {
            case created
            case author
            case createdBy = "created_by"
            case comment
            case emptyLayer = "empty_layer"
        }
    }
}

/// The JSON object `{}`, the value of what is a set written as a dictionary.
public struct EmptyObject: Codable, Sendable, Equatable {

    /// Creates the object from its fields.
    public init() {
    }
}
