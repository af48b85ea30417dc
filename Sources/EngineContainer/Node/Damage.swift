import DocumentTexts
package import EngineModel
package import Logging
import Synchronization

/// What of the state could not be used: said once in the log, and in the warnings of `info` for as long as the engine lives.
///
/// Nothing that is damaged is deleted: it is moved aside under a name that ends in `.bad`, or left where it is.
package final class DamageLog: Sendable {
    private let found = Mutex<[String]>([])
    private let logger: Logger

    package init(_ logger: Logger) {
        self.logger = logger
    }

    /// One line each.
    package var lines: [String] { found.withLock { $0 } }

    var isEmpty: Bool { found.withLock { $0.isEmpty } }

    /// Tells of an object that cannot be used.
    package func tell(_ object: String, _ reason: String, movedTo place: String? = nil, container: ContainerID? = nil) {
        var metadata: Logger.Metadata = ["object": "\(object)", "error": "\(reason)"]
        if let place { metadata["place"] = "\(place)" }
        if let container { metadata["container"] = "\(container.short)" }
        let whose = container.map { " of container \($0.short)" } ?? ""
        let where_ = place.map { "; set aside as '\($0)'" } ?? ""
        let line = "\(object)\(whose) cannot be read (\(reason))\(where_)"
        let isNew = found.withLock { found in
            if found.contains(line) { return false }
            found.append(line)
            return true
        }
        // What stays in its place is met again with each look.
        if isNew { logger.error("set aside what cannot be read", metadata: metadata) }
    }

    /// Moves a file aside and tells of it; blocks.
    package func setAside(_ path: String, _ reason: String, container: ContainerID? = nil) {
        do {
            tell("'\(path)'", reason, movedTo: try DamagedFile.moveAside(path), container: container)
        } catch {
            tell("'\(path)'", "\(reason); it was not moved: \(error)", container: container)
        }
    }
}
