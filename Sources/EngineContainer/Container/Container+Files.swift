import DocumentTexts
import EngineModel
import EngineShim
import EngineSpec
import EngineStore
import Kernel
import Logging
import OCISpec
import Seccomp
import ShimProtocol

extension Node {
    /// Looks at what all containers share.
    package func examineShared() async throws {
        let files = profiles.files
        try await pool.run {
            images.examine(damage, seccomp: seccomp)
            try files.examine()
        }
    }
}

// Files of a container that are not as they were written.
extension Container {
    /// Looks at what was written of this container and has not been read since: what is damaged is named, set aside, and made anew where
    /// that can be.
    package func examineFiles() async {
        do {
            guard try await adoption.value(within: node.deadlines.adoption + node.deadlines.call) != nil else { return }
            try await askShim()
            try await exclusively { try await examineOwn() }
        } catch {
            // What cannot be looked at now is looked at when it is read.
            logger.info("files were not looked at", metadata: ["error": "\(error)"])
        }
    }

    /// The shim has found what it alone can tell from something else.
    private func askShim() async throws {
        guard let shim, shim.capabilities?.contains(ShimAbility.checksFiles) ?? false else { return }
        for damage in try await shim.client.checkFiles(deadline: node.deadlines.adoption) {
            let place = damage.setAside.isEmpty ? nil : damage.setAside
            node.damage.tell("'\(damage.path)'", damage.reason, movedTo: place, container: id)
        }
    }

    /// The caller holds ``exclusively(_:)``.
    private func examineOwn() async throws {
        switch lifecycle.phase {
        case .removing, .removed: return
        case .created, .exited, .dead: try await renewRecord()
        default: try await examineBundle()
        }
    }

    /// How it ended is in the database as well.
    private func renewRecord() async throws {
        guard recordDamage != nil, let run, let how = lifecycle.lastExit else { return }
        let exit = Lifecycle.Exit(how: how, at: lifecycle.finishedAt ?? .now)
        let record = ExitRecord(pid: 0, exit: exit, startedAt: lifecycle.startedAt)
        let (path, id, count) = (paths.exitRecord(run), id, lifecycle.restartCount)
        try await node.pool.run {
            try File.writeAtomically(path, try record.document(of: id, restartCount: count), durable: true)
        }
        recordDamage = nil
    }

    private func examineBundle() async throws {
        let (paths, damage, id) = (paths, node.damage, id)
        let isDamaged = try await node.pool.run { try Self.examine(paths, damage, id) }
        // What names another container by its process, nobody starts again by this document.
        guard isDamaged, !joinsAnother, self.damage == nil else { return }
        let backend = try node.backend(record.plan.backend)
        let bundle = BundleWriter(
            node: node,
            paths: paths,
            record: record,
            joined: [:],
            abilities: try await node.namespaces.backends.abilities(of: backend)
        )
        try await node.pool.run { try bundle.renewDocument() }
    }

    /// Looks at what the engine has written for the shim; blocks.
    ///
    /// - Returns: whether the document or the filter was damaged.
    private static func examine(_ paths: ContainerPaths, _ damage: DamageLog, _ id: ContainerID) throws -> Bool {
        guard try File.isThere(paths.config) else { return false }
        let address = Array("unix://\(paths.shimSocket)".utf8)
        if try File.isThere(paths.address), try File.read(paths.address, limit: 4096) != address {
            damage.setAside(paths.address, "it is not that of its shim", container: id)
            try File.writeAtomically(paths.address, address, durable: false)
        }
        var isDamaged = false
        let document = try File.read(paths.config, limit: 1 << 24)
        // An earlier version gave it no check value, and some backends write it anew.
        let isOther = CheckedObject.isSound(document) && (try? RuntimeSpec(parsing: document)) != nil
        if !CheckedObject.isSealed(document), !isOther {
            damage.setAside(paths.config, "its check value is that of another document", container: id)
            isDamaged = true
        }
        let filter = "\(paths.bundle)/\(SeccompFiles.bundleFileName)"
        if try File.isThere(filter) {
            do { _ = try SeccompProgram(encoded: try File.read(filter, limit: SeccompFiles.maximumSize)) } catch {
                damage.setAside(filter, "\(error)", container: id)
                isDamaged = true
            }
        }
        return isDamaged
    }
}
