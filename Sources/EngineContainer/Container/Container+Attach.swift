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
    /// Whether the container ran when the client was accepted: then it waits for no start.
    private let wasRunning: Bool
    private let container: Container
    private let state = Mutex(State.waiting)
    /// Completes when the connection was given, or will not be.
    let settled = Promise<Void>()

    init(_ container: Container, _ options: AttachOptions, wasRunning: Bool) {
        self.container = container
        self.options = options
        self.wasRunning = wasRunning
    }

    func handOver(_ connection: ClientConnection) async throws {
        state.withLock { $0 = .given(connection) }
        settled.resolve(.success(()))
        try await container.handOver(self, atOnce: wasRunning)
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
        // Before a start it is the start that comes; of a container that runs nothing would ever come.
        let isRunning = lifecycle.isActive
        if isRunning { _ = try answering() }
        let pending = PendingAttach(self, options, wasRunning: isRunning)
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
    ///
    /// `atOnce`: it is not kept.
    func handOver(_ pending: PendingAttach, atOnce: Bool) async throws {
        guard atOnce || shim?.hasTask == true else { return }
        defer { attaches.removeAll(where: \.isDone) }
        try await pass(pending)
    }

    /// Before init runs: every client that was told that it is attached gets to the shim first.
    func handOverWaitingClients() async {
        for pending in attaches {
            do {
                if try await pending.settled.value(within: node.deadlines.attach) == nil { continue }
                try await pass(pending)
            } catch {
                logger.warning("client was not attached", metadata: ["error": "\(error)"])
            }
        }
        attaches.removeAll(where: \.isDone)
    }

    private func pass(_ pending: PendingAttach) async throws {
        guard let connection = pending.take() else { return }
        let (options, isTerminal) = (pending.options, record.configuration.terminal)
        do {
            guard shim?.hasTask == true else { throw EngineError.unreachable(id, "there is no connection") }
            let closesStdin = record.configuration.stdinOnce
            try await pass(connection, options, exec: nil, terminal: isTerminal, closesStdin: closesStdin)
        } catch {
            let (descriptor, framed) = (connection.descriptor, !isTerminal || options.isFramed)
            let text = "not attached: \(error)" + (framed ? "" : "\r\n")
            // A client that has gone away has no use for the text.
            try? await node.pool.run {
                try Self.write(text, .errors, framed: framed, to: descriptor)
                // A silent shim may have it in its hands for as long as it lives: for the client it ends here.
                try UnixSocket.shutdown(descriptor.raw)
            }
            throw error
        }
    }

    /// What a text of the engine is for a client that gets frames: output, or the error that ends the stream.
    enum TextKind: UInt8 {
        case output = 1
        case errors = 3
    }

    /// Writes a text to a client as its session frames its output, for as long as it takes any.
    static func write(
        _ text: String,
        _ kind: TextKind,
        framed: Bool,
        to descriptor: SharedDescriptor,
        patience: Duration = .seconds(1)
    ) throws {
        let body = Array(text.utf8)
        let length = (0..<4).map { UInt8(truncatingIfNeeded: body.count >> (24 - 8 * $0)) }
        var bytes = framed ? [kind.rawValue, 0, 0, 0] + length + body : body
        while !bytes.isEmpty {
            guard try !descriptor.poll(for: .writable, timeout: patience).isEmpty else { return }
            let count = try bytes.withUnsafeBytes { try descriptor.write($0) }
            bytes.removeFirst(count)
        }
    }

    /// Ends the connections of the clients of a dead shim that has no successor, with a last word where there is room for it.
    func dismissClients(_ reason: String) async {
        let (paths, held, prefix) = (paths, node.held[id], "client/")
        guard held.keys.contains(where: { $0.hasPrefix(prefix) }) else { return }
        node.held.replace(id, with: held.filter { !$0.key.hasPrefix(prefix) })
        let text = "the rest of the output is lost: nobody reads it any more, for \(reason)"
        try? await node.pool.run {
            // Without its state nobody knows who gets frames: then the end of the connection has to do.
            let state = (try? ShimStateFile.read(paths))?.state ?? ShimState()
            for client in ([state.initial] + state.execs).flatMap(\.stdio.clients) where client.phase == .open {
                guard let descriptor = held[prefix + String(client.number)] else { continue }
                let word = client.multiplexed ? text : "\r\nberth: \(text)\r\n"
                try? Self.write(word, .errors, framed: client.multiplexed, to: descriptor, patience: .zero)
            }
            // One that has gone by itself is what is wanted.
            for (name, descriptor) in held where name.hasPrefix(prefix) { try? UnixSocket.shutdown(descriptor.raw) }
        }
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
        request.marksEnd = options.marksEnd
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
