/// A health check: what to run inside the container, how often, and when to give up.
public struct HealthConfig: Codable, Sendable, Equatable, ZeroValue {
    /// `["NONE"]`, `["CMD", args…]` or `["CMD-SHELL", command]`; empty inherits the image's.
    @Zero public var test: [String]
    /// Nanoseconds between two checks; 0 inherits.
    @Zero public var interval: Int
    /// Nanoseconds before a check counts as failed; 0 inherits.
    @Zero public var timeout: Int
    /// Consecutive failures before the container is unhealthy; 0 inherits.
    @Zero public var retries: Int
    /// Nanoseconds during which failures do not count; 0 inherits.
    @Zero public var startPeriod: Int
    /// Nanoseconds between two checks during the start period; 0 inherits.
    @Zero public var startInterval: Int

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case test = "Test"
        case interval = "Interval"
        case timeout = "Timeout"
        case retries = "Retries"
        case startPeriod = "StartPeriod"
        case startInterval = "StartInterval"
    }
}

/// What runs in a container, independent of the machine it runs on.
public struct ContainerConfig: Codable, Sendable, Equatable, ZeroValue {
    /// Host name inside the container; empty for the short id.
    @Zero public var hostname: String
    /// NIS domain name inside the container.
    @Zero public var domainname: String
    /// `user[:group]` by name or number; empty for the image's.
    @Zero public var user: String
    /// Whether a client means to attach standard input.
    @Zero public var attachStdin: Bool
    /// Whether a client means to attach standard output.
    @Zero public var attachStdout: Bool
    /// Whether a client means to attach standard error.
    @Zero public var attachStderr: Bool
    /// Ports as `80/tcp`; the values carry nothing.
    public var exposedPorts: [String: Empty]?
    /// Whether the process gets a terminal.
    @Zero public var tty: Bool
    /// Whether standard input stays open without a client.
    @Zero public var openStdin: Bool
    /// Whether standard input closes after the first attached client leaves.
    @Zero public var stdinOnce: Bool
    /// Environment as `NAME=value`; a bare `NAME` removes the variable.
    public var env: [String]?
    /// Command, or the arguments of the entrypoint; nil inherits the image's.
    public var cmd: StringList?
    /// Health check; nil inherits the image's.
    public var healthcheck: HealthConfig?
    /// Windows only.
    public var argsEscaped: Bool?
    /// Image reference or id.
    @Zero public var image: String
    /// Paths that get an anonymous volume; the values carry nothing.
    public var volumes: [String: Empty]?
    /// Working directory; empty for the image's.
    @Zero public var workingDir: String
    /// Entrypoint; nil inherits the image's, `[""]` clears it.
    public var entrypoint: StringList?
    /// Whether the container has no network at all.
    public var networkDisabled: Bool?
    /// Hardware address of the first endpoint (before API 1.44).
    public var macAddress: String?
    /// Triggers for images that are built on this one.
    public var onBuild: [String]?
    /// Labels.
    public var labels: [String: String]?
    /// Signal that asks the process to stop, by name or number.
    public var stopSignal: String?
    /// Seconds between the stop signal and the kill.
    public var stopTimeout: Int?
    /// Shell for the shell form of build instructions.
    public var shell: StringList?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case hostname = "Hostname"
        case domainname = "Domainname"
        case user = "User"
        case attachStdin = "AttachStdin"
        case attachStdout = "AttachStdout"
        case attachStderr = "AttachStderr"
        case exposedPorts = "ExposedPorts"
        case tty = "Tty"
        case openStdin = "OpenStdin"
        case stdinOnce = "StdinOnce"
        case env = "Env"
        case cmd = "Cmd"
        case healthcheck = "Healthcheck"
        case argsEscaped = "ArgsEscaped"
        case image = "Image"
        case volumes = "Volumes"
        case workingDir = "WorkingDir"
        case entrypoint = "Entrypoint"
        case networkDisabled = "NetworkDisabled"
        case macAddress = "MacAddress"
        case onBuild = "OnBuild"
        case labels = "Labels"
        case stopSignal = "StopSignal"
        case stopTimeout = "StopTimeout"
        case shell = "Shell"
    }
}
