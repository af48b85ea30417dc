import EngineContainer
public import EngineModel
import EngineShim
import EngineSpec
import EngineStore
public import Kernel
import NIOPosix
import ShimProtocol

/// One shim as it was found a moment ago.
public struct ShimStatus: Sendable {
    /// How a shim stands.
    public enum State: String, Sendable {
        /// It answers.
        case reachable
        /// It does not answer.
        case unreachable
        /// It is gone and has no successor; the container runs on without one.
        case unsupervised
        /// It speaks a version of the protocol that this engine does not; its container runs on.
        case incompatible
        /// Its program is being replaced.
        case upgrading
    }

    /// The container.
    public var container: ContainerID
    /// The container's name.
    public var name: String
    /// Backend by the name that `--runtime` takes.
    public var backend: String
    /// How it stands.
    public var state: State
    /// Version of its program; nil when it does not say.
    public var version: String?
    /// Version of the protocol that it speaks.
    public var `protocol`: UInt32?
    /// Its process.
    public var pid: Int32?
    /// Bytes that it shares with nobody, without its program's own.
    public var privateMemory: Int?
    /// When it took over its container.
    public var startedAt: Timestamp?
    /// What is known of one that does not answer.
    public var silence: SilentShim?
    /// Why nobody speaks with it although it answers, or nobody supervises the container; nil otherwise.
    public var reason: String?
}

/// How the upgrade of one shim came out.
public struct ShimUpgrade: Sendable {
    /// The container.
    public var container: ContainerID
    /// The container's name.
    public var name: String
    /// Version before; nil when it did not say.
    public var from: String?
    /// Version now; nil when the upgrade failed.
    public var to: String?
    /// Why it failed; the shim is as it was then, unless this says otherwise.
    public var problem: String?
}

extension Engine {
    /// The shims of all containers that have one, by name; every one is asked for at most a second, all at once, and those that are known not to
    /// answer are not asked.
    public func shims() async -> [ShimStatus] {
        await core.eachContainer(core.node.table.all) { await $0.shimStatus() }.sorted { $0.name < $1.name }
    }

    /// Replaces the programs of shims in place: same process, same children, same descriptors.
    ///
    /// - Parameters:
    ///   - references: The containers; nil for all that have a shim.
    ///   - binary: Absolute path of the program; nil for the one that each container's backend is configured with.
    /// - Returns: One outcome for each shim, by name.
    /// - Throws: ``EngineError`` `.notFound` for a reference, before anything is changed.
    public func upgradeShims(_ references: [String]?, binary: String? = nil) async throws -> [ShimUpgrade] {
        let containers = try references.map { try $0.map { try core.node.table.find($0) } } ?? core.node.table.all
        let isAll = references == nil
        return await core.eachContainer(containers) { await $0.upgradeShim(binary: binary, isAll: isAll) }
            .sorted { $0.name < $1.name }
    }
}

extension EngineCore {
    /// Containers that are asked at a time.
    private static let width = 32

    /// Asks many containers, a bounded number at a time; nil answers are left out.
    func eachContainer<T: Sendable>(
        _ containers: [Container],
        _ body: @escaping @Sendable (Container) async -> T?
    ) async -> [T] {
        var results: [T] = []
        await withTaskGroup(of: T?.self) { group in
            var rest = containers[...]
            for container in rest.prefix(Self.width) { group.addTask { await body(container) } }
            rest = rest.dropFirst(Self.width)
            while let result = await group.next() {
                if let result { results.append(result) }
                if let container = rest.popFirst() { group.addTask { await body(container) } }
            }
        }
        return results
    }
}

extension Container {
    /// How long a shim may take to say what it is.
    private static var infoDeadline: Duration { .seconds(1) }
    /// How long a shim may take to look at the new program, which has two seconds of its own.
    private static var upgradeDeadline: Duration { .seconds(5) }

