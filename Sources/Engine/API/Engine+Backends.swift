import EngineContainer
import EngineModel
import EngineShim
import EngineSpec
import Kernel

/// One backend as it is configured, and what its program says of itself.
public struct BackendStatus: Sendable {
    /// The name that `--runtime` takes.
    public var name: String
    /// Absolute path of its program.
    public var program: String
    /// Whether containers that name no backend get it.
    public var isDefault: Bool
    /// Whether the operator has named it; else it was found beside the manager.
    public var isConfigured: Bool
    /// What it is told at every creation.
    public var options: [String: String]
    /// Version of its program; empty when it does not say.
    public var version = ""
    /// What it can beyond the contract, in alphabetical order.
    public var capabilities: [String] = []
    /// Why it could not be asked.
    public var problem: String?

    /// Looks whether the programs that a backend consists of can be executed.
    ///
    /// A name without `/` among the options is the backend's to find; where our own look for it is known.
    ///
    /// - Parameters:
    ///   - program: Its own program.
    ///   - options: Its options: `shim` and `runtime` name programs.
    /// - Returns: Why one cannot; nil when all can.
    public static func obstacle(_ program: String, _ options: [String: String]) -> String? {
        let others = ["shim", "runtime"].compactMap { options[$0] }
        let names = others.filter { !$0.contains("/") && !$0.isEmpty && finders.contains(File.split(program).name) }
        return ([program] + others.filter { $0.contains("/") }).lazy.compactMap { obstacle($0) }.first
            ?? names.lazy.compactMap { missing($0) }.first
    }

    /// Our own backends that find a program by its name.
    private static let finders = ["berth-shim-oci", "berth-shim-foreign"]

    private static func missing(_ name: String) -> String? {
        let places = Resolution.path.dropFirst("PATH=".count)
        let isThere = places.split(separator: ":").contains { File.exists("\($0)/\(name)") }
        return isThere ? nil : "'\(name)' is not in \(places)"
    }

    private static func obstacle(_ path: String) -> String? {
        guard let status = try? File.status(path, follow: true), status.isRegular else { return "'\(path)' is no file" }
        return status.permissions & 0o111 == 0 ? "'\(path)' is not executable" : nil
    }
}

extension Engine {
    /// How long a program may take to say what it is: one that takes longer is in the list with that.
    private static var patience: Duration { .seconds(2) }

    /// All backends by name; their programs are asked all at once, and each for two seconds at most.
    public func backends() async -> [BackendStatus] {
        await withTaskGroup(of: BackendStatus.self) { group in
            for name in configuration.backends.keys { group.addTask { await self.status(of: name) } }
            var results: [BackendStatus] = []
            for await status in group { results.append(status) }
            return results.sorted { $0.name < $1.name }
        }
    }

    /// One backend.
    ///
    /// - Throws: ``EngineError`` `.notFound`.
    public func backend(_ name: String) async throws -> BackendStatus {
        guard configuration.backends[name] != nil else {
            let known = configuration.backends.keys.sorted().joined(separator: ", ")
            throw EngineError(.notFound, "no such backend: \(name); there are \(known)")
        }
        return await status(of: name)
    }

    private func status(of name: String) async -> BackendStatus {
        var status = BackendStatus(
            name: name,
            program: configuration.backends[name] ?? "",
            isDefault: name == configuration.defaultBackend,
            isConfigured: !configuration.foundBackends.contains(name),
            options: configuration.backendOptions[name] ?? [:]
        )
        let path = status.program
        do {
            let options = status.options
            status.problem = try await core.node.pool.run { BackendStatus.obstacle(path, options) }
            guard status.problem == nil else { return status }
            let facts = try await core.node.namespaces.backends.facts(of: path, within: Self.patience)
            (status.version, status.capabilities) = (facts.version, facts.abilities.sorted())
            status.problem = facts.silence
        } catch {
            status.problem = EngineError.wrap(error, "backend \(name)").message
        }
        return status
    }
}
