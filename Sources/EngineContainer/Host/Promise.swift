import Synchronization

/// A value that comes once, for any number of tasks that wait for it.
package final class Promise<Value: Sendable>: Sendable {
    private struct State {
        var result: Result<Value, any Error>?
        var waiting: [UInt64: CheckedContinuation<Value, any Error>] = [:]
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    package var isResolved: Bool { state.withLock { $0.result != nil } }

    /// Sets the value; only the first call counts.
    func resolve(_ result: Result<Value, any Error>) {
        let waiting = state.withLock { state in
            guard state.result == nil else { return [CheckedContinuation<Value, any Error>]() }
            state.result = result
            defer { state.waiting = [:] }
            return Array(state.waiting.values)
        }
        for continuation in waiting { continuation.resume(with: result) }
    }

    /// Waits for the value, or for the cancellation of the task.
    ///
    /// No deadline of its own.
    func value() async throws -> Value {
        let key = state.withLock { state in
            state.next += 1
            return state.next
        }
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                let now = state.withLock { state -> Result<Value, any Error>? in
                    if let result = state.result { return result }
                    if Task.isCancelled { return .failure(CancellationError()) }
                    state.waiting[key] = continuation
                    return nil
                }
                if let now { continuation.resume(with: now) }
            }
        } onCancel: {
            state.withLock { $0.waiting.removeValue(forKey: key) }?.resume(throwing: CancellationError())
        }
    }

    /// The value, or nil when it has not come within `deadline`.
    package func value(within deadline: Duration) async throws -> Value? {
        try await withThrowingTaskGroup(of: Value?.self) { group in
            group.addTask { try await self.value() }
            group.addTask {
                try await Task.sleep(for: deadline)
                return nil
            }
            defer { group.cancelAll() }
            return try await group.next() ?? nil
        }
    }
}

/// A reference that does not keep its object alive.
package struct Weak<Object: AnyObject & Sendable>: Sendable {
    package weak let object: Object?

    package init(object: Object) { self.object = object }
}
