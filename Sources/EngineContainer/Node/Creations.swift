package import EngineModel
import Synchronization

/// Creates that are under way, so that a request that is sent again joins the first one.
///
/// The same request is the same key of the client, or, without one, the same name with the same configuration.
package final class Creations: Sendable {
    private struct Name: Hashable {
        var name: String
        var key: String?
    }

    private struct Creation {
        var configuration: ContainerConfiguration
        var promise: Promise<CreatedContainer>
    }

    private let state = Mutex<[Name: Creation]>([:])

    /// Runs `body`, or waits for the one that runs for the same request.
    ///
    /// - Throws: what `body` throws; a conflict when a key is under way for another request.
    package func join(
        _ configuration: ContainerConfiguration,
        name: String?,
        _ body: () async throws -> CreatedContainer
    ) async throws -> CreatedContainer {
        let key = configuration.idempotencyKey
        // Without a name and a key two equal requests are two containers.
        guard key != nil || name?.isEmpty == false else { return try await body() }
        let own = Name(name: key == nil ? name ?? "" : "", key: key)
        let promise = Promise<CreatedContainer>()
        let first = state.withLock { state -> Creation? in
            if let first = state[own] { return first }
            state[own] = Creation(configuration: configuration, promise: promise)
            return nil
        }
        if let first {
            // Another request for the same name: the name decides.
            if !first.configuration.isSameRequest(as: configuration), key == nil { return try await body() }
            guard first.configuration.isSameRequest(as: configuration) else { throw Self.reused(key) }
            return try await first.promise.value()
        }
        let result: Result<CreatedContainer, any Error>
        do { result = .success(try await body()) } catch { result = .failure(error) }
        state.withLock { _ = $0.removeValue(forKey: own) }
        promise.resolve(result)
        return try result.get()
    }

    /// Another request under a key.
    package static func reused(_ key: String?) -> EngineError {
        .conflict("idempotency key '\(key ?? "")' was used for another request")
    }
}

extension ContainerConfiguration {
    /// Whether both ask for the same; the order of members in a document of the face means nothing.
    package func isSameRequest(as other: ContainerConfiguration) -> Bool {
        var (left, right) = (self, other)
        (left.faceDocument, right.faceDocument) = (nil, nil)
        return left == right
    }
}
