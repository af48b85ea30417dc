internal import Synchronization

/// Locks by name: those who want the same name wait for each other, others do not.
package final class KeyedLock<Key: Hashable & Sendable>: Sendable {
    private final class Gate: Sendable {
        let lock = Mutex<Void>(())
        /// Guarded by the dictionary's lock like the dictionary itself; a mutex because the compiler cannot see that.
        let users = Mutex(1)
    }

    private let gates = Mutex<[Key: Gate]>([:])

    package init() {}

    /// Runs a body while nobody else runs one under the same name; blocks until then.
    ///
    /// Not recursive.
    package func withLock<Result, Failure: Error>(
        _ key: Key,
        _ body: () throws(Failure) -> sending Result
    ) throws(Failure) -> Result {
        let gate = enter(key)
        defer { leave(key, gate) }
        return try gate.lock.withLock { (_) throws(Failure) in try body() }
    }

    private func enter(_ key: Key) -> Gate {
        gates.withLock { gates in
            if let gate = gates[key] {
                gate.users.withLock { $0 += 1 }
                return gate
            }
            let gate = Gate()
            gates[key] = gate
            return gate
        }
    }

    private func leave(_ key: Key, _ gate: Gate) {
        gates.withLock { gates in
            let users = gate.users.withLock { users in
                users -= 1
                return users
            }
            if users == 0 { gates[key] = nil }
        }
    }
}
