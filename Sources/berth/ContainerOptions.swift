import ArgumentParser
import DockerTypes

/// What `run` and `create` let a user say about a container, by Docker's names.
struct ContainerOptions: ParsableArguments {
    // What runs

    @Option(help: "Name of the container; for 'profile learn' that of the profile.")
    var name: String?

    @Flag(name: .shortAndLong, help: "Keep standard input open.")
    var interactive = false

    @Flag(name: .shortAndLong, help: "Give the process a terminal.")
    var tty = false

    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("Set a variable; a bare name takes this shell's value.", valueName: "name=value")
    )
    var env: [String] = []

    @Option(help: ArgumentHelp("Set the variables in a file.", valueName: "file"))
    var envFile: [String] = []

    @Option(help: "Program that runs, instead of the image's.")
    var entrypoint: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("Working directory in the container.", valueName: "dir"))
    var workdir: String?

    @Option(name: .shortAndLong, help: ArgumentHelp("User, and group, by name or number.", valueName: "user[:group]"))
    var user: String?

    @Option(help: ArgumentHelp("One more group for the process.", valueName: "group"))
    var groupAdd: [String] = []

    @Option(name: .shortAndLong, help: ArgumentHelp("Label.", valueName: "key=value"))
    var label: [String] = []

    @Option(help: ArgumentHelp("Labels from a file.", valueName: "file"))
    var labelFile: [String] = []

    @Flag(name: .customLong("init"), help: "Run a small init that forwards signals and reaps processes.")
    var useInit = false

    @Option(help: ArgumentHelp("Signal that asks the process to stop.", valueName: "signal"))
    var stopSignal: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Seconds between the stop signal and the kill.", valueName: "seconds")
    )
    var stopTimeout: Int?

    // What it sees

    @Option(name: .shortAndLong, help: ArgumentHelp("Bind mount.", valueName: "source:target[:ro]"))
    var volume: [String] = []

    @Option(help: ArgumentHelp("Mount: type=bind|tmpfs|volume,source=…,target=…[,readonly].", valueName: "mount"))
    var mount: [String] = []

    @Option(help: ArgumentHelp("Temporary file system.", valueName: "target[:options]"))
    var tmpfs: [String] = []

    @Flag(
        inversion: .prefixedNo,
        help: "Mount the root file system read-only. In restricted mode it is, unless --read-only=false says otherwise."
    )
    var readOnly: Bool?

    @Option(help: ArgumentHelp("Device.", valueName: "host[:container[:rwm]]"))
    var device: [String] = []

    @Option(help: ArgumentHelp("Size of /dev/shm.", valueName: "bytes"))
    var shmSize: String?

    @Option(name: [.customShort("h"), .long], help: "Host name in the container.")
    var hostname: String?

    @Option(help: "NIS domain name in the container.")
    var domainname: String?

    @Option(name: [.long, .customLong("net")], help: "Network: none, host, or loopback only (default).")
    var network: String?

    @Option(help: ArgumentHelp("Line for /etc/hosts.", valueName: "name:address"))
    var addHost: [String] = []

    @Option(help: ArgumentHelp("Name server.", valueName: "address"))
    var dns: [String] = []

    @Option(help: ArgumentHelp("Search domain.", valueName: "domain"))
    var dnsSearch: [String] = []

    @Option(help: ArgumentHelp("Resolver option.", valueName: "option"))
    var dnsOption: [String] = []

    @Option(help: ArgumentHelp("PID namespace: host, or the container's own.", valueName: "mode"))
    var pid: String?

    @Option(help: ArgumentHelp("IPC namespace: host, none, private or shareable.", valueName: "mode"))
    var ipc: String?

    @Option(help: ArgumentHelp("UTS namespace: host, or the container's own.", valueName: "mode"))
    var uts: String?

    @Option(help: ArgumentHelp("Cgroup namespace: host or private.", valueName: "mode"))
    var cgroupns: String?

    @Option(help: ArgumentHelp("User namespace: auto, auto:size=N, or host.", valueName: "mode"))
    var userns: String?

    @Option(help: ArgumentHelp("none: share all namespaces with the host, where it forbids others.", valueName: "mode"))
    var namespaces: String?

    // What becomes of it in trouble

    @Option(
        help: ArgumentHelp("When its shim dies: adopt (a new shim takes over) or kill.", valueName: "policy")
    )
    var shimDeath: String?

    @Option(
        help: ArgumentHelp(
            "When it cannot be killed and is to be removed: release its name, or keep it.",
            valueName: "policy"
        )
    )
    var stuck: String?

    // What it may

    @Option(help: ArgumentHelp("Capability to add.", valueName: "name"))
    var capAdd: [String] = []

    @Option(help: ArgumentHelp("Capability to drop.", valueName: "name"))
    var capDrop: [String] = []

    @Flag(help: "All capabilities and devices, no seccomp.")
    var privileged = false

    @Option(
        help: ArgumentHelp(
            "Security option: seccomp=FILE|unconfined, no-new-privileges=false, berth.learn=PROFILE, berth.profile=PROFILE, …",
            valueName: "option"
        )
    )
    var securityOpt: [String] = []

    @Option(help: ArgumentHelp("Kernel parameter.", valueName: "name=value"))
    var sysctl: [String] = []

    @Option(help: ArgumentHelp("Resource limit.", valueName: "name=soft[:hard]"))
    var ulimit: [String] = []

    @OptionGroup(title: "Limits")
    var limits: LimitOptions

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("OOM score, -1000 to 1000.", valueName: "score"),
        transform: { try number($0, "oom-score-adj") }
    )
    var oomScoreAdj: Int?

    @Flag(help: "Never kill for memory.")
    var oomKillDisable = false

    @Option(help: ArgumentHelp("Parent of the container's cgroup: a path, or a slice of systemd.", valueName: "parent"))
    var cgroupParent: String?

    // How it is managed

    @Option(help: ArgumentHelp("When to start again: no, on-failure[:n], always, unless-stopped.", valueName: "policy"))
    var restart: String?

    @OptionGroup(title: "Health")
    var health: HealthOptions

    @Flag(name: .customLong("rm"), help: "Remove the container when it ends.")
    var remove = false

    @Option(help: ArgumentHelp("Log driver: json-file (default) or none.", valueName: "driver"))
    var logDriver: String?

    @Option(help: ArgumentHelp("Log option: max-size=SIZE, max-file=N.", valueName: "name=value"))
    var logOpt: [String] = []

    @Option(help: ArgumentHelp("Backend that runs the container.", valueName: "name"))
    var runtime: String?

    @Option(help: ArgumentHelp("Write the container's id to a new file.", valueName: "file"))
    var cidfile: String?

    @Option(help: ArgumentHelp("Whether to pull: always, missing or never. Nothing is pulled yet.", valueName: "when"))
    var pull: String?

    @Option(help: ArgumentHelp("Annotation for the backend.", valueName: "key=value"))
    var annotation: [String] = []
}

