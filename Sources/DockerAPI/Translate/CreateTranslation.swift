package import DockerTypes
package import EngineModel

/// Turns Docker's create request into the engine's configuration.
package enum CreateTranslation {
    /// The configuration, and what was asked for that will not be so.
    package struct Result {
        /// What the engine creates.
        package var configuration: ContainerConfiguration
        /// What has no effect.
        package var warnings: [String]
    }

    /// Translates `request`.
    ///
    /// - Parameters:
    ///   - request: What the client asks for.
    ///   - defaultBackend: The one that holds where none is named.
    /// - Returns: The configuration, and warnings.
    /// - Throws: ``APIError`` 400 for what makes no sense, 501 for what is not offered.
    package static func translate(_ request: ContainerCreateRequest, defaultBackend: String) throws -> Result {
        guard !request.config.image.isEmpty else { throw APIError.invalid("no image was named: 'Image' is empty") }
        var configuration = ContainerConfiguration(image: request.config.image)
        var warnings: [String] = []
        process(request.config, into: &configuration)
        let host = request.hostConfig
        try refuse(host)
        try isolation(host, networkDisabled: request.config.networkDisabled ?? false, into: &configuration)
        let restriction = try security(host, into: &configuration)
        try storage(host, into: &configuration)
        configuration.resources = ResourceLimits(host)
        try misc(host, into: &configuration)
        try faults(host.berth, into: &configuration)
        if try restriction.sharesNamespaces() { try shared(request) }
        // The last: it takes away what all else leaves open.
        try configuration.restrict(restriction, defaultBackend: defaultBackend)
        warnings += ineffective(request)
        configuration.faceDocument = String(decoding: try DockerJSON.encode(request), as: UTF8.self)
        return Result(configuration: configuration, warnings: warnings)
    }

    private static func process(_ config: ContainerConfig, into result: inout ContainerConfiguration) {
        result.entrypoint = config.entrypoint.map { $0.values == [""] ? [] : $0.values }
        result.command = config.cmd?.values
        result.environment = config.env ?? []
        result.workingDirectory = config.workingDir
        result.user = config.user
        result.terminal = config.tty
        result.openStdin = config.openStdin
        result.stdinOnce = config.stdinOnce
        result.attachStdin = config.attachStdin
        result.attachStdout = config.attachStdout
        result.attachStderr = config.attachStderr
        result.labels = config.labels ?? [:]
        result.stopSignal = config.stopSignal.flatMap { $0.isEmpty ? nil : $0 }
        result.stopTimeout = config.stopTimeout
        result.health = config.healthcheck.map(HealthConfiguration.init)
        result.hostname = config.hostname
        result.domainname = config.domainname
        result.exposedPorts = (config.exposedPorts ?? [:]).keys.sorted()
        result.volumes = (config.volumes ?? [:]).keys.sorted()
    }

    private static func faults(_ berth: BerthHostConfig?, into result: inout ContainerConfiguration) throws {
        func value<T: CaseIterable & RawRepresentable>(_ text: String?, _ field: String, _ type: T.Type) throws -> T?
        where T.RawValue == String {
            guard let text, !text.isEmpty else { return nil }
            guard let value = T(rawValue: text) else {
                let names = T.allCases.map(\.rawValue).joined(separator: "' or '")
                throw APIError.invalid("HostConfig.Berth.\(field): expected '\(names)', found '\(text)'")
            }
            return value
        }
        result.shimDeath = try value(berth?.shimDeath, "ShimDeath", ShimDeath.self)
        result.stuckPolicy = try value(berth?.stuck, "Stuck", StuckPolicy.self)
    }

    /// What the engine does not offer, and what would be dangerous to leave out without saying so.
    private static func refuse(_ host: HostConfig) throws {
        if host.volumesFrom?.isEmpty == false {
            throw APIError.notImplemented("volumes from containers are not offered")
        }
        if host.links?.isEmpty == false { throw APIError.notImplemented("links are not offered") }
        if host.deviceRequests?.isEmpty == false {
            throw APIError.notImplemented("no driver can satisfy device requests")
        }
        if host.storageOpt?.isEmpty == false { throw APIError.notImplemented("storage options are not offered") }
        if !host.volumeDriver.isEmpty, host.volumeDriver != "local" {
            throw APIError.invalid("unknown volume driver '\(host.volumeDriver)'")
        }
        if !["", "default"].contains(host.isolation) {
            throw APIError.invalid("invalid isolation '\(host.isolation)': only 'default' exists on Linux")
        }
    }

    private static func isolation(
        _ host: HostConfig,
        networkDisabled: Bool,
        into result: inout ContainerConfiguration
    ) throws {
        result.network = networkDisabled ? .none : network(host.networkMode)
        result.pidMode = try namespace(host.pidMode, "PID", joins: true)
        result.ipcMode = try namespace(host.ipcMode, "IPC", joins: true, more: ["private", "shareable", "none"])
        result.utsMode = try namespace(host.utsMode, "UTS")
        do {
            result.userNamespace = try UserNamespaceMode(parsing: host.usernsMode)
        } catch let error as EngineError {
            throw APIError.invalid(error.message)
        }
        result.cgroupMode = try namespace(host.cgroupnsMode, "cgroup namespace", more: ["private"])
    }

    /// Refuses what a container without namespaces was asked to have of its own and the engine's configuration no longer tells from a default.
    private static func shared(_ request: ContainerCreateRequest) throws {
        let host = request.hostConfig
        let modes = [
            ("pid", host.pidMode), ("ipc", host.ipcMode), ("uts", host.utsMode), ("cgroupns", host.cgroupnsMode),
            ("userns", host.usernsMode), ("network", host.networkMode == "default" ? "" : host.networkMode),
        ]
        var asked = modes.first { !["", "host"].contains($0.1) }.map { "\($0.0) \($0.1)" }
        if request.config.networkDisabled == true { asked = "NetworkDisabled" }
        if host.publishAllPorts || host.portBindings?.isEmpty == false { asked = "publish" }
        guard let asked else { return }
        throw APIError.invalid(
            "a container without namespaces has the host's alone: '\(asked)' asks for one of its own"
        )
    }

    private static func network(_ mode: String) -> NetworkMode {
        switch mode {
        case "", "default", "bridge": .bridge
        case "none": .none
        case "host": .host
        default: joined(mode).map(NetworkMode.container) ?? .named(mode)
        }
    }

    private static func joined(_ mode: String) -> String? {
        mode.hasPrefix("container:") ? String(mode.dropFirst("container:".count)) : nil
    }

    private static func namespace(
        _ mode: String,
        _ name: String,
        joins: Bool = false,
        more: [String] = []
    ) throws -> NamespaceMode {
        if mode.isEmpty { return .own }
        if mode == "host" { return .host }
        if joins, let other = joined(mode), !other.isEmpty { return .container(other) }
        guard more.contains(mode) else { throw APIError.invalid("invalid \(name) mode '\(mode)'") }
        return mode == "shareable" ? .shareable : .own
    }

    private static func security(
        _ host: HostConfig,
        into result: inout ContainerConfiguration
    ) throws -> RestrictionOptions {
        result.privileged = host.privileged
        result.noNewPrivileges = !host.privileged
        result.capabilitiesToAdd = host.capAdd?.values ?? []
        result.capabilitiesToDrop = host.capDrop?.values ?? []
        result.maskedPaths = host.maskedPaths
        result.readonlyPaths = host.readonlyPaths
        var restriction = RestrictionOptions()
        for option in host.securityOpt ?? [] { try apply(option, to: &result, &restriction) }
        return restriction
    }

    private static func apply(
        _ option: String,
        to result: inout ContainerConfiguration,
        _ restriction: inout RestrictionOptions
    ) throws {
        guard let split = option.firstIndex(where: { $0 == "=" || $0 == ":" }) else {
            guard option == "no-new-privileges" else { throw APIError.invalid("invalid security option '\(option)'") }
            result.noNewPrivileges = true
            return
        }
        let name = String(option[..<split])
        let value = String(option[option.index(after: split)...])
        switch (name, value) {
        case ("no-new-privileges", "true"): result.noNewPrivileges = true
        case ("no-new-privileges", "false"): result.noNewPrivileges = false
        case ("seccomp", "unconfined"): result.seccomp = .unconfined
        case ("seccomp", "builtin"), ("seccomp", "default"): result.seccomp = .default
        case ("seccomp", _) where value.contains("{"): result.seccomp = .json(value)
        case (_, _) where name.hasPrefix(Restriction.prefix): try restriction.take(name, value)
        case ("apparmor", _) where !value.isEmpty: result.appArmorProfile = value
        case ("label", "disable"): result.selinuxLabel = nil
        case ("label", _):
            var label = result.selinuxLabel ?? SELinuxLabel()
            guard label.take(value) else {
                throw APIError.invalid(
                    "invalid security option '\(option)': a label is disable, user:, role:, type:, level: or filetype:NAME"
                )
            }
            result.selinuxLabel = label
        default: throw APIError.invalid("invalid security option '\(option)'")
        }
    }

    private static func storage(_ host: HostConfig, into result: inout ContainerConfiguration) throws {
        result.binds = host.binds ?? []
        result.mounts = try (host.mounts ?? []).map(mount)
        result.tmpfs = host.tmpfs ?? [:]
        result.readonlyRootfs = host.readonlyRootfs
        result.shmSizeInBytes = host.shmSize == 0 ? nil : Int64(host.shmSize)
    }

    private static func mount(_ mount: Mount) throws -> MountRequest {
        guard let kind = MountRequest.Kind(rawValue: mount.type) else {
            throw APIError.invalid("invalid mount config for '\(mount.target)': unknown type '\(mount.type)'")
        }
        if mount.volumeOptions?.subpath?.isEmpty == false {
            throw APIError.notImplemented("paths inside volumes are not offered")
        }
        let mode = try mount.tmpfsOptions?.mode.map { mode in
            guard let mode = UInt32(exactly: mode) else { throw APIError.invalid("invalid tmpfs mode \(mode)") }
            return mode
        }
        return MountRequest(
            kind: kind,
            source: mount.source.flatMap { $0.isEmpty ? nil : $0 },
            target: mount.target,
            readOnly: mount.readOnly ?? false,
            propagation: mount.bindOptions?.propagation.flatMap { $0.isEmpty ? nil : $0 },
            nonRecursive: mount.bindOptions?.nonRecursive ?? false,
            createSource: mount.bindOptions?.createMountpoint ?? false,
            noCopy: mount.volumeOptions?.noCopy ?? false,
            tmpfsSizeInBytes: mount.tmpfsOptions?.sizeBytes.flatMap { $0 == 0 ? nil : Int64($0) },
            tmpfsMode: mode
        )
    }

    private static func misc(_ host: HostConfig, into result: inout ContainerConfiguration) throws {
        result.annotations = host.annotations ?? [:]
        result.sysctls = host.sysctls ?? [:]
        result.ulimits = (host.ulimits ?? []).map {
            EngineUlimit(name: $0.name, soft: Int64($0.soft), hard: Int64($0.hard))
        }
        result.devices = (host.devices ?? []).map {
            EngineDevice(
                hostPath: $0.pathOnHost,
                containerPath: $0.pathInContainer.isEmpty ? $0.pathOnHost : $0.pathInContainer,
                permissions: $0.cgroupPermissions.isEmpty ? "rwm" : $0.cgroupPermissions
            )
        }
        result.deviceCgroupRules = host.deviceCgroupRules ?? []
        result.restartPolicy = try EngineRestartPolicy(host.restartPolicy)
        result.autoRemove = host.autoRemove
        if host.autoRemove, result.restartPolicy != .no {
            throw APIError.invalid("can't create 'AutoRemove' container with restart policy")
        }
        result.cgroupParent = host.cgroupParent.isEmpty ? nil : host.cgroupParent
        result.useInit = host.`init`
        result.oomScoreAdjustment = host.oomScoreAdj == 0 ? nil : host.oomScoreAdj
        result.additionalGroups = host.groupAdd ?? []
        result.extraHosts = host.extraHosts ?? []
        result.dns = host.dns ?? []
        result.dnsSearch = host.dnsSearch ?? []
        result.dnsOptions = host.dnsOptions ?? []
        result.backend = host.runtime.flatMap { $0.isEmpty ? nil : $0 }
        result.consoleSize = try TerminalSize(docker: host.consoleSize)
        if !host.logConfig.type.isEmpty || host.logConfig.config?.isEmpty == false {
            result.log = try LogConfiguration(driver: host.logConfig.type, options: host.logConfig.config ?? [:])
        }
    }

    private static func ineffective(_ request: ContainerCreateRequest) -> [String] {
        let host = request.hostConfig
        let throttles = [
            host.blkioDeviceReadBps, host.blkioDeviceWriteBps, host.blkioDeviceReadIOps, host.blkioDeviceWriteIOps,
        ]
        let facts: [(Bool, String)] = [
            (host.publishAllPorts || host.portBindings?.isEmpty == false, "ports are not published: no networks yet"),
            (host.blkioWeightDevice?.isEmpty == false, "block I/O weights per device have no effect"),
            (throttles.contains { $0?.isEmpty == false }, "block I/O limits per device have no effect"),
            (host.cpuRealtimePeriod != 0 || host.cpuRealtimeRuntime != 0, "CPU realtime limits have no effect"),
            (request.config.macAddress?.isEmpty == false, "the MAC address has no effect: no networks yet"),
        ]
        return facts.filter(\.0).map(\.1)
    }
}

