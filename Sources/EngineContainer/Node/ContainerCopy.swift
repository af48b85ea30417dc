import DocumentTexts
package import EngineModel
import EngineShim
import EngineSpec
package import EngineStore
import Kernel

/// What a container is, beside its directory: of this its row is made again when the database is lost.
///
/// Written behind the commit that it repeats, so what has a copy was committed once. What a container *does* is not in it: its
/// shim, its bundle and its exit records know.
package struct ContainerCopy {
    private struct Document: Codable {
        var version = 2
        /// In version 1 that of `record`; since then of the document.
        var check: String?
        var record: String
    }

    private struct Record: Codable {
        var id: String
        var name: String
        var created: String
        var configuration: ContainerConfiguration
        var plan: ContainerPlan
    }

    private static let limit = 16 << 20

    package static func path(_ paths: ContainerPaths) -> String { "\(paths.durable)/container.json" }

    /// The bytes for a record.
    static func bytes(_ record: ContainerRecord) throws -> [UInt8] {
        let text = try JSON.encode(
            Record(
                id: record.id.description,
                name: record.name,
                created: record.created.description,
                configuration: record.configuration,
                plan: record.plan
            )
        )
        return CheckedObject.sealed(try JSON.bytes(Document(record: text)))
    }

    private static func check(_ text: String) -> String { String(Hash.fnv1a(text), radix: 16) }

    /// Writes the copy where it is missing or another; blocks.
    static func write(_ record: ContainerRecord, _ paths: ContainerPaths, _ damage: DamageLog) throws {
        let bytes = try bytes(record)
        let path = path(paths)
        if File.exists(path) {
            do {
                let found = try File.read(path, limit: limit)
                if found == bytes { return }
                _ = try content(found)
            } catch {
                damage.setAside(path, "\(error)", container: record.id)
            }
        }
        try File.writeAtomically(path, bytes, durable: false)
    }

    /// - Throws: why the bytes are no copy.
    private static func content(_ bytes: [UInt8]) throws -> Record {
        let document = try JSON.decode(Document.self, bytes)
        let isSound = document.version == 1 ? document.check == check(document.record) : CheckedObject.isSealed(bytes)
        guard isSound else { throw EngineError.internalFailure("its check is wrong") }
        return try JSON.decode(Record.self, document.record)
    }

    /// The record of a directory without a row, with the state that the container's files tell of; nil without a copy.
    ///
    /// `state`: where that is known, so that the files are not asked. Blocks.
    /// - Throws: why the copy cannot be read.
    package static func restore(
        _ id: ContainerID,
        _ paths: ContainerPaths,
        state known: PersistedState?,
        _ damage: DamageLog
    ) throws -> ContainerRecord? {
        let path = path(paths)
        guard File.exists(path) else { return nil }
        let record = try content(try File.read(path, limit: limit))
        guard record.id == id.description, let created = Timestamp(record.created) else {
            throw EngineError.internalFailure("it is that of another container")
        }
        return ContainerRecord(
            id: id,
            name: record.name,
            created: created,
            configuration: record.configuration,
            plan: record.plan,
            state: known ?? state(id, record.configuration, paths, damage)
        )
    }

    /// With a bundle it runs, until its shim or its journal says otherwise; else its newest exit record tells of its end.
    ///
    /// A record that cannot be read is set aside. Blocks.
    package static func state(
        _ id: ContainerID,
        _ configuration: ContainerConfiguration,
        _ paths: ContainerPaths,
        _ damage: DamageLog
    ) -> PersistedState {
        var state = PersistedState(
            Lifecycle(policy: configuration.restartPolicy, autoRemove: configuration.autoRemove)
        )
        if File.exists(paths.bundle) {
            state.status = .running
            state.run = try? ShimProcess.run(paths)  // a restore has all the descriptors that there are
            return state
        }
        guard let record = newestExit(id, paths, damage) else { return state }
        state.status = .exited
        state.exit = record.exit.how
        state.startedAt = record.startedAt.map(StoredTime.init)
        state.finishedAt = StoredTime(record.exit.at)
        // Nobody knows any more whether a user stopped it: a policy must not start what was stopped.
        state.stoppedByUser = true
        return state
    }

    private static func newestExit(_ id: ContainerID, _ paths: ContainerPaths, _ damage: DamageLog) -> ExitRecord? {
        // Without a directory there are no records.
        let entries = (try? File.open(paths.durable, [.directory]).readDirectory()) ?? []
        let names = entries.map(\.name).filter {
            $0.hasPrefix(ContainerPaths.exitRecordPrefix) && $0.hasSuffix(".json")
        }
        return names.map { exit(id, "\(paths.durable)/\($0)", damage) }.max { $0.exit.at < $1.exit.at }
    }

    /// The end that a record tells of; in the place of one that cannot be read another is left, which says that nobody knows.
    ///
    /// Without that the next look would find no end at all.
    private static func exit(_ id: ContainerID, _ path: String, _ damage: DamageLog) -> ExitRecord {
        do { return try ExitRecord(parsing: try File.read(path, limit: 65536)) } catch {
            let how = ContainerExit(status: .unknown("its exit record is damaged: \(error)"))
            // It was written at the end.
            let at = (try? File.status(path).modified) ?? .now
            let unknown = ExitRecord(pid: 0, exit: Lifecycle.Exit(how: how, at: at), startedAt: nil)
            guard !ShimConnection.isShortage(error) else { return unknown }
            damage.setAside(path, "\(error)", container: id)
            // One that could not be moved is not written over; and what is not written is as unknown.
            if !File.exists(path) {
                try? File.writeAtomically(path, try unknown.document(of: id, restartCount: 0), durable: true)
            }
            return unknown
        }
    }
}
