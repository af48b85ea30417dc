import ContentStore
import EngineContainer
import EngineModel
import EngineSpec
import EngineStore
import Kernel
import OCISpec

extension EngineCore {
    // Create ----------------------------------------------------------------------------------------------------------

    /// Makes a container, or finds the one that the same request has made.
    func createContainer(_ configuration: ContainerConfiguration, name: String?) async throws -> CreatedContainer {
        try await node.creations.join(configuration, name: name) {
            if let made = try madeBefore(configuration, name: name) { return made }
            return try await createAnew(configuration, name: name)
        }
    }

    /// The container that was made for this key: also long ago, and by an earlier life of the engine.
    private func madeBefore(_ configuration: ContainerConfiguration, name: String?) throws -> CreatedContainer? {
        guard let key = configuration.idempotencyKey else { return nil }
        let found = node.table.all.lazy.map(\.view.snapshot).first { $0.configuration.idempotencyKey == key }
        guard let found else { return nil }
        guard found.configuration.isSameRequest(as: configuration), name == nil || name.map(Names.plain) == found.name
        else {
            throw Creations.reused(key)
        }
        return CreatedContainer(id: found.id, warnings: [])
    }

    /// Makes a container in named steps; each failed step takes back those before it.
    private func createAnew(_ configuration: ContainerConfiguration, name: String?) async throws -> CreatedContainer {
        let id = ContainerID.random()
        try ConfigurationCheck.check(configuration, cpus: SystemFacts.cpus)
        try ConfigurationCheck.labels(configuration, modules: SystemFacts.securityModules)
        let given = try name.flatMap { $0.isEmpty ? nil : try Names.validated($0) }
        let image = try await blocking { node in try node.images.find(configuration.image) }
        let outcome = try await userNamespace(configuration)
        let plan = try await plan(configuration, image: image.image, id: id)
        let lacksRules = try ConfigurationCheck.rules(configuration, backend: backendName(configuration))
        let warnings =
            Self.warnings(configuration) + (lacksRules.map { [$0] } ?? []) + (try await ownerWarnings(plan, outcome))
        let real: String
        if let given {
            try node.table.reserve(given, for: id)
            real = given
        } else {
            real = try node.table.reserveMadeName(for: id)
        }
        node.faults.reached(.createReserved)
        let record = ContainerRecord(
            id: id,
            name: real,
            created: .now,
            configuration: configuration,
            plan: plan,
            state: PersistedState(Lifecycle(policy: configuration.restartPolicy, autoRemove: configuration.autoRemove))
        )
        return try await node.supervisor.complete { try await self.make(record, image.image, outcome, warnings) }
    }

    private func make(
        _ plain: ContainerRecord,
        _ image: Image,
        _ outcome: UserNamespaceDecision.Outcome,
        _ warnings: [String]
    ) async throws -> CreatedContainer {
        let record: ContainerRecord
        do {
            record = try withIDs(plain, outcome)
        } catch {
            node.table.release(plain.name, of: plain.id)
            throw error
        }
        let (node, id) = (node, record.id)
        let paths = node.paths.container(id)
        let container = Container(record, node: node, isNew: true)
        do {
            try await node.pool.run {
                try File.makeDirectory(paths.durable, mode: 0o700)
                node.faults.reached(.createDirectories)
                do { try node.images.makeWritable(id, on: image) } catch {
                    node.images.blame(error, node.damage)
                    throw error
                }
                node.faults.reached(.createSnapshot)
            }
            try await node.store.write(events: [await container.event("create")], try record.insertion)
            node.faults.reached(.createCommitted)
            await container.writeCopy()
            node.table.insert(container, name: record.name)
            return CreatedContainer(id: id, warnings: warnings)
        } catch {
            node.table.release(record.name, of: id)
            node.namespaces.ids.forget(id)
            var failure = EngineError.wrap(error, "create container")
            do {
                try await node.pool.run {
                    try node.images.removeWritable(id)
                    _ = try File.removeTree(paths.durable)
                }
            } catch {
                failure.cleanUpErrors.append(String(describing: error))
            }
            throw failure
        }
    }