extension ResourceLimits {
    /// The limits of a host configuration; zero and empty mean "not limited".
    init(_ host: HostConfig) {
        self.init()
        memoryInBytes = set(host.memory)
        memorySwapInBytes = set(host.memorySwap)
        memoryReservationInBytes = set(host.memoryReservation)
        memorySwappiness = host.memorySwappiness.flatMap { $0 == -1 ? nil : Int64($0) }
        oomKillDisable = host.oomKillDisable
        nanoCPUs = set(host.nanoCpus)
        cpuShares = set(host.cpuShares)
        cpuQuotaInMicroseconds = set(host.cpuQuota)
        cpuPeriodInMicroseconds = set(host.cpuPeriod)
        cpusetCPUs = host.cpusetCpus.isEmpty ? nil : host.cpusetCpus
        cpusetMemories = host.cpusetMems.isEmpty ? nil : host.cpusetMems
        pids = host.pidsLimit.map(Int64.init)
        // Out of range becomes a value that the engine refuses by name.
        blockIOWeight = host.blkioWeight == 0 ? nil : UInt16(clamping: host.blkioWeight)
    }

    /// The limits of an update; zero, empty and absent leave a limit as it is.
    init(_ update: ContainerUpdateRequest) {
        self.init()
        memoryInBytes = set(update.memory)
        memorySwapInBytes = set(update.memorySwap)
        memoryReservationInBytes = set(update.memoryReservation)
        nanoCPUs = set(update.nanoCpus)
        cpuShares = set(update.cpuShares)
        cpuQuotaInMicroseconds = set(update.cpuQuota)
        cpuPeriodInMicroseconds = set(update.cpuPeriod)
        cpusetCPUs = update.cpusetCpus.flatMap { $0.isEmpty ? nil : $0 }
        cpusetMemories = update.cpusetMems.flatMap { $0.isEmpty ? nil : $0 }
        pids = update.pidsLimit.map(Int64.init)
        blockIOWeight = update.blkioWeight.flatMap { $0 == 0 ? nil : UInt16(clamping: $0) }
    }
}