/// How to find out whether a container works.
struct HealthOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Command that says whether the container works: exit code 0.", valueName: "line"))
    var healthCmd: String?

    @Option(help: ArgumentHelp("Time between two checks (30s).", valueName: "duration"))
    var healthInterval: String?

    @Option(help: ArgumentHelp("Time that a check may take (30s).", valueName: "duration"))
    var healthTimeout: String?

    @Option(help: ArgumentHelp("Failures in a row that count (3).", valueName: "number"))
    var healthRetries: Int?

    @Option(help: ArgumentHelp("Time after the start in which failures do not count (0s).", valueName: "duration"))
    var healthStartPeriod: String?

    @Option(help: ArgumentHelp("Time between two checks in the start period (5s).", valueName: "duration"))
    var healthStartInterval: String?

    @Flag(help: "No checks, whatever the image says.")
    var noHealthcheck = false

    /// The check; nil when nothing was said.
    func check() throws -> HealthConfig? {
        var check = HealthConfig()
        if let healthCmd { check.test = ["CMD-SHELL", healthCmd] }
        check.interval = try Self.nanoseconds(healthInterval, "health-interval")
        check.timeout = try Self.nanoseconds(healthTimeout, "health-timeout")
        check.startPeriod = try Self.nanoseconds(healthStartPeriod, "health-start-period")
        check.startInterval = try Self.nanoseconds(healthStartInterval, "health-start-interval")
        check.retries = healthRetries ?? 0
        if noHealthcheck {
            guard check == HealthConfig() else {
                throw Failure("--no-healthcheck conflicts with the other --health options", code: 125)
            }
            check.test = ["NONE"]
        }
        return check == HealthConfig() ? nil : check
    }

    private static func nanoseconds(_ text: String?, _ option: String) throws -> Int {
        guard let text else { return 0 }
        guard let duration = Value.duration(text), duration >= .zero else {
            throw Failure("--\(option): '\(text)' is not a duration, such as 30s", code: 125)
        }
        return Int(duration / .nanoseconds(1))
    }
}

/// Limits that `run`, `create` and `update` share.
struct LimitOptions: ParsableArguments {
    @Option(name: .shortAndLong, parsing: .unconditional, help: ArgumentHelp("Memory limit.", valueName: "bytes"))
    var memory: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Limit of memory and swap together; -1 is none.", valueName: "bytes")
    )
    var memorySwap: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Memory that is kept under pressure.", valueName: "bytes"))
    var memoryReservation: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("Number of CPUs, such as 1.5.", valueName: "number"))
    var cpus: String?

    @Option(
        name: [.customShort("c"), .long],
        parsing: .unconditional,
        help: ArgumentHelp("Weight among those who want the CPU.", valueName: "weight")
    )
    var cpuShares: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Microseconds of a CPU period.", valueName: "µs"))
    var cpuPeriod: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Microseconds of CPU time in a period.", valueName: "µs"))
    var cpuQuota: Int?

    @Option(help: ArgumentHelp("CPUs to run on, such as 0-2,4.", valueName: "list"))
    var cpusetCpus: String?

    @Option(help: ArgumentHelp("Memory nodes to use.", valueName: "list"))
    var cpusetMems: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("Number of tasks; -1 is no limit.", valueName: "number"),
        transform: { try number($0, "pids-limit") }
    )
    var pidsLimit: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("Block I/O weight, 10 to 1000.", valueName: "weight"))
    var blkioWeight: Int?
}

/// A whole number that may be negative.
func number(_ text: String, _ option: String) throws -> Int {
    guard let value = Int(text) else { throw ValidationError("--\(option): '\(text)' is not a whole number") }
    return value
}
