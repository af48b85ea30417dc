import EngineModel
import Kernel
import Logging

extension Container {
    /// Writes the copy when nothing else is being done with the container's directory.
    package func renewCopy() {
        node.supervisor.start { await self.exclusively { await self.writeCopy() } }
    }

    /// Repeats what the database has of this container beside its directory.
    package func writeCopy() async {
        let (record, paths, log) = (record, paths, node.damage)
        if damage != nil || lifecycle.phase == .removing || lifecycle.phase == .removed { return }
        do {
            try await node.pool.run { try ContainerCopy.write(record, paths, log) }
        } catch {
            logger.warning("copy of the configuration was not written", metadata: ["error": "\(error)"])
        }
    }
}
