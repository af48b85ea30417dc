public import EngineModel
import EngineShim
import EngineStore
import Kernel
import NIOPosix
import ShimProtocol

/// One thing that was looked at before an engine is opened.
public struct StateFinding: Sendable {
    /// What was looked at.
    public var what: String
    /// What is wrong with it; nil for nothing.
    public var problem: String?
    /// Whether an engine must not be opened with it.
    public var isFatal: Bool
    /// The container that it belongs to, where it does.
    public var container: String?
}

extension Engine {
    /// Ids of rows that could not be read when the engine was opened.
    public var setAside: Set<String> { core.setAside }

    /// Looks whether this version can take over the state under `configuration.root` and `configuration.state`.
    ///
    /// Changes nothing, and an engine may be using it meanwhile. Everything has a deadline.
    public static func check(_ configuration: EngineConfiguration) async -> [StateFinding] {
        let paths = Paths(root: configuration.root, state: configuration.state)
        guard File.exists(paths.database) else {
            return [StateFinding(what: "database \(paths.database) (will be made)", isFatal: true)]
        }
        let found: StoreCheck.Findings
        let what = "database \(paths.database)"
        do {
            found = try StoreCheck.look(at: paths.database)
        } catch {
            // A start sets it aside and makes a new one of what else there is; an upgrade must not do that unasked.
            return [StateFinding(what: what, problem: "\(error)", isFatal: true)]
        }
        var findings = [
            StateFinding(what: "\(what), schema \(found.schema.version)", problem: found.schema.problem, isFatal: true)
        ]
        guard found.schema.problem == nil else { return findings }
        findings += found.unreadable.map {
            StateFinding(what: "container \($0.id)", problem: "its row: \($0.reason)", isFatal: true, container: $0.id)
        }
        findings += found.records.flatMap { exitRecords($0.id, paths.container($0.id)) }
        findings += await ShimCheck.check(found.records.map(\.id), paths)
        return findings
    }

    private static func exitRecords(_ id: ContainerID, _ paths: ContainerPaths) -> [StateFinding] {
        // Without its directory a container has no records.
        let entries = (try? File.open(paths.durable, [.directory]).readDirectory()) ?? []
        return entries.map(\.name).filter { $0.hasPrefix("exit") && $0.hasSuffix(".json") }.compactMap { name in
            do {
                _ = try ExitRecord(parsing: try File.read("\(paths.durable)/\(name)", limit: 65536))
                return nil
            } catch {
                return StateFinding(
                    what: "exit record '\(name)' of container \(id)",
                    problem: "\(error)",
                    isFatal: false,
                    container: id.description
                )
            }
        }
    }
}

/// Asks the shims that run which protocol they speak.
private enum ShimCheck {
    /// How long one shim may take; one that is silent is no reason against an upgrade.
    static let deadline = Duration.seconds(2)
    /// Shims that are asked at a time.
    static let width = 32

    static func check(_ ids: [ContainerID], _ paths: Paths) async -> [StateFinding] {
        var findings: [StateFinding] = []
        await withTaskGroup(of: StateFinding?.self) { group in
            var rest = ids[...]
            func next() {
                guard let id = rest.popFirst() else { return }
                group.addTask { await ask(id, paths.container(id)) }
            }
            for _ in 0..<width { next() }
            while let finding = await group.next() {
                if let finding { findings.append(finding) }
                next()
            }
        }
        return findings
    }

    private static func ask(_ id: ContainerID, _ paths: ContainerPaths) async -> StateFinding? {
        guard let token = try? ShimProcess.token(paths) else { return nil }
        do {
            let connection = try await ShimConnection.connect(
                to: paths.shimSocket,
                token: token,
                deadline: deadline,
                group: MultiThreadedEventLoopGroup.singleton
            )
            defer { connection.close() }
            let client = ShimClient(id: id, connection: connection, deadlines: EngineConfiguration.Deadlines())
            let info = try await client.info(deadline: deadline)
            guard let refusal = ShimVersions.refusal(of: info) else { return nil }
            return StateFinding(
                what: "shim of container \(id)",
                problem: "\(refusal)",
                isFatal: true,
                container: id.description
            )
        } catch {
            return StateFinding(
                what: "shim of container \(id)",
                problem: "it does not answer: \(error)",
                isFatal: false,
                container: id.description
            )
        }
    }
}
