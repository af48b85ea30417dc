import Dispatch
import EngineModel
package import EngineShim
package import Kernel
import Logging
import Synchronization

/// The service manager's store of descriptors, kept equal to what is held of the shims.
///
/// A name there is `berth-<container>-<name in the contract>`, so a manager that was killed finds everything again at its next start.
/// A service manager that is slow is waited for on a thread of its own, message after message.
package final class DescriptorStore: Sendable {
    /// What the service manager is told.
    package enum Message: Sendable {
        /// Keep a descriptor by this name.
        case store(String, SharedDescriptor)
        /// Close what has this name.
        case forget(String)
    }

    private let stored = Mutex<[String: SharedDescriptor]>([:])
    private let queue = DispatchQueue(label: "berth.descriptor-store")
    private let tell: @Sendable (Message) -> Void

    /// Over a way to tell the service manager, which may block.
    package init(tell: @escaping @Sendable (Message) -> Void) {
        self.tell = tell
    }

    /// Over the service manager that started this process.
    convenience init(_ logger: Logger) {
        self.init { message in
            switch message {
            case .store(let name, let descriptor): ServiceManager.store(descriptor.raw, as: name, logger: logger)
            case .forget(let name): ServiceManager.forget(name, logger: logger)
            }
        }
    }

    /// What the service manager passed at the start of this process, as it is held.
    static func takeEntries() -> [HeldDescriptors.Entry] {
        ServiceManager.takeStored().compactMap { name, descriptor in
            let parts = name.dropFirst(ServiceManager.heldPrefix.count).split(separator: "-", maxSplits: 1)
            guard parts.count == 2, let id = ContainerID(String(parts[0])) else { return nil }
            return HeldDescriptors.Entry(container: id, name: String(parts[1]), descriptor: descriptor)
        }
    }

    /// Follows `held`, of which `present` is in the store already; does nothing without a service manager.
    func follow(_ held: HeldDescriptors, present: [HeldDescriptors.Entry]) {
        guard ServiceManager.isPresent else { return }
        observe(held, present: present)
    }

    /// Tells of every change of `held` from now on, of which `present` is known already.
    package func observe(_ held: HeldDescriptors, present: [HeldDescriptors.Entry]) {
        stored.withLock { stored in
            for entry in present { stored[Self.name(entry.container, entry.name)] = entry.descriptor }
        }
        held.observe { [self] change in
            switch change {
            case .held(let entry): put(entry)
            case .dropped(let container, let name): drop(Self.name(container, name))
            }
        }
    }

    /// As long as the store has the writing end of an input, its process does not see the end of it; and without a manager nobody
    /// would take it out.
    private static func isKept(_ name: String) -> Bool { !name.hasSuffix("/stdin") }

    private func put(_ entry: HeldDescriptors.Entry) {
        guard Self.isKept(entry.name) else { return }
        let name = Self.name(entry.container, entry.name)
        let before = stored.withLock { stored in
            defer { stored[name] = entry.descriptor }
            return stored[name]
        }
        if before === entry.descriptor { return }
        if before != nil { send(.forget(name)) }
        send(.store(name, entry.descriptor))
    }

    private func send(_ message: Message) {
        queue.async { [tell] in tell(message) }
    }

    /// Waits until everything so far is told, but no longer than `deadline`.
    package func settle(within deadline: Duration) async {
        let (settled, end) = AsyncStream<Void>.makeStream()
        queue.async { end.finish() }
        await withTaskGroup(of: Void.self) { race in
            race.addTask { for await _ in settled {} }
            // Cancelled when all is told.
            race.addTask { try? await Task.sleep(for: deadline) }
            await race.next()
            race.cancelAll()
        }
    }

    private func drop(_ name: String) {
        guard stored.withLock({ $0.removeValue(forKey: name) }) != nil else { return }
        send(.forget(name))
    }

    private static func name(_ container: ContainerID, _ name: String) -> String {
        "\(ServiceManager.heldPrefix)\(container)-\(name)"
    }
}
