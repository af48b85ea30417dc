package import EngineModel
package import OCISpec

/// Turns a container's plan into the runtime document of its bundle.
///
/// Values in, value out.
package struct SpecBuilder: Sendable {
    /// What stands outside of the record.
    package struct Surroundings: Sendable {
        package var id: ContainerID
        /// Directories of the container.
        package var hosts: String, resolvConf: String, hostname: String
        /// Absolute below each hierarchy.
        package var cgroupPath: String
        /// Path of berth-init when the container wants one.
        package var initPath: String?
        /// Host devices, looked up.
        package var devices: [RuntimeSpec.Device]
        package var deviceRules: [RuntimeSpec.DeviceRule]
        /// Namespaces of other containers to join, by kind.
        package var joined: [RuntimeSpec.NamespaceType: String]
        /// The option that maps the owners of a bind or volume, by destination; without one it is mounted as it is.
        package var ownerOptions: [String: String]
        /// The engine's default limits.
        package var nofile: UInt64?

        package init(id: ContainerID, hosts: String, resolvConf: String, hostname: String, cgroupPath: String) {
            self.id = id
            self.hosts = hosts
            self.resolvConf = resolvConf
            self.hostname = hostname
            self.cgroupPath = cgroupPath
            devices = []
            deviceRules = []
            joined = [:]
            ownerOptions = [:]
        }
    }

    let configuration: ContainerConfiguration
    let plan: ContainerPlan
    let surroundings: Surroundings

    package var mounts: [MountPlan.Entry] { plan.mounts }
    /// The ids of its user namespace.
    package var ids: IDRange? { plan.userNamespace?.range }

    package init(
        configuration: ContainerConfiguration,
        plan: ContainerPlan,
        surroundings: Surroundings
    ) {
        self.configuration = configuration
        self.plan = plan
        self.surroundings = surroundings
    }

    /// Annotations that the engine alone writes: backends take them for its decisions.
    static let reservedPrefix = "dev.berth."

    /// Whether a client may not choose an annotation of this name.
    static func isReserved(_ name: String) -> Bool { name.hasPrefix(reservedPrefix) }

    /// The document.
    package func build() throws -> RuntimeSpec {
        var spec = RuntimeSpec(ociVersion: OCIVersion.runtime)
        spec.process = try process()
        spec.root = RuntimeSpec.Root(path: "rootfs", readonly: configuration.readonlyRootfs)
        if configuration.utsMode != .host {
            spec.hostname = plan.resolved.hostname
            spec.domainname = configuration.domainname.isEmpty ? nil : configuration.domainname
        }
        // One that was created before they were refused may have some.
        let annotations = configuration.annotations.filter { !Self.isReserved($0.key) }
        spec.annotations = annotations.isEmpty ? nil : annotations
        guard configuration.sharesNamespaces != true else {
            spec.linux = RuntimeSpec.Linux()
            spec.linux?.cgroupsPath = surroundings.cgroupPath
            spec.linux?.resources = resources()
            return spec
        }
        spec.mounts = standardMounts() + (fileMounts() + mounts.map(Self.mount)).map(withOwners) + initMount()
        spec.linux = linux()
        return spec
    }

    // Process ---------------------------------------------------------------------------------------------------------

    private func process() throws -> RuntimeSpec.Process {
        var process = RuntimeSpec.Process()
        process.terminal = configuration.terminal
        if configuration.terminal, let size = configuration.consoleSize {
            process.consoleSize = RuntimeSpec.ConsoleSize(height: UInt32(size.height), width: UInt32(size.width))
        }
        process.user = Self.user(plan.resolved.user, groups: configuration.additionalGroups)
        let command = plan.resolved.entrypoint + plan.resolved.command
        process.args = surroundings.initPath == nil ? command : [Self.initDestination, "--"] + command
        process.env = plan.resolved.environment
        process.cwd = plan.resolved.workingDirectory
        process.capabilities = try Self.capabilities(configuration)
        process.noNewPrivileges = configuration.noNewPrivileges
        (process.apparmorProfile, process.selinuxLabel) = Self.labels(configuration)
        process.oomScoreAdj = configuration.oomScoreAdjustment
        process.rlimits = configuration.ulimits.map(Self.rlimit)
        return process
    }

    /// The user as text for the sandbox to look up in the container's own files, and by number where it is one.
    package static func user(_ text: String, groups: [String]) -> RuntimeSpec.User {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        var user = RuntimeSpec.User(
            uid: parts.first.flatMap { UInt32($0) } ?? 0,
            gid: parts.dropFirst().first.flatMap { UInt32($0) } ?? 0
        )
        user.username = text.isEmpty ? nil : text
        let numbers = groups.compactMap { UInt32($0) }
        user.additionalGids = numbers.isEmpty ? nil : numbers
        return user
    }

    package static func capabilities(_ configuration: ContainerConfiguration) throws -> RuntimeSpec.Capabilities {
        let set = try Capabilities.resolve(
            privileged: configuration.privileged,
            adding: configuration.capabilitiesToAdd,
            dropping: configuration.capabilitiesToDrop
        )
        // Inheritable and ambient stay empty (security.md R9).
        return RuntimeSpec.Capabilities(bounding: set, effective: set, inheritable: [], permitted: set, ambient: [])
    }

    /// What security modules shall know of every process of the container: the profile of the one, the label of the other.
    package static func labels(_ configuration: ContainerConfiguration) -> (profile: String?, label: String?) {
        let profile = configuration.appArmorProfile == "unconfined" ? nil : configuration.appArmorProfile
        return (profile, configuration.selinuxLabel?.process)
    }

    package static let rlimits: Set<String> = [
        "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
        "rttime", "sigpending", "stack", "as",
    ]

    package static func rlimit(_ limit: Ulimit) -> RuntimeSpec.Rlimit {
        RuntimeSpec.Rlimit(
            type: "RLIMIT_" + limit.name.uppercased(),
            soft: limit.soft == -1 ? .max : UInt64(limit.soft),
            hard: limit.hard == -1 ? .max : UInt64(limit.hard)
        )
    }

    // Linux -----------------------------------------------------------------------------------------------------------

    private func linux() -> RuntimeSpec.Linux {
        var linux = RuntimeSpec.Linux()
        linux.namespaces = namespaces()
        if let range = ids, surroundings.joined[.user] == nil {
            let mapping = RuntimeSpec.IDMapping(containerID: 0, hostID: range.first, size: range.size)
            linux.uidMappings = [mapping]
            linux.gidMappings = [mapping]
        }
        linux.cgroupsPath = surroundings.cgroupPath
        linux.resources = resources()
        linux.devices = surroundings.devices.isEmpty ? nil : surroundings.devices
        linux.sysctl = sysctls()
        linux.mountLabel = configuration.selinuxLabel?.mount
        linux.maskedPaths = configuration.privileged ? [] : configuration.maskedPaths ?? Self.maskedPaths
        linux.readonlyPaths = configuration.privileged ? [] : configuration.readonlyPaths ?? Self.readonlyPaths
        return linux
    }

    private func namespaces() -> [RuntimeSpec.Namespace] {
        typealias Kind = RuntimeSpec.NamespaceType
        var kinds: [Kind] = [.mount]
        if ids != nil { kinds.append(.user) }
        if configuration.network != .host { kinds.append(.network) }
        if configuration.utsMode != .host { kinds.append(.uts) }
        if configuration.pidMode != .host { kinds.append(.pid) }
        if configuration.ipcMode != .host { kinds.append(.ipc) }
        if configuration.cgroupMode != .host { kinds.append(.cgroup) }
        return kinds.map { RuntimeSpec.Namespace(type: $0, path: surroundings.joined[$0]) }
    }

    private func sysctls() -> [String: String]? {
        var all = configuration.sysctls
        if configuration.network != .host, surroundings.joined[.network] == nil {
            // The kernel refuses groups that the user namespace has not got.
            let lastGroup = ids.map { $0.size - 1 } ?? 2_147_483_647
            for (key, value) in [
                ("net.ipv4.ping_group_range", "0 \(lastGroup)"), ("net.ipv4.ip_unprivileged_port_start", "0"),
            ] where all[key] == nil {
                all[key] = value
            }
        }
        return all.isEmpty ? nil : all
    }

    private func resources() -> RuntimeSpec.Resources {
        var resources = Self.resources(configuration.resources)
        resources.devices =
            configuration.privileged ? Self.everyDevice : Self.standardDevices + surroundings.deviceRules
        return resources
    }

    /// Limits as the runtime document has them; also what an update sends.
    package static func resources(_ limits: ResourceLimits) -> RuntimeSpec.Resources {
        var memory = RuntimeSpec.Memory()
        memory.limit = limits.memoryInBytes.flatMap { $0 > 0 ? $0 : nil }
        memory.swap = limits.memorySwapInBytes.flatMap { $0 != 0 ? $0 : nil }
        memory.reservation = limits.memoryReservationInBytes.flatMap { $0 > 0 ? $0 : nil }
        memory.swappiness = limits.memorySwappiness.flatMap { $0 >= 0 ? UInt64($0) : nil }
        memory.disableOOMKiller = limits.oomKillDisable.flatMap { $0 ? true : nil }
        var cpu = RuntimeSpec.CPU()
        cpu.shares = limits.cpuShares.flatMap { $0 > 0 ? UInt64($0) : nil }
        cpu.quota = limits.cpuQuotaInMicroseconds.flatMap { $0 != 0 ? $0 : nil }
        cpu.period = limits.cpuPeriodInMicroseconds.flatMap { $0 > 0 ? UInt64($0) : nil }
        if let nano = limits.nanoCPUs, nano > 0 { (cpu.period, cpu.quota) = (100_000, nano / 10_000) }
        cpu.cpus = limits.cpusetCPUs.flatMap { $0.isEmpty ? nil : $0 }
        cpu.mems = limits.cpusetMemories.flatMap { $0.isEmpty ? nil : $0 }
        var resources = RuntimeSpec.Resources()
        if memory != RuntimeSpec.Memory() { resources.memory = memory }
        if cpu != RuntimeSpec.CPU() { resources.cpu = cpu }
        if let pids = limits.pids, pids != 0 { resources.pids = RuntimeSpec.Pids(limit: pids > 0 ? pids : -1) }
        if let weight = limits.blockIOWeight, weight > 0 {
            resources.blockIO = RuntimeSpec.BlockIO()
            resources.blockIO?.weight = weight
        }
        return resources
    }

    private static let everyDevice = [RuntimeSpec.DeviceRule(allow: true, access: "rwm")]

    private static let standardDevices: [RuntimeSpec.DeviceRule] = {
        var rules = [
            RuntimeSpec.DeviceRule(allow: false, access: "rwm"),
            RuntimeSpec.DeviceRule(allow: true, type: "c", access: "m"),
            RuntimeSpec.DeviceRule(allow: true, type: "b", access: "m"),
        ]
        let characters: [(Int64, Int64?)] = [
            (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, nil),
        ]
        for (major, minor) in characters {
            rules.append(RuntimeSpec.DeviceRule(allow: true, type: "c", major: major, minor: minor, access: "rwm"))
        }
        return rules
    }()

    package static let maskedPaths =
        [
            "/proc/asound", "/proc/acpi", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
            "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
            "/sys/devices/virtual/powercap",
        ] + SystemFacts.throttleCounters
    package static let readonlyPaths = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
    static let initDestination = "/dev/init"
}
