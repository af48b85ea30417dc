import DocumentTexts
package import EngineModel
package import EngineStore
package import Logging
import Synchronization

/// Something that Berth wrote and that cannot be used.
package struct DamageNote: Sendable, Equatable {
    /// What it is: a path in quotes, or a row of the database.
    package var object: String
    package var reason: String
    /// Where it is kept; nil where it was.
    package var place: String?
    /// Whose it is; nil for what all share.
    package var container: ContainerID?

    /// For people.
    package var line: String {
        let whose = container.map { " of container \($0.short)" } ?? ""
        let where_ = place.map { "; set aside as '\($0)'" } ?? ""
        return "\(object)\(whose) cannot be read (\(reason))\(where_)"
    }

    /// The event that tells of it.
    ///
    /// - Parameter known: attributes of the container.
    /// - Returns: of type `container`, `image` or `daemon`, with the action `damaged`.
    package func event(_ known: [String: String]) -> EventDraft {
        var attributes = known
        (attributes["object"], attributes["reason"]) = (object, reason)
        attributes["place"] = place
        let plain = object.hasPrefix("'") ? String(object.dropFirst().prefix { $0 != "'" }) : object
        let isImage = plain.contains("/content/") || plain.contains("/snapshots/")
        return EventDraft(
            kind: container != nil ? .container : isImage ? .image : .daemon,
            action: "damaged",
            id: container?.description ?? plain,
            attributes: attributes
        )
    }
}

/// What of the state could not be used: said once in the log, in an event, and in the warnings of `info` for as long as the engine lives.
///
/// Nothing that is damaged is deleted: it is moved aside under a name that ends in `.bad`, or left where it is.
package final class DamageLog: Sendable {
    private struct State {
        var lines: [String] = []
        /// Told before anybody could write it down.
        var waiting: [DamageNote] = []
        var writer: (@Sendable (DamageNote) -> Void)?
    }

    private let state = Mutex(State())
    private let logger: Logger

    package init(_ logger: Logger) {
        self.logger = logger
    }

    /// One line each.
    package var lines: [String] { state.withLock { $0.lines } }

    var isEmpty: Bool { state.withLock { $0.lines.isEmpty } }

    /// Has each be written down by `writer`, those included that are known already.
    package func connect(_ writer: @escaping @Sendable (DamageNote) -> Void) {
        let waiting = state.withLock { state in
            state.writer = writer
            defer { state.waiting = [] }
            return state.waiting
        }
        for note in waiting { writer(note) }
    }

    /// Tells of an object that cannot be used.
    package func tell(_ object: String, _ reason: String, movedTo place: String? = nil, container: ContainerID? = nil) {
        let note = DamageNote(object: object, reason: reason, place: place, container: container)
        let line = note.line
        let (isNew, writer) = state.withLock { state -> (Bool, (@Sendable (DamageNote) -> Void)?) in
            // What stays in its place is met again with each look.
            if state.lines.contains(line) { return (false, nil) }
            state.lines.append(line)
            if state.writer == nil { state.waiting.append(note) }
            return (true, state.writer)
        }
        guard isNew else { return }
        var metadata: Logger.Metadata = ["object": "\(object)", "error": "\(reason)"]
        if let place { metadata["place"] = "\(place)" }
        if let container { metadata["container"] = "\(container.short)" }
        logger.error("set aside what cannot be read", metadata: metadata)
        writer?(note)
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
