import DockerTypes
import EngineModel
import Kernel

/// Turns the engine's snapshot of a container into Docker's documents.
enum InspectTranslation {
    /// The inspect document; sizes are left out.
    static func inspect(_ container: ContainerSnapshot) -> ContainerInspect {
        let request = Self.request(container)
        var result = ContainerInspect()
        result.id = container.id.description
        result.created = GoTime(container.created)
        result.path = container.path
        result.args = container.arguments
        result.state = state(container.state)
        result.image = container.imageID
        result.resolvConfPath = container.resolvConfPath
        result.hostnamePath = container.hostnamePath
        result.hostsPath = container.hostsPath
        result.logPath = container.logPath ?? ""
        result.name = "/" + container.name
        result.restartCount = container.restartCount
        result.driver = "overlay2"
        result.platform = "linux"
        result.appArmorProfile = container.configuration.appArmorProfile ?? ""
        result.processLabel = container.configuration.selinuxLabel?.process ?? ""
        result.mountLabel = container.configuration.selinuxLabel?.mount ?? ""
        result.execIDs = container.execIDs.isEmpty ? nil : container.execIDs.map(\.description)
        result.hostConfig = hostConfig(container, request)
        result.graphDriver.name = "overlay2"
        result.mounts = container.mounts.map(mount)
        result.config = config(container, request)
        result.networkSettings = network(container)
        result.berth = berth(container)
        return result
    }

    private static func berth(_ container: ContainerSnapshot) -> BerthContainer {
        let setting = container.userNamespace
        var result = BerthContainer()
        result.userNamespace.mode = setting.range == nil ? "host" : setting.sharedWith == nil ? "auto" : "shared"
        result.userNamespace.hostID = setting.range.map { Int($0.first) }
        result.userNamespace.size = setting.range.map { Int($0.size) }
        result.userNamespace.sharedWith = setting.sharedWith?.description
        result.userNamespace.reason = setting.reason
        result.shimDeath = container.shimDeath.rawValue
        result.profile = container.configuration.restriction.map { restriction in
            var profile = BerthContainerProfile()
            (profile.name, profile.mode) = (restriction.profile, restriction.mode.rawValue)
            profile.promoted = container.promotion
            return profile
        }
        result.stuck = (container.configuration.stuckPolicy ?? .release).rawValue
        return result
    }

    /// What the client asked for at create; empty for a container that another face made.
    private static func request(_ container: ContainerSnapshot) -> ContainerCreateRequest {
        guard let document = container.configuration.faceDocument else { return ContainerCreateRequest() }
        // A document that cannot be read only costs what it repeats: everything that counts comes from the engine.
        return (try? DockerJSON.decode(ContainerCreateRequest.self, from: document.utf8)) ?? ContainerCreateRequest()
    }

    private static func state(_ state: EngineContainerState) -> DockerTypes.ContainerState {
        var result = DockerTypes.ContainerState()
        result.status = state.status.rawValue
        result.running = [.running, .paused, .restarting].contains(state.status)
        result.paused = state.status == .paused
        result.restarting = state.status == .restarting
        result.oomKilled = state.oomKilled
        result.dead = state.status == .dead
        result.pid = state.pid.map(Int.init) ?? 0
        result.exitCode = state.exitCode
        result.error = errorText(state)
        result.startedAt = GoTime(state.startedAt)
        result.finishedAt = GoTime(state.finishedAt)
        result.berth = trouble(state)
        result.health = state.health.map(health)
        return result
    }

    private static func health(_ health: HealthSnapshot) -> DockerTypes.HealthState {
        var result = DockerTypes.HealthState()
        result.status = health.status.rawValue
        result.failingStreak = health.failingStreak
        result.log = health.log.map { probe in
            var entry = HealthResult()
            entry.start = GoTime(probe.startedAt)
            entry.end = GoTime(probe.endedAt)
            entry.exitCode = probe.exitCode
            entry.output = probe.output
            return entry
        }
        return result
    }

    /// What is the matter with a container; nil when nothing is.
    private static func trouble(_ state: EngineContainerState) -> BerthContainerState? {
        let owner = state.exit.flatMap { $0.oomOwner.isEmpty ? nil : $0.oomOwner }
        let isWell = state.reachable && state.unsupervised == nil && state.stuck == nil && state.damaged == nil
        guard !isWell || owner != nil else { return nil }
        var result = BerthContainerState()
        result.oomOwner = owner
        result.reachable = state.reachable
        result.unsupervised = state.unsupervised
        result.damaged = state.damaged
        result.shim = state.silence.map { shim in
            var value = BerthSilentShim()
            value.pid = Int(shim.pid ?? 0)
            value.state = shim.state
            value.waitChannel = shim.waitChannel
            value.since = GoTime(shim.since)
            return value
        }
        result.stuck = state.stuck.map { stuck in
            var value = BerthStuck()
            value.since = GoTime(stuck.since)
            value.tasks = stuck.tasks.map { task in
                var row = BerthStuckTask()
                row.pid = Int(task.pid)
                row.command = task.command
                row.state = task.state
                row.waitChannel = task.waitChannel
                return row
            }
            return value
        }
        return result
    }

