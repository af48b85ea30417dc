public import Kernel

/// Something that happened, durable before anybody is told.
public struct EngineEvent: Sendable, Equatable {
    /// What it happened to.
    public enum Kind: String, Sendable, Codable {
        /// A container.
        case container
        /// An image.
        case image
        /// A volume.
        case volume
        /// A network.
        case network
        /// The engine.
        case daemon
    }

    /// Cursor: greater than that of every event before, also over restarts of the engine.
    public var sequence: Int64
    /// When.
    public var time: Timestamp
    /// What kind of thing.
    public var kind: Kind
    /// What happened by Docker's names, such as `start` or `exec_create: sh`.
    public var action: String
    /// Id of the thing.
    public var id: String
    /// Details; a container's are its labels, `image`, `name` and those of the action.
    public var attributes: [String: String]
}

/// Which events.
public struct EventRequest: Sendable {
    /// Also those from this time on.
    public var since: Timestamp?
    /// Also those after this cursor.
    public var after: Int64?
    /// End here; without it, never.
    public var until: Timestamp?
    /// Keys as in docker-api 5.4.
    public var filters: Filters

    /// What happens from now on.
    public init(since: Timestamp? = nil, after: Int64? = nil, until: Timestamp? = nil, filters: Filters = [:]) {
        self.since = since
        self.after = after
        self.until = until
        self.filters = filters
    }
}

/// Events in order without gap or double; ends at `until`, on cancel, or when the engine shuts down.
///
/// A reader that is slow is not waited for: it reads from the log on disk at its own pace.
public struct EventSequence: AsyncSequence, Sendable {
    /// One event.
    public typealias Element = EngineEvent
    let hub: EventHub
    let request: EventRequest
    let start: Int64

    /// Reads one event after another.
    public struct AsyncIterator: AsyncIteratorProtocol {
        var reader: EventReader

        /// The next event, or nil at the end.
        public mutating func next() async throws -> EngineEvent? {
            try await reader.next()
        }
    }

    /// Starts to read at the place where the request was made, not where this is called.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(reader: EventReader(hub: hub, request: request, cursor: start))
    }
}

extension Engine {
    /// Opens a stream of events; nothing that happens after this returned is missed.
    /// - Throws: ``EngineError`` `.invalidArgument` for an unknown filter key.
    public func events(_ request: EventRequest = EventRequest()) async throws -> EventSequence {
        try await core.events(request)
    }
}
