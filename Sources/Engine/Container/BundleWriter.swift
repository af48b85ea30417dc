import Kernel
import Logging
import OCISpec
import Seccomp
import ShimProtocol

/// Writes everything that a shim needs of one container.
///
/// Blocks; what it leaves is removed with the bundle.
struct BundleWriter: Sendable {
    let node: Node
    let paths: ContainerPaths
    let record: ContainerRecord
    let joined: [RuntimeSpec.NamespaceType: String]

    private var configuration: ContainerConfiguration { record.configuration }

    /// - Returns: the mounts that make the root file system.
    func write() throws -> [ContainerdMount] {
        try File.makeDirectory(paths.bundle, mode: 0o700)
        try File.makeDirectory(paths.rootfs, mode: 0o700)
        // The record of the last run must not be taken for this one's.
        _ = try File.remove(paths.exitRecord)
        node.faults.reached(.startBundle)
        try prepareSources()
        try writeFiles()
        let devices = try DeviceLookup(configuration)
        var surroundings = SpecBuilder.Surroundings(
            id: record.id,
            hosts: paths.hosts,
            resolvConf: paths.resolvConf,
            hostname: paths.hostname,
            cgroupPath: node.cgroup(record).text
        )
        surroundings.devices = devices.devices
        surroundings.deviceRules = devices.rules
        surroundings.joined = joined
        surroundings.ownerOptions = ownerOptions()
        if configuration.useInit == true { surroundings.initPath = node.configuration.initPath }
        let spec = try SpecBuilder(
            configuration: configuration,
            plan: record.plan,
            surroundings: surroundings
        ).build()
        try writeSeccomp(spec)
        try File.writeAtomically(paths.config, try JSON.bytes(spec), durable: false)
        return try node.images.rootMounts(record.id, mapsOwners: record.plan.userNamespace?.range != nil)
    }

    /// The option of each bind and volume, by destination, that shows its owners as the container's.
    private func ownerOptions() -> [String: String] {
        guard record.plan.userNamespace?.range != nil, let owners = node.namespaces.owners else { return [:] }
        var places = [
            (SpecBuilder.hosts, paths.hosts, false), (SpecBuilder.resolvConf, paths.resolvConf, false),
            (SpecBuilder.hostname, paths.hostname, false),
        ]
        for entry in record.plan.mounts where entry.point.kind != .tmpfs {
            places.append((entry.point.destination, entry.point.source, !entry.nonRecursive))
        }
        var options: [String: String] = [:]
        for (destination, source, recursive) in places {
            let answer = owners.answer(source, recursive: recursive)
            options[destination] = answer.option
            if let reason = answer.reason {
                node.logger.warning(
                    "owners of a mount are not mapped",
                    metadata: ["container": "\(record.id.short)", "mount": "\(destination)", "reason": "\(reason)"]
                )
            }
        }
        return options
    }

    /// Every source must be there: made when it is a volume or was asked for, else an error that names it.
    private func prepareSources() throws {
        for entry in record.plan.mounts where entry.point.kind != .tmpfs {
            let source = entry.point.source
            if File.exists(source) { continue }
            if let name = entry.point.name {
                try node.images.makeVolume(
                    "\(node.paths.volumes)/\(name)",
                    for: entry.point.destination,
                    container: record.id,
                    copying: entry.noCopy != true
                )
                continue
            }
            guard entry.createSource else { throw Self.missing(source) }
            try File.makeDirectories(source, mode: 0o755)
        }
    }

    static func missing(_ source: String) -> EngineError {
        .invalid("invalid mount config for type \"bind\": bind source path does not exist: \(source)")
    }

    // Generated files -------------------------------------------------------------------------------------------------

    private func writeFiles() throws {
        let ownName = configuration.utsMode != .host || !configuration.hostname.isEmpty
        try write((ownName ? record.plan.resolved.hostname : SystemFacts.hostname) + "\n", to: paths.hostname)
        try write(try GeneratedFiles.hosts(configuration), to: paths.hosts)
        try write(try GeneratedFiles.resolvConf(configuration), to: paths.resolvConf)
    }

    /// Written in place when it is there: a running exec of another life may hold the bind mount of this very file.
    private func write(_ text: String, to path: String) throws {
        let file = try File.open(path, [.write, .create, .truncate, .noFollow], mode: 0o644)
        try file.changeMode(0o644)
        try file.writeAll(text)
    }

    /// A profile that cannot be used is refused when the container is created.
    static func checkSeccomp(_ configuration: ContainerConfiguration) throws {
        guard case .json(let text) = configuration.seccomp else { return }
        do {
            _ = try DockerProfile.parse(
                Array(text.utf8),
                capabilities: [],
                kernel: SystemFacts.kernelRelease
            )
        } catch {
            throw EngineError.invalid("invalid seccomp profile: \(error)")
        }
    }

    private func writeSeccomp(_ spec: RuntimeSpec) throws {
        guard !configuration.privileged else { return }
        let capabilities = spec.process?.capabilities?.bounding ?? []
        let profile: RuntimeSpec.Seccomp
        switch configuration.seccomp ?? node.configuration.defaultSeccomp {
        case .unconfined: return
        case .default: profile = DefaultProfile.profile(capabilities: capabilities)
        case .json(let text):
            profile = try DockerProfile.parse(
                Array(text.utf8),
                capabilities: capabilities,
                kernel: SystemFacts.kernelRelease
            )
        }
        let program = try node.seccomp.program(for: profile)
        try File.writeAtomically(
            "\(paths.bundle)/\(SeccompFiles.bundleFileName)",
            program.encoded,
            durable: false
        )
    }
}

