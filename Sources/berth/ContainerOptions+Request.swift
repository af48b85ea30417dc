import Client
import DockerTypes
import Kernel

extension ContainerOptions {
    /// The document that creates the container.
    func request(image: String, command: [String]) throws -> ContainerCreateRequest {
        var request = ContainerCreateRequest()
        try configure(&request.config)
        request.config.image = image
        if !command.isEmpty { request.config.cmd = StringList(command) }
        try place(&request.hostConfig)
        try limit(&request.hostConfig)
        return request
    }

    private func configure(_ config: inout ContainerConfig) throws {
        config.hostname = hostname ?? ""
        config.domainname = domainname ?? ""
        config.user = user ?? ""
        config.workingDir = workdir ?? ""
        config.tty = tty
        config.openStdin = interactive
        config.stopSignal = stopSignal
        config.stopTimeout = stopTimeout
        config.healthcheck = try health.check()
        if let entrypoint { config.entrypoint = entrypoint.isEmpty ? [""] : StringList([entrypoint]) }
        config.env = try variables(files: envFile, env)
        var labels: [String] = []
        for file in labelFile { labels += try lines(of: file, "label-file") }
        config.labels = Value.pairs(labels + label)
    }

    private func place(_ config: inout HostConfig) throws {
        config.binds = try volume.map(absoluteSource)
        config.mounts = try mount.map(Self.mount)
        config.tmpfs = Dictionary(
            tmpfs.map { text in
                let sides = text.split(separator: ":", maxSplits: 1).map(String.init)
                return (sides.first ?? "", sides.count == 2 ? sides[1] : "")
            }
        ) { _, last in last }
        config.readonlyRootfs = readOnly ?? false
        config.networkMode = network ?? "default"
        config.extraHosts = addHost
        config.dns = dns
        config.dnsSearch = dnsSearch
        config.dnsOptions = dnsOption
        config.pidMode = pid ?? ""
        config.ipcMode = ipc ?? ""
        config.utsMode = uts ?? ""
        config.cgroupnsMode = cgroupns ?? ""
        config.usernsMode = userns ?? ""
        if shimDeath != nil || stuck != nil {
            var berth = BerthHostConfig()
            berth.shimDeath = shimDeath
            berth.stuck = stuck
            config.berth = berth
        }
        config.shmSize = try shmSize.map { try Value.bytes($0, "shm-size") } ?? 0
        config.devices = device.map(Self.device)
        config.autoRemove = remove
        config.restartPolicy = try restart.map(Self.policy) ?? RestartPolicy()
        config.logConfig.type = logDriver ?? ""
        config.logConfig.config = Value.pairs(logOpt)
        config.runtime = runtime
        config.`init` = useInit ? true : nil
        config.annotations = annotation.isEmpty ? nil : Value.pairs(annotation)
        config.cgroupParent = cgroupParent ?? ""
        config.containerIDFile = cidfile ?? ""
        if tty { config.consoleSize = UserTerminal.size.map { [Int($0.rows), Int($0.columns)] } }
    }

    private func limit(_ config: inout HostConfig) throws {
        config.capAdd = StringList(capAdd)
        config.capDrop = StringList(capDrop)
        config.privileged = privileged
        config.securityOpt = try securityOpt.map(securityOption)
        if let namespaces { config.securityOpt?.append("berth.namespaces=\(namespaces)") }
        // Docker's document knows no "not asked for": in restricted mode the root is read-only unless this says otherwise.
        if readOnly == false, !securityOpt.contains(where: { $0.hasPrefix("berth.readonly") }) {
            config.securityOpt?.append("berth.readonly=false")
        }
        config.sysctls = Value.pairs(sysctl)
        config.groupAdd = groupAdd
        config.oomScoreAdj = oomScoreAdj ?? 0
        config.oomKillDisable = oomKillDisable ? true : nil
        config.ulimits = try ulimit.map { text in
            let value = try Value.ulimit(text)
            var one = Ulimit()
            one.name = value.name
            one.soft = value.soft
            one.hard = value.hard
            return one
        }
        config.memory = try limits.memory.map { try Value.bytes($0, "memory") } ?? 0
        config.memorySwap = try limits.memorySwap.map { try Value.bytes($0, "memory-swap") } ?? 0
        config.memoryReservation = try limits.memoryReservation.map { try Value.bytes($0, "memory-reservation") } ?? 0
        config.nanoCpus = try limits.cpus.map(Value.nanoCPUs) ?? 0
        config.cpuShares = limits.cpuShares ?? 0
        config.cpuPeriod = limits.cpuPeriod ?? 0
        config.cpuQuota = limits.cpuQuota ?? 0
        config.cpusetCpus = limits.cpusetCpus ?? ""
        config.cpusetMems = limits.cpusetMems ?? ""
        config.pidsLimit = limits.pidsLimit
        config.blkioWeight = limits.blkioWeight ?? 0
    }

    /// A bind's source made absolute: the daemon does not know where this shell stands.
    private func absoluteSource(_ text: String) throws -> String {
        guard text.hasPrefix("./") || text.hasPrefix("../") || text == "." || text.hasPrefix(".:") else { return text }
        return try CurrentProcess.workingDirectory() + "/" + text
    }

