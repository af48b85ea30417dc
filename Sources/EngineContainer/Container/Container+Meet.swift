import EngineModel
import EngineShim
import Kernel
import Logging
import ShimProtocol

// A shim that is found is met: it is asked what it is, and how its container is.
extension Container {
    /// Asks who listens on the shim's socket.
    func meet(
        _ process: ShimProcess?,
        _ pidfd: SharedDescriptor?,
        _ token: String?,
        isSuccessor: Bool = false
    ) async throws -> Recovery.Finding {
        // What a dead shim has listened on may be held open here: then nobody is refused, and nobody answers.
        let isHeld = pidfd == nil && node.held[id]["listener"] != nil
        var finding = Recovery.Finding.silent
        do {
            finding = try await ask(process, pidfd, token)
        } catch {
            dropConnection()
            logger.debug("shim was not reached", metadata: ["error": "\(error)"])
            if let pidfd {
                // It took over, and listens where nobody finds it: it would be in the way of the next.
                if isSuccessor, policyOfDeath == .adopt, ShimConnection.isRefusal(error) {
                    await endShim(pidfd, alive: true)
                }
                return Self.hasEnded(pidfd) ? try await gone() : .silent
            }
            guard isHeld || ShimConnection.isRefusal(error), !ShimConnection.isShortage(error) else { throw error }
            return try await gone()
        }
        switch finding {
        case .silent:
            dropConnection()
            return isHeld ? try await gone() : .silent
        case .incompatible:
            dropConnection()
            return finding
        default:
            silences = 0
            return finding
        }
    }

    package func dropConnection() {
        shim?.client.connection.close()
        shim = nil
    }

    /// Whether a shim's process has ended, which is then reaped.
    static func hasEnded(_ pidfd: SharedDescriptor) -> Bool {
        // What cannot be polled is not known to have ended.
        guard let ready = try? pidfd.poll(for: .readable, timeout: .zero), !ready.isEmpty else { return false }
        // A shim of an earlier life is somebody else's child: then there is nothing to reap.
        _ = try? Pidfd.reapIfEnded(pidfd.raw)
        return true
    }

    /// Asks with a token; one that is refused is damaged, and the shim has put its file right by then.
    private func ask(
        _ process: ShimProcess?,
        _ pidfd: SharedDescriptor?,
        _ token: String?
    ) async throws -> Recovery.Finding {
        do {
            return try await ask(try await connection(token, process, pidfd))
        } catch let error as RPCError where error.status == .permissionDenied {
            dropConnection()
            let paths = paths
            let renewed = try await node.pool.run { try ShimProcess.token(paths) }
            guard let renewed, renewed != token else {
                node.damage.tell("'\(paths.token)'", "its shim refuses it", container: id)
                throw error
            }
            return try await ask(try await connection(renewed, process, pidfd))
        }
    }

    private func connection(
        _ token: String?,
        _ process: ShimProcess?,
        _ pidfd: SharedDescriptor?
    ) async throws -> Shim {
        let connection = try await ShimConnection.connect(
            to: paths.shimSocket,
            token: token ?? "",
            deadline: node.deadlines.adoption,
            group: node.group
        )
        return adoptConnection(connection, process: process, pidfd: pidfd)
    }

    private func ask(_ shim: Shim) async throws -> Recovery.Finding {
        let deadline = node.deadlines.adoption
        do {
            try await learnAbilities(shim)
            if let end = await takeIn(try await events(of: shim, after: journaled)) { return end }
            let state = try await shim.client.state(deadline: deadline)
            let pid = Int32(truncatingIfNeeded: state.pid)
            // The database may be lost; the process itself is not.
            let startedAt = lifecycle.startedAt ?? (try? ProcessFacts(pid).started) ?? .now
            switch state.status {
            case .created where shimRestarts && lifecycle.status == .restarting && journaled > 2:
                return .awaitingRestart
            case .stopped where shimRestarts && lifecycle.status == .restarting: return .awaitingRestart
            case .created: return .created
            case .running: return .running(pid: pid, paused: false, startedAt: startedAt)
            case .paused, .pausing: return .running(pid: pid, paused: true, startedAt: startedAt)
            case .stopped:
                // The journal's exit has been taken in, or is lost with a damaged journal.
                guard lifecycle.isActive else { return .finished }
                let fallback = Lifecycle.Exit(
                    how: ContainerExit(status: ProcessExit(told: state.exitStatus, byOurs: isOurs)),
                    at: Timestamp(state.exitedAt)
                )
                return .stopped(try await recordedExit()?.exit ?? fallback, pid: pid, startedAt: startedAt)
            default: return .silent
            }
        } catch let error as RPCError where error.status == .notFound {
            if lifecycle.isActive, let record = try await recordedExit() {
                return .stopped(record.exit, pid: record.pid, startedAt: lifecycle.startedAt ?? record.exit.at)
            }
            return .noTask
        } catch let error as RPCError where error.status == .deadlineExceeded {
            return .silent
        } catch let refusal as OtherProtocol {
            return .incompatible(refusal)
        }
    }

    /// Asks a shim what it can; one that has never heard of the question can nothing of it.
    ///
    /// - Throws: ``OtherProtocol`` for one that this engine would only half understand: it is asked nothing more.
    func learnAbilities(_ shim: Shim) async throws {
        var capabilities: Set<String> = []
        do {
            let info = try await shim.client.info(deadline: node.deadlines.adoption)
            if let refusal = ShimVersions.refusal(of: info) { throw refusal }
            capabilities = Set(info.capabilities)
            if info.descriptorsGeneration > 0 { capabilities.insert(ShimAbility.hold) }
        } catch let error as RPCError where error.status == .unimplemented || error.status == .notFound {
            // Another's shim.
        }
        guard self.shim?.generation == shim.generation else { return }
        self.shim?.capabilities = capabilities
        shimRestarts = capabilities.contains(ShimAbility.restarts)
    }

    /// Whether the shim is one of Berth's.
    var isOurs: Bool { shim?.capabilities?.isEmpty == false }
}