/// The files under `/etc` that the engine makes.
///
/// Every value in them was checked when the container was created.
package enum GeneratedFiles {
    static let standardHosts = """
        127.0.0.1\tlocalhost
        ::1\tlocalhost ip6-localhost ip6-loopback
        fe00::\tip6-localnet
        ff00::\tip6-mcastprefix
        ff02::1\tip6-allnodes
        ff02::2\tip6-allrouters

        """

    static func hosts(_ configuration: ContainerConfiguration) throws -> String {
        let base =
            configuration.network == .host && File.exists("/etc/hosts")
            ? try File.readText("/etc/hosts") : standardHosts
        return hosts(base: base, extra: configuration.extraHosts)
    }

    package static func hosts(base: String, extra: [String]) -> String {
        let lines = extra.map { entry -> String in
            let colon = entry.firstIndex(of: ":") ?? entry.endIndex
            let address = entry[colon...].dropFirst().drop { $0 == "[" }.prefix { $0 != "]" }
            return "\(address)\t\(entry[..<colon])\n"
        }
        return base + (base.isEmpty || base.hasSuffix("\n") ? "" : "\n") + lines.joined()
    }

    static func resolvConf(_ configuration: ContainerConfiguration) throws -> String {
        let path = "/etc/resolv.conf"
        return resolvConf(base: File.exists(path) ? try File.readText(path) : "", configuration)
    }

    /// The host's file with what the configuration replaces.
    package static func resolvConf(base: String, _ configuration: ContainerConfiguration) -> String {
        let replaced: [(key: String, lines: [String])] = [
            ("nameserver", configuration.dns.map { "nameserver \($0)" }),
            (
                "search",
                configuration.dnsSearch.isEmpty
                    ? []
                    : [configuration.dnsSearch.filter { $0 != "." }]
                        .map { "search " + $0.joined(separator: " ") }
            ),
            (
                "options",
                configuration.dnsOptions.isEmpty ? [] : ["options " + configuration.dnsOptions.joined(separator: " ")]
            ),
        ]
        let gone = replaced.filter { !$0.lines.isEmpty }.map(\.key)
        let kept = base.split(separator: "\n").filter { line in
            !gone.contains { line.hasPrefix($0 + " ") || line.hasPrefix($0 + "\t") }
        }
        return (kept.map(String.init) + replaced.flatMap(\.lines)).map { $0 + "\n" }.joined()
    }
}

/// Host devices that a configuration asks for, looked up on the node.
struct DeviceLookup {
    var devices: [RuntimeSpec.Device] = []
    var rules: [RuntimeSpec.DeviceRule] = []

    init(_ configuration: ContainerConfiguration) throws {
        if configuration.privileged { try addAll(in: "/dev", depth: 4) }
        for request in configuration.devices {
            guard let status = try? File.status(request.hostPath, follow: true) else {
                throw EngineError.invalid(
                    "error gathering device information while adding custom device \"\(request.hostPath)\": "
                        + "no such file or directory"
                )
            }
            try add(status, request.containerPath, permissions: request.permissions, from: request.hostPath)
        }
        for rule in configuration.deviceCgroupRules { rules.append(try Self.parse(rule)) }
    }

    private mutating func add(_ status: FileStatus, _ path: String, permissions: String, from source: String) throws {
        guard status.kind == .characterDevice || status.kind == .blockDevice else {
            throw EngineError.invalid("not a device node: \(source)")
        }
        guard !permissions.isEmpty, permissions.allSatisfy({ "rwm".contains($0) }), path.hasPrefix("/") else {
            throw EngineError.invalid("invalid device: \(source):\(path):\(permissions)")
        }
        let type = status.kind == .characterDevice ? "c" : "b"
        let number = status.representedDevice
        devices.append(
            RuntimeSpec.Device(
                type: type,
                path: path,
                major: Int64(number.major),
                minor: Int64(number.minor),
                fileMode: status.permissions,
                uid: status.uid,
                gid: status.gid
            )
        )
        rules.append(
            RuntimeSpec.DeviceRule(
                allow: true,
                type: type,
                major: Int64(number.major),
                minor: Int64(number.minor),
                access: permissions
            )
        )
    }

    /// All device nodes of the host, without those that each container makes for itself.
    private mutating func addAll(in directory: String, depth: Int) throws {
        guard depth > 0 else { return }
        let skipped: Set<String> = [
            "pts", "shm", "mqueue", "fd", "console", "ptmx", "null", "zero", "full", "tty", "random", "urandom", ".lxc",
        ]
        for entry in try File.open(directory, [.directory]).readDirectory() where !skipped.contains(entry.name) {
            let path = "\(directory)/\(entry.name)"
            switch entry.kind {
            case .directory: try addAll(in: path, depth: depth - 1)
            case .characterDevice, .blockDevice:
                try add(try File.status(path), path, permissions: "rwm", from: path)
            default: continue
            }
        }
    }

    /// A rule such as `c 1:* rwm`.
    private static func parse(_ text: String) throws -> RuntimeSpec.DeviceRule {
        let parts = text.split(separator: " ").map(String.init)
        let numbers = parts.count == 3 ? parts[1].split(separator: ":").map(String.init) : []
        guard numbers.count == 2, ["a", "b", "c"].contains(parts[0]), parts[2].allSatisfy({ "rwm".contains($0) }),
            numbers.allSatisfy({ $0 == "*" || UInt32($0) != nil })
        else { throw EngineError.invalid("invalid device cgroup rule format: '\(text)'") }
        return RuntimeSpec.DeviceRule(
            allow: true,
            type: parts[0],
            major: Int64(numbers[0]),
            minor: Int64(numbers[1]),
            access: parts[2]
        )
    }
}
