package import EngineModel
import Kernel
import Synchronization

/// Where committed events arrive and readers wait for them.
///
/// The newest events are kept in memory; a reader that is further behind reads the database.
package final class EventHub: Sendable {
    private struct State {
        var recent: [EngineEvent] = []
        var last: Int64 = 0
        var waiters: [UInt64: CheckedContinuation<Void, Never>] = [:]
        var nextWaiter: UInt64 = 0
        var closed = false
    }

    package static let memory = 512
    private let state = Mutex(State())
    private let storeBox = Mutex<Store?>(nil)

    package init() {}

    /// Connects the database, whose last event is `last`.
    package func connect(_ store: Store, last: Int64) {
        storeBox.withLock { $0 = store }
        state.withLock { $0.last = max($0.last, last) }
    }

    package var last: Int64 { state.withLock { $0.last } }

    /// Takes events that were just committed, in order.
    package func publish(_ events: [EngineEvent]) {
        let waiting = state.withLock { state in
            state.recent += events
            if state.recent.count > 2 * Self.memory { state.recent.removeFirst(state.recent.count - Self.memory) }
            state.last = events.last?.sequence ?? state.last
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for continuation in waiting { continuation.resume() }
    }

    package func close() {
        let waiting = state.withLock { state in
            state.closed = true
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for continuation in waiting { continuation.resume() }
    }

    /// Events behind `cursor`; empty when there are none yet, nil when the hub is closed and there are none.
    package func next(after cursor: Int64) async throws -> (events: [EngineEvent], cursor: Int64)? {
        let (ready, last, closed) = state.withLock { state -> ([EngineEvent]?, Int64, Bool) in
            if state.last <= cursor { return ([], state.last, state.closed) }
            guard let first = state.recent.first, first.sequence <= cursor + 1 else { return (nil, state.last, false) }
            return (Array(state.recent.drop { $0.sequence <= cursor }), state.last, false)
        }
        if let ready {
            if ready.isEmpty { return closed ? nil : ([], cursor) }
            return (ready, ready.last?.sequence ?? last)
        }
        guard let store = storeBox.withLock({ $0 }) else { return nil }
        let page = try await store.events(after: cursor, limit: Self.memory)
        return page.events.isEmpty && page.cursor == cursor ? ([], last) : page
    }

    /// Waits for an event behind `cursor`, for the end, or for the cancellation of the task.
    package func wait(after cursor: Int64) async {
        let key = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let now = state.withLock { state in
                    if state.closed || state.last > cursor || Task.isCancelled { return true }
                    state.waiters[key] = continuation
                    return false
                }
                if now { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: key) }?.resume()
        }
    }
}

/// One reader's place in the events.
package struct EventReader: Sendable {
    package let hub: EventHub
    package let request: EventRequest
    package var cursor: Int64
    private var page: ArraySlice<EngineEvent> = []
    private let filter: EventFilter

    package init(hub: EventHub, request: EventRequest, cursor: Int64) {
        self.hub = hub
        self.request = request
        self.cursor = cursor
        filter = EventFilter(request.filters)
    }

    package mutating func next() async throws -> EngineEvent? {
        while true {
            while let event = page.popFirst() {
                if let until = request.until, event.time > until { return nil }
                if filter.matches(event) { return event }
            }
            try Task.checkCancellation()
            guard let (events, cursor) = try await hub.next(after: cursor) else { return nil }
            let progressed = cursor > self.cursor
            self.cursor = max(cursor, self.cursor)
            page = events[...]
            if progressed { continue }
            if try await !waitForMore() { return nil }
        }
    }

    /// False when `until` came first.
    private func waitForMore() async throws -> Bool {
        guard let until = request.until else {
            await hub.wait(after: cursor)
            return true
        }
        let left = until - .now
        guard left > .zero else { return false }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await hub.wait(after: cursor) }
            // Being cancelled is one of the two ways in which this sleep ends.
            group.addTask { try? await Task.sleep(for: left) }
            await group.next()
            group.cancelAll()
        }
        return true
    }
}

/// Docker's event filters: every key must match, one value of a key is enough.
package struct EventFilter: Sendable {
    package static let keys: Set<String> = [
        "container", "daemon", "event", "image", "label", "network", "node", "plugin", "scope", "secret", "service",
        "type", "volume", "config",
    ]
    private let filters: Filters

    package init(_ filters: Filters) {
        self.filters = filters
    }

    package func matches(_ event: EngineEvent) -> Bool {
        filters.allSatisfy { key, values in values.isEmpty || values.contains { Self.match(key, $0, event) } }
    }

    private static func match(_ key: String, _ value: String, _ event: EngineEvent) -> Bool {
        switch key {
        case "type": event.kind.rawValue == value
        case "event": event.action == value || event.action.hasPrefix(value + ":")
        case "label": Labels.match(value, event.attributes)
        case "scope": value == "local"
        case "container":
            event.kind == .container && (event.id.hasPrefix(value) || event.attributes["name"] == Names.plain(value))
        case "image":
            event.kind == .image
                ? (event.id == value || event.attributes["name"] == value)
                : Self.sameImage(event.attributes["image"] ?? "", value)
        case "volume": event.kind == .volume && event.id == value
        case "network": event.kind == .network && (event.id.hasPrefix(value) || event.attributes["name"] == value)
        case "daemon": event.kind == .daemon
        default: false
        }
    }

    private static func sameImage(_ image: String, _ value: String) -> Bool {
        image == value || image == value + ":latest" || image.split(separator: ":").first.map(String.init) == value
    }
}