    /// What a configuration means on this node, with this image.
    private func plan(
        _ configuration: ContainerConfiguration,
        image: Image,
        id: ContainerID
    ) async throws -> ContainerPlan {
        let backend = backendName(configuration)
        _ = try node.backend(backend)
        if configuration.useInit == true {
            guard let path = node.configuration.initPath, File.exists(path) else {
                throw EngineError.invalid("the engine has no init program for --init")
            }
        }
        for case .container(let reference) in [configuration.pidMode, configuration.ipcMode] {
            _ = try node.table.find(reference)
        }
        if case .container(let reference) = configuration.network { _ = try node.table.find(reference) }
        let execution = ImageConfiguration(image.config.config)
        let paths = node.paths
        let mounts = try MountPlan(
            configuration,
            // Directories of its own root then.
            imageVolumes: configuration.sharesNamespaces == true ? [] : execution.volumes,
            volumePath: paths.volume,
            newVolumeName: HexIdentifier.random
        ).entries
        for entry in mounts where entry.point.kind == .bind && !entry.createSource {
            let source = entry.point.source
            guard try await node.isThere(source) else {
                throw BundleWriter.missing(source)
            }
        }
        try await blocking { node in
            _ = try DeviceLookup(configuration)
            try BundleWriter.checkSeccomp(configuration)
            if let restriction = configuration.restriction { try node.profiles.check(restriction) }
        }
        return ContainerPlan(
            imageID: image.id.description,
            chain: image.layers.map(\.chainID.description),
            manifest: image.descriptor.digest.description,
            resolved: try Resolution.resolve(configuration, image: execution, id: id),
            mounts: mounts,
            backend: backend,
            log: configuration.log ?? node.configuration.defaultLogOptions,
            cgroupsPath: try CgroupPlace(
                id,
                manager: node.cgroupManager,
                own: node.configuration.cgroupParent,
                parent: configuration.cgroupParent ?? ""
            ).text
        )
    }

    private static func warnings(_ configuration: ContainerConfiguration) -> [String] {
        var warnings: [String] = []
        if configuration.network == .bridge {
            warnings.append(
                "Networks are not available yet: the container has a network namespace with a loopback interface only."
            )
        }
        if configuration.sharesNamespaces == true {
            warnings.append("Directories that the image declares as volumes are part of the container, and go with it.")
        } else if configuration.cgroupMode == .host {
            warnings.append("The cgroup namespace is always the container's own.")
        }
        return warnings
    }

    // One container ---------------------------------------------------------------------------------------------------

    /// Runs a change to its end even if the client goes away.
    private func complete<T: Sendable>(
        _ reference: String,
        _ body: @escaping @Sendable (Container) async throws -> T
    ) async throws -> T {
        let container = try node.table.find(reference)
        do {
            return try await node.supervisor.complete { try await body(container) }
        } catch {
            throw EngineError.wrap(error, "container \(container.id)")
        }
    }

    func start(_ reference: String) async throws {
        try await complete(reference) { try await $0.start() }
    }

    func stop(_ reference: String, signal: String?, timeout: Int?) async throws {
        try await complete(reference) { try await $0.stop(signal: signal, timeout: timeout) }
    }

    func restart(_ reference: String, signal: String?, timeout: Int?) async throws {
        try await complete(reference) { try await $0.restart(signal: signal, timeout: timeout) }
    }

    func kill(_ reference: String, signal: String) async throws {
        try await complete(reference) { try await $0.kill(signal) }
    }

    func pause(_ reference: String) async throws {
        try await complete(reference) { try await $0.pause() }
    }

    func unpause(_ reference: String) async throws {
        try await complete(reference) { try await $0.unpause() }
    }

    func rename(_ reference: String, to name: String) async throws {
        try await complete(reference) { try await $0.rename(to: name) }
    }

    func update(_ reference: String, _ update: ContainerUpdate) async throws -> [String] {
        try await complete(reference) { try await $0.update(update) }
    }

    func remove(_ reference: String, force: Bool, volumes: Bool) async throws {
        try await complete(reference) { try await $0.remove(force: force, volumes: volumes) }
    }

    func resize(_ reference: String, to size: TerminalSize) async throws {
        try await complete(reference) { try await $0.resize(to: size) }
    }

