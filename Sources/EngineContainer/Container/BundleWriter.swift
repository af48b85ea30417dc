import DocumentTexts
package import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import OCISpec
import Seccomp
import ShimProtocol
import WorkloadProfiles

/// Writes everything that a shim needs of one container.
///
/// Blocks; what it leaves is removed with the bundle.
package struct BundleWriter: Sendable {
    let node: Node
    let paths: ContainerPaths
    let record: ContainerRecord
    let joined: [RuntimeSpec.NamespaceType: String]
    /// What the backend can beyond the contract.
    let abilities: Set<String>

    private var configuration: ContainerConfiguration { record.configuration }

    /// - Returns: the mounts that make the root file system.
    func write() throws -> [ContainerdMount] {
        try File.makeDirectory(paths.bundle, mode: 0o700)
        try File.makeDirectory(paths.rootfs, mode: 0o700)
        try removeOldRecords()
        node.faults.reached(.startBundle)
        try prepareSources()
        try writeFiles()
        try File.writeAtomically(paths.config, CheckedObject.sealed(try document()), durable: false)
        return try node.images.rootMounts(record.id, mapsOwners: record.plan.userNamespace?.range != nil)
    }

    /// Writes what the shim reads when it starts the container again: the document and the filter.
    func renewDocument() throws {
        try File.writeAtomically(paths.config, CheckedObject.sealed(try document()), durable: false)
    }

    /// The runtime document, and beside the bundle's the filter that belongs to it.
    private func document() throws -> [UInt8] {
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
        surroundings.ownerOptions = try ownerOptions()
        if configuration.useInit == true { surroundings.initPath = node.configuration.initPath }
        var spec = try SpecBuilder(
            configuration: configuration,
            plan: record.plan,
            surroundings: surroundings
        ).build()
        if let restriction = configuration.restriction {
            var annotations = spec.annotations ?? [:]
            annotations[Restriction.profileAnnotation] = restriction.profile
            annotations[Restriction.modeAnnotation] = restriction.mode.rawValue
            if restriction.mode != .learn {
                let profile = try node.profiles.files.present(restriction.profile)
                annotations[Restriction.identityAnnotation] = profile?.identity
                annotations[Restriction.promotionAnnotation] = profile?.promoted
            }
            spec.annotations = annotations
        }
        if let rules = configuration.accessRules {
            spec.annotations = (spec.annotations ?? [:]).merging([AccessRules.annotation: rules.rawValue]) { $1 }
        }
        if configuration.sharesNamespaces == true {
            let none = [ContainerConfiguration.namespacesAnnotation: ContainerConfiguration.noNamespaces]
            spec.annotations = (spec.annotations ?? [:]).merging(none) { $1 }
        }
        try writeSeccomp(&spec)
        return try JSON.bytes(spec)
    }

    /// Each run has an exit record of its own; those of earlier ones are of no use any more.
    private func removeOldRecords() throws {
        for entry in try File.open(paths.durable, [.directory]).readDirectory()
        where entry.name.hasPrefix(ContainerPaths.exitRecordPrefix) {
            _ = try File.remove("\(paths.durable)/\(entry.name)")
        }
    }

    /// The option of each bind and volume, by destination, that shows its owners as the container's.
    private func ownerOptions() throws -> [String: String] {
        guard record.plan.userNamespace?.range != nil else { return [:] }
        try node.namespaces.learn { try node.making($0) }
        guard let owners = node.namespaces.owners else { return [:] }
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

    package static func missing(_ source: String) -> EngineError {
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
    package static func checkSeccomp(_ configuration: ContainerConfiguration) throws {
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

    /// The filter, compiled where the backend takes it so, else as a section of the document.
    private func writeSeccomp(_ spec: inout RuntimeSpec) throws {
        guard !configuration.privileged else { return }
        let capabilities = spec.process?.capabilities?.bounding ?? []
        guard let profile = try profile(capabilities) else { return }
        guard abilities.contains(BackendAbilities.takesPrograms) else {
            spec.linux?.seccomp = profile
            return
        }
        let program = try node.seccomp.program(for: profile)
        try File.writeAtomically(
            "\(paths.bundle)/\(SeccompFiles.bundleFileName)",
            program.encoded,
            durable: false
        )
    }

    /// The filter that was asked for; nil for none.
    private func profile(_ capabilities: [String]) throws -> RuntimeSpec.Seccomp? {
        if let restriction = configuration.restriction {
            return try node.profiles.filter(
                restriction,
                base: try named(configuration.seccomp ?? .default, capabilities)
                    ?? DefaultProfile.profile(capabilities: capabilities)
            )
        }
        return try named(configuration.seccomp ?? node.configuration.defaultSeccomp, capabilities)
    }

    private func named(_ profile: SeccompProfile, _ capabilities: [String]) throws -> RuntimeSpec.Seccomp? {
        switch profile {
        case .unconfined: nil
        case .default: DefaultProfile.profile(capabilities: capabilities)
        case .json(let text):
            try DockerProfile.parse(
                Array(text.utf8),
                capabilities: capabilities,
                kernel: SystemFacts.kernelRelease
            )
        }
    }
}