    private static func errorText(_ state: EngineContainerState) -> String {
        if !state.error.isEmpty { return state.error }
        if let reason = state.damaged { return "damaged: \(reason)" }
        if let stuck = state.stuck { return "cannot be killed: \(stuck.summary)" }
        if let reason = state.unsupervised { return "unsupervised: \(reason)" }
        if case .unknown(let reason)? = state.exit?.status { return "exit status unknown: \(reason)" }
        return state.reachable ? "" : state.silence?.summary ?? "the shim does not answer"
    }

    private static func config(_ container: ContainerSnapshot, _ request: ContainerCreateRequest) -> ContainerConfig {
        var config = request.config
        let resolved = container.resolved
        config.image = container.configuration.image
        config.hostname = resolved.hostname
        config.env = resolved.environment
        config.cmd = StringList(resolved.command)
        config.entrypoint = resolved.entrypoint.isEmpty ? nil : StringList(resolved.entrypoint)
        config.labels = resolved.labels
        config.workingDir = resolved.workingDirectory
        config.user = resolved.user
        config.stopSignal = resolved.stopSignal
        config.healthcheck = resolved.health?.docker
        config.exposedPorts = set(resolved.exposedPorts)
        config.volumes = set(container.configuration.volumes)
        config.tty = container.configuration.terminal
        config.openStdin = container.configuration.openStdin
        config.stdinOnce = container.configuration.stdinOnce
        return config
    }

    private static func set(_ keys: [String]) -> [String: Empty]? {
        keys.isEmpty ? nil : Dictionary(keys.map { ($0, Empty()) }) { first, _ in first }
    }

    private static func hostConfig(_ container: ContainerSnapshot, _ request: ContainerCreateRequest) -> HostConfig {
        var host = request.hostConfig
        let configuration = container.configuration
        host.networkMode = networkMode(configuration.network)
        host.restartPolicy = configuration.restartPolicy.docker
        host.autoRemove = configuration.autoRemove
        host.logConfig.type = configuration.log?.driver ?? "json-file"
        host.logConfig.config = configuration.log?.options ?? [:]
        host.runtime = container.backend
        host.privileged = configuration.privileged
        host.readonlyRootfs = configuration.readonlyRootfs
        host.shmSize = Int(configuration.shmSizeInBytes ?? 64 << 20)
        if host.ipcMode.isEmpty { host.ipcMode = "private" }
        if host.cgroupnsMode.isEmpty { host.cgroupnsMode = "private" }
        apply(configuration.resources, to: &host)
        return host
    }

    /// Limits may have been updated since create.
    private static func apply(_ limits: ResourceLimits, to host: inout HostConfig) {
        host.memory = Int(limits.memoryInBytes ?? 0)
        host.memorySwap = Int(limits.memorySwapInBytes ?? 0)
        host.memoryReservation = Int(limits.memoryReservationInBytes ?? 0)
        host.memorySwappiness = limits.memorySwappiness.map { Int($0) }
        host.nanoCpus = Int(limits.nanoCPUs ?? 0)
        host.cpuShares = Int(limits.cpuShares ?? 0)
        host.cpuQuota = Int(limits.cpuQuotaInMicroseconds ?? 0)
        host.cpuPeriod = Int(limits.cpuPeriodInMicroseconds ?? 0)
        host.cpusetCpus = limits.cpusetCPUs ?? ""
        host.cpusetMems = limits.cpusetMemories ?? ""
        host.pidsLimit = limits.pids.map { Int($0) }
        host.blkioWeight = Int(limits.blockIOWeight ?? 0)
    }

    /// The network mode by Docker's names.
    static func networkMode(_ mode: NetworkMode) -> String {
        switch mode {
        case .none: "none"
        case .host: "host"
        case .bridge: "bridge"
        case .container(let other): "container:\(other)"
        case .named(let name): name
        }
    }

    /// The endpoints by network name.
    static func endpoints(_ container: ContainerSnapshot) -> [String: EndpointSettings] {
        if case .container = container.configuration.network { return [:] }
        let name = networkMode(container.configuration.network)
        var endpoint = EndpointSettings()
        endpoint.networkID = NetworkRoutes.identifier(of: name)
        return [name: endpoint]
    }

    private static func network(_ container: ContainerSnapshot) -> NetworkSettings {
        var settings = NetworkSettings()
        settings.networks = endpoints(container)
        if let pid = container.state.pid { settings.sandboxKey = "/proc/\(pid)/ns/net" }
        settings.ports = Dictionary(container.resolved.exposedPorts.map { ($0, nil) }) { first, _ in first }
        return settings
    }

    /// A mount as it is.
    static func mount(_ point: EngineMountPoint) -> DockerTypes.MountPoint {
        var result = DockerTypes.MountPoint()
        result.type = point.kind.rawValue
        result.name = point.name
        result.source = point.source
        result.destination = point.destination
        result.driver = point.kind == .volume ? "local" : nil
        result.mode = point.mode
        result.rw = point.readWrite
        result.propagation = point.propagation
        return result
    }
}