    /// A seccomp profile is sent as text: the daemon does not read this user's files.
    private func securityOption(_ text: String) throws -> String {
        for separator in ["=", ":"] where text.hasPrefix("seccomp\(separator)") {
            let profile = String(text.dropFirst(8))
            guard profile != "unconfined", profile != "builtin" else { return "seccomp=\(profile)" }
            return "seccomp=" + String(decoding: try readFile(profile, "security-opt"), as: UTF8.self)
        }
        return text
    }

    static func policy(_ text: String) throws -> RestartPolicy {
        let sides = text.split(separator: ":", maxSplits: 1).map(String.init)
        var policy = RestartPolicy()
        policy.name = sides.first ?? ""
        if sides.count == 2 {
            guard let count = Int(sides[1]), count >= 0 else {
                throw Failure("--restart: '\(text)' is not a policy, such as on-failure:3", code: 125)
            }
            policy.maximumRetryCount = count
        }
        return policy
    }

    private static func device(_ text: String) -> DeviceMapping {
        let parts = text.split(separator: ":").map(String.init)
        var device = DeviceMapping()
        device.pathOnHost = parts.first ?? ""
        device.pathInContainer = parts.count > 1 && parts[1].hasPrefix("/") ? parts[1] : device.pathOnHost
        device.cgroupPermissions =
            parts.count > 1 && !(parts.last ?? "").hasPrefix("/") ? parts[parts.count - 1] : "rwm"
        return device
    }
}

extension ContainerOptions {
    /// The mount that one `--mount` describes.
    static func mount(_ text: String) throws -> DockerTypes.Mount {
        var mount = DockerTypes.Mount()
        mount.type = "volume"
        for field in text.split(separator: ",") {
            let sides = field.split(separator: "=", maxSplits: 1).map(String.init)
            let key = (sides.first ?? "").lowercased()
            let value = sides.count == 2 ? sides[1] : nil
            switch key {
            case "type": mount.type = value ?? ""
            case "source", "src": mount.source = value
            case "target", "destination", "dst": mount.target = value ?? ""
            case "readonly", "ro": mount.readOnly = value.map { $0 == "true" || $0 == "1" } ?? true
            case "consistency": mount.consistency = value
            case "bind-propagation", "bind-nonrecursive", "bind-create-src", "bind-recursive":
                try bind(key, value ?? "true", &mount)
            case "tmpfs-size", "tmpfs-mode": try tmpfs(key, value ?? "", &mount)
            case "volume-nocopy", "volume-subpath":
                var options = mount.volumeOptions ?? VolumeOptions()
                if key == "volume-nocopy" { options.noCopy = value != "false" } else { options.subpath = value }
                mount.volumeOptions = options
            default: throw Failure("--mount: '\(key)' in '\(text)' is not known", code: 125)
            }
        }
        guard !mount.target.isEmpty else { throw Failure("--mount: '\(text)' names no target", code: 125) }
        return mount
    }

    private static func bind(_ key: String, _ value: String, _ mount: inout DockerTypes.Mount) throws {
        var options = mount.bindOptions ?? BindOptions()
        switch key {
        case "bind-propagation": options.propagation = value
        case "bind-nonrecursive": options.nonRecursive = value == "true" || value == "1"
        case "bind-create-src": options.createMountpoint = value == "true" || value == "1"
        default:
            switch value {
            case "enabled": break
            case "disabled": options.nonRecursive = true
            case "writable": options.readOnlyNonRecursive = true
            case "readonly": options.readOnlyForceRecursive = true
            default: throw Failure("--mount: bind-recursive=\(value) is not known", code: 125)
            }
        }
        mount.bindOptions = options
    }

    private static func tmpfs(_ key: String, _ value: String, _ mount: inout DockerTypes.Mount) throws {
        var options = mount.tmpfsOptions ?? TmpfsOptions()
        if key == "tmpfs-size" {
            options.sizeBytes = try Value.bytes(value, "mount")
        } else {
            guard let mode = Int(value, radix: 8) else {
                throw Failure("--mount: tmpfs-mode=\(value) is not octal", code: 125)
            }
            options.mode = mode
        }
        mount.tmpfsOptions = options
    }
}

/// Environment variables from files and options; a bare name takes the value that this process has, if it has one.
func variables(files: [String], _ options: [String]) throws -> [String] {
    var all: [String] = []
    for file in files { all += try lines(of: file, "env-file") }
    return (all + options).compactMap { text in
        if text.contains("=") { return text }
        return CurrentProcess.environment(text).map { "\(text)=\($0)" }
    }
}

/// The lines of a file of the user's that are neither empty nor comments.
func lines(of file: String, _ option: String) throws -> [String] {
    String(decoding: try readFile(file, option), as: UTF8.self)
        .split(separator: "\n")
        .map { String($0).trimmed }
        .filter { !$0.isEmpty && !$0.hasPrefix("#") }
}

/// The bytes of a file of the user's.
func readFile(_ path: String, _ option: String? = nil) throws -> [UInt8] {
    do {
        return try File.read(path, limit: 16 << 20)
    } catch {
        throw Failure(option.map { "--\($0): \(error)" } ?? "\(error)", code: 125)
    }
}
