package import EngineModel
import EngineShim
import EngineStore
import Kernel
import Logging
import ShimProtocol
import Synchronization

/// A client that was told that it may attach, from then until its connection is with the shim.
package final class PendingAttach: Sendable {
    private enum State {
        case waiting
        case given(ClientConnection)
        case done
    }

    let options: AttachOptions
    private let container: Container
    private let state = Mutex(State.waiting)
    /// Completes when the connection was given, or will not be.
    let settled = Promise<Void>()

    init(_ container: Container, _ options: AttachOptions) {
        self.container = container
        self.options = options
    }

    func handOver(_ connection: ClientConnection) async throws {
        state.withLock { $0 = .given(connection) }
        settled.resolve(.success(()))
        try await container.handOver(self)
    }

    /// The connection, once.
    func take() -> ClientConnection? {
        state.withLock { state in
            guard case .given(let connection) = state else { return nil }
            state = .done
            return connection
        }
    }

    func cancel() {
        state.withLock { state in
            if case .waiting = state { state = .done }
        }
        settled.resolve(.success(()))
    }

    var isDone: Bool {
        state.withLock { state in
            if case .done = state { return true }
            return false
        }
    }
}

extension Container {
    package func attach(_ options: AttachOptions) async throws -> AttachSession {
        try await adopted()
        switch lifecycle.phase {
        case .paused: throw EngineError.conflict("You cannot attach to a paused container, unpause it first")
        case .restarting, .awaitingRestart: throw refusal(.restarting, verb: "attach")
        case .removing, .removed: throw refusal(.removing, verb: "attach")
        default: break
        }
        if let keys = options.detachKeys { try Self.check(detachKeys: keys) }
        let pending = PendingAttach(self, options)
        attaches.removeAll(where: \.isDone)
        attaches.append(pending)
        await publish([event("attach")])
        return AttachSession(isTerminal: record.configuration.terminal && !options.isFramed, pending: pending)
    }

    /// Docker's notation: letters, or `ctrl-` and one of `a`…`z @ [ \ ] ^ _`, separated by commas.
    static func check(detachKeys keys: String) throws {
        for key in keys.split(separator: ",", omittingEmptySubsequences: false) {
            let name = key.hasPrefix("ctrl-") ? key.dropFirst(5) : key
            guard name.utf8.count == 1 else {
                throw EngineError.invalid("Invalid detach keys (\(keys)) provided")
            }
        }
    }

    /// A connection has arrived: it goes to the shim if there is one, else it is kept until the start.
    func handOver(_ pending: PendingAttach) async throws {
        guard let shim, shim.hasTask else { return }
        try await pass(pending, exec: nil)
        attaches.removeAll(where: \.isDone)
    }

    /// Before init runs: every client that was told that it is attached gets to the shim first.
    func handOverWaitingClients() async {
        for pending in attaches {
            do {
                if try await pending.settled.value(within: node.deadlines.attach) == nil { continue }
                try await pass(pending, exec: nil)
            } catch {
                logger.warning("client was not attached", metadata: ["error": "\(error)"])
            }
        }
        attaches.removeAll(where: \.isDone)
    }

    private func pass(_ pending: PendingAttach, exec: ExecID?) async throws {
        guard let connection = pending.take() else { return }
        try await pass(
            connection,
            pending.options,
            exec: exec,
            terminal: record.configuration.terminal,
            closesStdin: record.configuration.stdinOnce
        )
    }

    /// Hands a connection to the shim.
    func pass(
        _ connection: ClientConnection,
        _ options: AttachOptions,
        exec: ExecID?,
        terminal: Bool,
        closesStdin: Bool,
        replay: Bool = false
    ) async throws {
        var request = ShimAttachRequest()
        request.execID = exec?.description ?? ""
        request.stdin = options.stdin
        request.stdout = options.stdout
        request.stderr = options.stderr
        request.multiplexed = !terminal || options.isFramed
        request.detachKeys = options.detachKeys ?? ""
        request.closeStdinOnDetach = closesStdin
        request.replay = replay
        let paths = paths
        let token = try await node.pool.run { try ShimProcess.token(paths) ?? "" }
        try await DescriptorPassing.handOver(
            connection,
            to: paths.descriptorSocket,
            token: token,
            request: request,
            deadline: node.deadlines.call,
            node.waiter
        )
    }
}