    func wait(_ reference: String, _ condition: WaitCondition) async throws -> ContainerWait {
        let container = try node.table.find(reference)
        try await container.adopted()
        return await container.wait(condition)
    }

    func inspect(_ reference: String) async throws -> ContainerSnapshot {
        var snapshot = try node.table.find(reference).view.snapshot
        if snapshot.configuration.restriction != nil {
            let path = node.paths.container(snapshot.id).config
            // There is none between two runs.
            snapshot.promotion = try? await node.pool.run { try Container.promotion(in: path) }
        }
        return snapshot
    }

    func attach(_ reference: String, _ options: AttachOptions) async throws -> AttachSession {
        try await complete(reference) { try await $0.attach(options) }
    }

    func writableSize(_ reference: String) async throws -> Int64 {
        let id = try node.table.find(reference).id
        return try await blocking { try $0.images.writableSize(id) }
    }

    // Exec ------------------------------------------------------------------------------------------------------------

    func createExec(_ reference: String, _ configuration: ExecConfiguration) async throws -> ExecID {
        try await complete(reference) { try await $0.createExec(configuration) }
    }

    func startExec(_ id: String, _ options: ExecStartOptions) async throws -> ExecSession {
        let (container, exec) = try await findExec(id)
        do {
            return try await container.beginExec(exec, options)
        } catch {
            throw EngineError.wrap(error, "exec \(id)")
        }
    }

    func inspectExec(_ id: String) async throws -> ExecSnapshot {
        let (container, exec) = try await findExec(id)
        return try await container.inspectExec(exec)
    }

    func resizeExec(_ id: String, to size: TerminalSize) async throws {
        let (container, exec) = try await findExec(id)
        try await container.resizeExec(exec, to: size)
    }

    func listExecs(_ reference: String) async throws -> [ExecSnapshot] {
        let container = try node.table.find(reference)
        try await container.adopted()
        return await container.sessions()
    }

    func attachExec(_ id: String, _ options: AttachOptions) async throws -> ExecSession {
        let (container, exec) = try await findExec(id)
        return try await container.attachExec(exec, options)
    }

    /// The session and its container; those of an earlier life are known when their containers are adopted.
    private func findExec(_ id: String) async throws -> (Container, ExecID) {
        guard let exec = ExecID(id) else { throw EngineError.noSuchExec(id) }
        if node.table.container(of: exec) == nil {
            // One that cannot be adopted in time has told nothing of its sessions.
            for container in node.table.all { try? await container.adopted() }
        }
        guard let container = node.table.container(of: exec) else { throw EngineError.noSuchExec(id) }
        try await container.adopted()
        return (container, exec)
    }

    // Helpers ---------------------------------------------------------------------------------------------------------

    /// Runs a blocking body on the pool; every error becomes the engine's.
    func blocking<T: Sendable>(_ body: @escaping @Sendable (Node) throws -> T) async throws -> T {
        let node = node
        do {
            return try await node.pool.run { try body(node) }
        } catch {
            throw EngineError.wrap(error, "engine")
        }
    }
}

extension ImageConfiguration {
    init(_ execution: ImageConfig.Execution?) {
        self.init()
        guard let execution else { return }
        user = execution.user ?? ""
        exposedPorts = (execution.exposedPorts ?? [:]).keys.sorted()
        environment = execution.environment ?? []
        entrypoint = execution.entrypoint
        command = execution.command
        volumes = (execution.volumes ?? [:]).keys.sorted()
        workingDirectory = execution.workingDirectory ?? ""
        labels = execution.labels ?? [:]
        stopSignal = execution.stopSignal
        shell = execution.shell
        health = execution.healthcheck.map(HealthConfiguration.init)
    }
}

extension HealthConfiguration {
    init(_ check: ImageConfig.Healthcheck) {
        self.init()
        test = check.test ?? []
        interval = check.intervalInNanoseconds ?? 0
        timeout = check.timeoutInNanoseconds ?? 0
        startPeriod = check.startPeriodInNanoseconds ?? 0
        startInterval = check.startIntervalInNanoseconds ?? 0
        retries = check.retries ?? 0
    }
}
