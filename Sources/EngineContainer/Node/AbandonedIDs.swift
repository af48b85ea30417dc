import EngineModel
import EngineStore
import Kernel
import Logging
import Snapshots

extension Node {
    /// Gives back the ids of removed containers of which something was left then, and nothing is now.
    ///
    /// Done after each removal: whoever needs ids again has just made room.
    func releaseAbandonedIDs() async {
        for (id, cgroup) in namespaces.ids.abandoned {
            do {
                let isFree = try await pool.run {
                    let files = paths.container(id)
                    return try CgroupCleaner.removeIfIdle(cgroup) && !File.exists(files.bundle)
                        && !File.exists(files.durable) && !images.snapshots.containers().contains(id.description)
                }
                guard isFree else { continue }
                try await namespaces.ids.release(id, in: store)
                logger.notice("ids are free again", metadata: ["container": "\(id.short)"])
            } catch {
                // They stay held, and the next removal tries again.
                logger.error("ids stay held", metadata: ["container": "\(id.short)", "error": "\(error)"])
            }
        }
    }
}
