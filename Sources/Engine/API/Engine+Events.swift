import EngineStore
public import EngineModel

/// Events in order without gap or double; ends at `until`, on cancel, or when the engine shuts down.
///
/// A reader that is slow is not waited for: it reads from the log on disk at its own pace.
public struct EventSequence: AsyncSequence, Sendable {
    /// One event.
    public typealias Element = EngineEvent
    let hub: EventHub
    let request: EventRequest
    /// Where reading starts: events have greater sequence numbers.
    public let start: Int64
    /// Whether events that were asked for by their cursor are not kept any more.
    public let missed: Bool

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
