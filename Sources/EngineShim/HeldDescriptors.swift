package import EngineModel
package import Kernel
import Synchronization

/// Duplicates of the descriptors of every shim, for the shim that would have to take over after its death.
///
/// The model. A descriptor is known by its container and its name in the contract ("listener", "init/stdout", "exec/ID/stdin", …:
/// docs/shim-protocol.md). What is in here is open as long as it is in here. It is all that a manager which replaces itself has to hand
/// over: ``all()`` gives it away, ``restore(_:)`` takes it back, and an observer may keep another copy, such as the one of systemd.
package final class HeldDescriptors: Sendable {
    /// One descriptor.
    package struct Entry: Sendable {
        /// The container whose shim has it.
        package let container: ContainerID
        /// Its name in the contract.
        package let name: String
        /// A duplicate of the shim's own.
        package let descriptor: SharedDescriptor

        package init(container: ContainerID, name: String, descriptor: SharedDescriptor) {
            self.container = container
            self.name = name
            self.descriptor = descriptor
        }
    }

    /// A difference, told after it was made.
    package enum Change: Sendable {
        /// There is a new descriptor, maybe under the name of an old one.
        case held(Entry)
        /// There is none of this name any more.
        case dropped(ContainerID, name: String)
    }

    private struct State {
        var containers: [ContainerID: [String: SharedDescriptor]] = [:]
        var observer: (@Sendable (Change) -> Void)?
    }

    private let state = Mutex(State())

    package init() {}

    /// Everything that is held, in the order of containers and names.
    package func all() -> [Entry] {
        state.withLock { state in
            state.containers.flatMap { id, held in
                held.map { Entry(container: id, name: $0.key, descriptor: $0.value) }
            }
        }.sorted { ($0.container, $0.name) < ($1.container, $1.name) }
    }

    /// Takes what an earlier life held; what is there under the same name stays.
    package func restore(_ entries: [Entry]) {
        state.withLock { state in
            for entry in entries where state.containers[entry.container]?[entry.name] == nil {
                state.containers[entry.container, default: [:]][entry.name] = entry.descriptor
            }
        }
    }

    /// Has `observer` told of every change from now on, on the thread that makes it; it must not block for long.
    package func observe(_ observer: @escaping @Sendable (Change) -> Void) {
        state.withLock { $0.observer = observer }
    }

    /// What is held of one container, by name.
    package subscript(container: ContainerID) -> [String: SharedDescriptor] {
        state.withLock { $0.containers[container] ?? [:] }
    }

    /// Holds exactly `descriptors` of a container from now on; all others of it are closed.
    package func replace(_ container: ContainerID, with descriptors: [String: SharedDescriptor]) {
        let (before, observer) = state.withLock { state in
            defer { state.containers[container] = descriptors.isEmpty ? nil : descriptors }
            return (state.containers[container] ?? [:], state.observer)
        }
        guard let observer else { return }
        for name in before.keys where descriptors[name] == nil { observer(.dropped(container, name: name)) }
        for (name, descriptor) in descriptors {
            observer(.held(Entry(container: container, name: name, descriptor: descriptor)))
        }
    }

    /// Holds one more descriptor, or another one in its place.
    package func hold(_ descriptor: SharedDescriptor, _ name: String, of container: ContainerID) {
        let observer = state.withLock { state in
            state.containers[container, default: [:]][name] = descriptor
            return state.observer
        }
        observer?(.held(Entry(container: container, name: name, descriptor: descriptor)))
    }

    /// Lets go of everything of a container.
    package func drop(_ container: ContainerID) {
        replace(container, with: [:])
    }
}