private func set(_ value: Int?) -> Int64? {
    value.flatMap { $0 == 0 ? nil : Int64($0) }
}

extension EngineRestartPolicy {
    /// The policy that a client named.
    ///
    /// - Throws: 400 for an unknown name or a count that does not fit the name.
    init(_ policy: DockerTypes.RestartPolicy) throws(APIError) {
        let count = policy.maximumRetryCount
        guard count >= 0 else { throw .invalid("maximum retry count cannot be negative") }
        guard count == 0 || policy.name == "on-failure" else {
            throw .invalid("maximum retry count cannot be used with restart policy '\(policy.name)'")
        }
        switch policy.name {
        case "", "no": self = .no
        case "always": self = .always
        case "unless-stopped": self = .unlessStopped
        case "on-failure": self = .onFailure(maximum: count)
        default:
            throw .invalid(
                "invalid restart policy '\(policy.name)': use 'no', 'always', 'on-failure' or 'unless-stopped'"
            )
        }
    }

    /// The policy as clients see it.
    var docker: DockerTypes.RestartPolicy {
        var policy = DockerTypes.RestartPolicy()
        switch self {
        case .no: policy.name = "no"
        case .always: policy.name = "always"
        case .unlessStopped: policy.name = "unless-stopped"
        case .onFailure(let maximum):
            policy.name = "on-failure"
            policy.maximumRetryCount = maximum
        }
        return policy
    }
}

extension TerminalSize {
    /// The size of `[height, width]`; nil for nil and for a size of zero.
    ///
    /// - Throws: 400 for anything that is no size.
    init?(docker size: [Int]?) throws(APIError) {
        guard let size, !size.isEmpty, size != [0, 0] else { return nil }
        guard size.count == 2, let height = UInt16(exactly: size[0]), let width = UInt16(exactly: size[1]) else {
            throw .invalid("invalid console size \(size): expected [height, width]")
        }
        self.init(height: height, width: width)
    }
}

extension HealthConfiguration {
    /// The check of a configuration.
    init(_ check: HealthConfig) {
        self.init()
        test = check.test
        interval = Int64(check.interval)
        timeout = Int64(check.timeout)
        startPeriod = Int64(check.startPeriod)
        startInterval = Int64(check.startInterval)
        retries = check.retries
    }

    /// The check as Docker's documents have it.
    var docker: HealthConfig {
        var check = HealthConfig()
        check.test = test
        check.interval = Int(interval)
        check.timeout = Int(timeout)
        check.startPeriod = Int(startPeriod)
        check.startInterval = Int(startInterval)
        check.retries = retries
        return check
    }
}