    /// The shim as it is now; nil when there is none to be asked.
    func shimStatus() async -> ShimStatus? {
        var state: ContainerState { view.snapshot.state }
        // A manager that has just started may not have met it yet.
        if state.reachable { _ = try? await adoption.value(within: Self.infoDeadline) }
        guard lifecycle.isActive || shim != nil else { return nil }
        var status = ShimStatus(container: id, name: record.name, backend: record.plan.backend, state: .unreachable)
        var process = shim?.process ?? (try? ShimProcess.recorded(paths))
        // The number of one that has gone may be anybody's.
        if let known = process, (try? ProcessFacts.startTime(of: known.pid)) != known.startTime { process = nil }
        status.pid = process?.pid
        status.silence = state.silence
        if let refusal = state.silence?.refusal, !isUpgradingShim {
            (status.state, status.version, status.protocol) = (.incompatible, refusal.program, refusal.version)
            status.reason = state.silence?.summary
        }
        if let reason = state.unsupervised { (status.state, status.reason) = (.unsupervised, reason) }
        guard state.reachable || isUpgradingShim else { return status }
        // A process that is gone, or hides its memory, has no number.
        if let pid = process?.pid { status.privateMemory = try? ProcessFacts.privateMemory(of: pid).outsideExecutable }
        if isUpgradingShim { status.state = .upgrading }
        guard let shim, let info = try? await shim.client.info(deadline: Self.infoDeadline) else {
            status.silence = state.silence
            return status
        }
        if status.state == .unreachable { status.state = .reachable }
        status.version = info.version
        status.protocol = info.protocol
        status.startedAt = info.hasStartedAt ? Timestamp(info.startedAt) : nil
        return status
    }

    /// Has the shim run another program; nil when there is no shim and none was named.
    func upgradeShim(binary: String?, isAll: Bool) async -> ShimUpgrade? {
        var result = ShimUpgrade(container: id, name: record.name)
        do {
            try await adopted()
            guard shim != nil else {
                if !lifecycle.isActive {
                    if isAll { return nil }
                    throw EngineError.conflict("container \(record.name) is not running: it has no shim")
                }
                throw EngineError.unreachable(id, view.snapshot.state.silence)
            }
            return try await exclusively { try await upgradeNow(binary, result) }
        } catch {
            result.problem = EngineError.shim(error, "upgrade", id).message
            return result
        }
    }

    private func upgradeNow(_ binary: String?, _ asked: ShimUpgrade) async throws -> ShimUpgrade {
        guard let shim else { throw EngineError.unreachable(id, "there is no connection") }
        var result = asked
        result.from = try await shim.client.info(deadline: Self.infoDeadline).version
        isUpgradingShim = true
        defer { isUpgradingShim = false }
        let path = try binary ?? node.backend(record.plan.backend)
        let paths = paths
        let (token, program) = try await node.pool.run {
            guard let token = try ShimProcess.token(paths) else {
                throw EngineError.internalFailure("its token cannot be read")
            }
            return (token, SharedDescriptor(try File.open(path)))
        }
        try await DescriptorPassing.upgrade(
            paths.descriptorSocket,
            to: program,
            token: token,
            deadline: Self.upgradeDeadline,
            node.waiter
        )
        // The old connection ends with the old program; who followed it finds that another one has taken its place.
        dropConnection()
        let end = ContinuousClock.now + Self.upgradeDeadline
        while true {
            do {
                let info = try await info(paths)
                if let refusal = ShimVersions.refusal(of: info) { throw refusal }
                result.to = info.version
                await adoptOnce()
                return result
            } catch let error as RPCError where error.status == .unavailable && ContinuousClock.now < end {
                // The old program took the connection with it.
                try await Task.sleep(for: .milliseconds(5))
            } catch {
                // Whatever serves now is met again, at once or when it answers.
                await adoptOnce()
                throw error
            }
        }
    }

    /// What the program says that serves the shim's socket now, asked on a connection of its own.
    private func info(_ paths: ContainerPaths) async throws -> ShimInfoResponse {
        let connection = try await ShimConnection.connect(
            to: paths.shimSocket,
            token: try ShimProcess.token(paths) ?? "",
            deadline: Self.upgradeDeadline,
            group: node.group
        )
        defer { connection.close() }
        let client = ShimClient(id: id, connection: connection, deadlines: node.deadlines)
        return try await client.info(deadline: Self.upgradeDeadline)
    }
}
