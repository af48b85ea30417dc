package import EngineModel
import Synchronization

/// Who is who: ids, names and prefixes.
///
/// One lock, held for look-ups only.
package final class ContainerTable: Sendable {
    private struct State {
        var containers: [ContainerID: Container] = [:]
        /// Names in use, also by creates that are under way and by rows that cannot be read.
        var names: [String: String] = [:]
        var execs: [ExecID: ContainerID] = [:]
    }

    private let state = Mutex(State())

    /// Every container, in no order.
    package var all: [Container] { state.withLock { Array($0.containers.values) } }

    package subscript(id: ContainerID) -> Container? { state.withLock { $0.containers[id] } }

    /// The container that a client means: by full id, by name, by the beginning of an id, in this order.
    package func find(_ reference: String) throws -> Container {
        guard !reference.isEmpty else { throw EngineError.invalid("container name or ID is empty") }
        let found = try state.withLock { state -> Container? in
            if let id = ContainerID(reference), let container = state.containers[id] { return container }
            if let id = state.names[Names.plain(reference)].flatMap({ ContainerID($0) }),
                let container = state.containers[id]
            {
                return container
            }
            guard HexIdentifier.isHex(reference) else { return nil }
            let matches = state.containers.keys.filter { $0.description.hasPrefix(reference) }
            guard matches.count < 2 else { throw EngineError.ambiguous(reference) }
            return matches.first.flatMap { state.containers[$0] }
        }
        guard let found else { throw EngineError.noSuchContainer(reference) }
        return found
    }

    /// Takes a name for an id.
    package func reserve(_ name: String, for id: ContainerID) throws {
        try state.withLock { state in
            if let holder = state.names[name], holder != id.description {
                throw EngineError.nameInUse(name, by: ContainerID(holder) ?? id)
            }
            state.names[name] = id.description
        }
    }

    /// Takes a name for a row that cannot be read.
    package func reserve(_ name: String, text: String) {
        state.withLock { $0.names[name] = text }
    }

    /// Takes a name that nobody has.
    package func reserveMadeName(for id: ContainerID) throws -> String {
        for attempt in 0..<64 {
            let name = Names.made(attempt: attempt)
            let taken = state.withLock { state in
                if state.names[name] != nil { return true }
                state.names[name] = id.description
                return false
            }
            if !taken { return name }
        }
        throw EngineError.internalFailure("no free name was found")
    }

    package func release(_ name: String, of id: ContainerID) {
        state.withLock { state in
            if state.names[name] == id.description { state.names[name] = nil }
        }
    }

    package func insert(_ container: Container, name: String) {
        state.withLock { state in
            state.containers[container.id] = container
            state.names[name] = container.id.description
        }
    }

    func remove(_ id: ContainerID, name: String, execs: some Sequence<ExecID>) {
        state.withLock { state in
            state.containers[id] = nil
            if state.names[name] == id.description { state.names[name] = nil }
            for exec in execs { state.execs[exec] = nil }
        }
    }

    func forget(_ exec: ExecID) {
        state.withLock { $0.execs[exec] = nil }
    }

    func insert(_ exec: ExecID, of id: ContainerID) {
        state.withLock { $0.execs[exec] = id }
    }

    /// The container that an exec session belongs to.
    package func container(of exec: ExecID) -> Container? {
        state.withLock { state in state.execs[exec].flatMap { state.containers[$0] } }
    }
}
