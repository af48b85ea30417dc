package import EngineModel
import EngineShim
import Kernel
import Logging
import ShimProtocol

/// Abilities of shims, by the words of their `Info`.
package enum ShimAbility {
    /// Gives duplicates of its descriptors; concluded from their having a generation.
    static let hold = "hold"
    /// Kills a session when its time is over, and keeps its recent output.
    static let execTimeout = "exec-timeout"
    /// Has the restart policy of this container.
    static let restarts = "restart-policy"
    /// Looks at its files and makes damaged ones anew.
    static let checksFiles = "check-files"
}

/// A process of a container: its first one, or that of a session.
package enum ProcessName: Hashable, Sendable {
    case initial
    case exec(ExecID)
}

extension Container {
    /// How many descriptors have to be left when a container takes some.
    static var spare: Int { 16 }
    /// How many there are of a shim.
    private static var usuallyHeld: Int { 8 }
    /// How long a shim that has just answered may take for its descriptors.
    private static var holdDeadline: Duration { .seconds(2) }

    /// The generation of descriptors that a poll asks for others than; 0 where the shim gives none away.
    func wantedGeneration(of shim: Shim) -> UInt64 {
        guard self.shim?.generation == shim.generation, canHold else { return 0 }
        // Whatever the shim has is another one than the largest number.
        return heardGeneration == 0 ? .max : heardGeneration
    }

    private var canHold: Bool { self.shim?.capabilities?.contains(ShimAbility.hold) ?? false }

    /// Holds what the shim holds now, and lets go of what it has let go of.
    ///
    /// `generation`: what the shim has now; it is not asked for twice at once, whatever comes of it.
    func hold(_ shim: Shim, generation: UInt64) async {
        guard self.shim?.generation == shim.generation, canHold else { return }
        heardGeneration = generation
        let paths = paths
        let before = DescriptorPassing.Hold(descriptors: node.held[id], generation: heldGeneration)
        do {
            let token = try await node.pool.run {
                try SpareDescriptors.require(Self.spare + Self.usuallyHeld)
                return try ShimProcess.token(paths) ?? ""
            }
            let now = try await DescriptorPassing.hold(
                from: paths.descriptorSocket,
                token: token,
                held: before,
                deadline: Self.holdDeadline,
                node.waiter
            )
            guard self.shim?.generation == shim.generation else { return }
            (heldGeneration, heardGeneration) = (now.generation, now.generation)
            node.held.replace(id, with: now.descriptors)
            if let pidfd = now.descriptors["init/pidfd"] { learnInit(pidfd) }
        } catch {
            logger.warning("descriptors of the shim are not held", metadata: ["error": "\(error)"])
            node.supervisor.start { [weak self] in
                do { try await Task.sleep(for: .seconds(5)) } catch { return }
                await self?.holdAgain(shim)
            }
        }
    }

    /// The shim itself may have started the container again: then its first process is another one.
    private func learnInit(_ pidfd: SharedDescriptor) {
        // One that was reaped meanwhile has no number any more; the next hold tells of its successor.
        guard let pid = try? Pidfd.number(of: pidfd.raw), pid != initProcess?.pid,
            let startTime = try? ProcessFacts.startTime(of: pid), (try? Pidfd.number(of: pidfd.raw)) == pid,
            believedNumber(pid, of: shim) == pid
        else { return }
        initProcess = HeldProcess(pid: pid, startTime: startTime, pidfd: pidfd)
    }

    private func holdAgain(_ shim: Shim) async {
        guard heldGeneration != heardGeneration else { return }
        await hold(shim, generation: heardGeneration)
    }

    /// Lets go of everything that is held of a run that is over.
    func letGo() {
        (heldGeneration, heardGeneration, initProcess) = (0, 0, nil)
        (silentEnd, watchedStart, comparedEnds) = (nil, nil, [])
        node.adopters.remove(id)
        node.held.drop(id)
    }
}
