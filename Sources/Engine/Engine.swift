import EngineContainer
public import EngineModel
package import EngineShim

/// The engine: containers, exec sessions, images and their events on one node.
///
/// It knows neither HTTP nor gRPC. A face (DockerAPI, CRI) decodes a request, calls one method here, encodes the answer
/// and maps ``EngineError`` to its own codes.
///
/// Model. Each container is an actor that feeds a value-type state machine (``Lifecycle``) and performs the actions that
/// it returns. What a container *is* stands in SQLite under `<root>`; what it *does* is known by its shim, a process of
/// its own. The engine therefore holds nothing that it cannot rebuild: opening it is recovery, whatever happened before.
///
/// Every method that takes a `reference` accepts a full id, a unique prefix of one, or a name with or without `/`.
/// Every method throws ``EngineError`` and nothing else.
public final class Engine: Sendable {
    /// What the engine was opened with.
    public let configuration: EngineConfiguration
    let core: EngineCore

    init(configuration: EngineConfiguration, core: EngineCore) {
        self.configuration = configuration
        self.core = core
    }

    /// Opens the state under `configuration.root` and `configuration.state`, making what is missing.
    ///
    /// Returns as soon as requests can be answered from the database; the shims that are still there are adopted by
    /// ``run()``, each with its own deadline. Two engines must not share a root: the second one fails.
    /// - Throws: ``EngineError`` `.failedPrecondition` when another engine holds the root, `.internal` when the
    ///   database cannot be opened.
    public static func open(_ configuration: EngineConfiguration) async throws -> Engine {
        try await open(configuration, held: HeldDescriptors())
    }

    /// Opens with what an earlier life of this process, or somebody on its behalf, has held of the shims.
    ///
    /// What is held of containers that are not there is let go of as soon as they are known.
    package static func open(_ configuration: EngineConfiguration, held: HeldDescriptors) async throws -> Engine {
        let core = try await EngineCore.open(configuration, held: held)
        return Engine(configuration: configuration, core: core)
    }

    /// What is held of the shims now, to be handed on.
    package var held: HeldDescriptors { core.node.held }

    /// Adopts, finishes or undoes what an earlier life left, then supervises until cancelled or ``shutdown()``.
    ///
    /// Call it once. Requests may be made before it has got anywhere; those for a container that is being adopted
    /// wait for that one container, with a deadline.
    public func run() async throws {
        try await core.run()
    }

    /// Ends ``run()`` and closes the database.
    ///
    /// Containers, their shims and their sessions go on.
    public func shutdown() async {
        await core.shutdown()
    }
}
