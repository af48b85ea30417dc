package import EngineModel
import Synchronization

/// Containers, shared by everybody.
package final class AdopterList: Sendable {
    private let ids = Mutex<Set<ContainerID>>([])

    package var all: [ContainerID] { ids.withLock { Array($0) } }

    func insert(_ id: ContainerID) {
        ids.withLock { _ = $0.insert(id) }
    }

    func remove(_ id: ContainerID) {
        ids.withLock { _ = $0.remove(id) }
    }
}
