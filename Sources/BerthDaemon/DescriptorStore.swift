import EngineModel
import EngineShim
import Kernel
import Logging
import Synchronization

/// The service manager's store of descriptors, kept equal to what is held of the shims.
///
/// A name there is `berth-<container>-<name in the contract>`, so a manager that was killed finds everything again at its next start.
final class DescriptorStore: Sendable {
    private let stored = Mutex<[String: SharedDescriptor]>([:])
    private let logger: Logger

    init(_ logger: Logger) {
        self.logger = logger
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
        if before != nil { ServiceManager.forget(name, logger: logger) }
        ServiceManager.store(entry.descriptor.raw, as: name, logger: logger)
    }

    private func drop(_ name: String) {
        guard stored.withLock({ $0.removeValue(forKey: name) }) != nil else { return }
        ServiceManager.forget(name, logger: logger)
    }

    private static func name(_ container: ContainerID, _ name: String) -> String {
        "\(ServiceManager.heldPrefix)\(container)-\(name)"
    }
}
