import Archive
import ContentStore
import EngineContainer
import EngineModel
import EngineStore
import Kernel
import OCISpec
import Snapshots

extension EngineCore {
    func loadImages(from archive: SharedDescriptor) async throws -> [String] {
        let loaded = try await blocking { node -> [ImportedImage] in
            let known = Set(try node.images.content.images().map(\.image.id))
            let images: [ImportedImage]
            do throws(ContentError) {
                images = try node.images.content.importArchive(DescriptorSource(archive))
            } catch {
                throw EngineError(error.code, error.message)
            }
            do {
                for image in images { try node.images.snapshots.unpack(image.image, from: node.images.content) }
            } catch {
                // An image that cannot be unpacked never runs: nothing of what came with it stays. What cannot be taken
                // away is garbage that the next removal finds, and less than the error itself.
                for image in images where !known.contains(image.image.id) {
                    _ = try? node.images.content.removeImage(id: image.image.id)
                }
                _ = try? node.images.content.collectGarbage(keeping: node.table.manifests().compactMap { Digest($0) })
                _ = try? node.images.collectLayers()
                throw error
            }
            return images
        }
        for image in loaded {
            let name = image.references.first?.familiar ?? image.image.id.description
            try await publish("load", image.image.id.description, name: name)
        }
        return loaded.flatMap { image in
            image.references.isEmpty ? [image.image.id.description] : image.references.map(\.familiar)
        }
    }

    private func publish(_ action: String, _ id: String, name: String) async throws {
        try await node.store.write(
            events: [EventDraft(kind: .image, action: action, id: id, attributes: ["name": name])]
        )
    }

    func listImages(all: Bool, filters: Filters) async throws -> [ImageSnapshot] {
        for key in filters.keys where !["before", "since", "dangling", "label", "reference", "until"].contains(key) {
            throw EngineError.invalid("invalid filter '\(key)'")
        }
        let images = try await blocking { node in
            try node.images.content.images().map { ImageSnapshot($0, node.images) }
        }
        let before = try await created(filters["before"])
        let since = try await created(filters["since"])
        let until = try (filters["until"] ?? []).map(Self.time).min()
        let selected = images.filter { image in
            let time = image.created ?? Timestamp(seconds: 0)
            if let before, time >= before { return false }
            if let since, time <= since { return false }
            if let until, time >= until { return false }
            if let dangling = filters["dangling"]?.first, Self.isTrue(dangling) != image.tags.isEmpty { return false }
            guard (filters["label"] ?? []).allSatisfy({ Labels.match($0, image.configuration.labels) }) else {
                return false
            }
            guard let patterns = filters["reference"], !patterns.isEmpty else { return true }
            return image.tags.contains { tag in patterns.contains { ReferencePattern($0).matches(tag) } }
        }
        return selected.sorted { ($0.created ?? .init(seconds: 0), $0.id) > ($1.created ?? .init(seconds: 0), $1.id) }
    }

    private func created(_ references: [String]?) async throws -> Timestamp? {
        guard let reference = references?.first else { return nil }
        return try await inspectImage(reference).created ?? Timestamp(seconds: 0)
    }

    private static func isTrue(_ text: String) -> Bool {
        !["", "0", "no", "false", "none"].contains(text.lowercased())
    }

    func inspectImage(_ reference: String) async throws -> ImageSnapshot {
        try await blocking { node in ImageSnapshot(try node.images.find(reference), node.images) }
    }

    func imageHistory(_ reference: String) async throws -> [ImageHistoryEntry] {
        try await blocking { node in
            let stored = try node.images.find(reference)
            var layers = stored.image.layers[...]
            var entries = (stored.image.config.history ?? []).map { step in
                let layer = step.emptyLayer == true ? nil : layers.popFirst()
                return ImageHistoryEntry(
                    id: "<missing>",
                    created: step.created.flatMap { Timestamp($0) },
                    createdBy: step.createdBy ?? "",
                    tags: [],
                    size: layer.map { node.images.size(of: $0.chainID) } ?? 0,
                    comment: step.comment ?? ""
                )
            }
            entries.reverse()
            if !entries.isEmpty {
                entries[0].id = stored.image.id.description
                entries[0].tags = stored.references.map(\.familiar)
            }
            return entries
        }
    }

    func tagImage(_ reference: String, as name: String) async throws {
        let id = try await blocking { node in
            let stored = try node.images.find(reference)
            let target: ImageReference
            do throws(ContentError) { target = try ImageReference(parsing: name) } catch {
                throw EngineError.invalid(error.message)
            }
            guard target.digest == nil else {
                throw EngineError.invalid("refusing to create a tag with a digest reference")
            }
            try node.images.content.tag(stored.image.descriptor, as: target)
            return stored.image.id.description
        }
        try await publish("tag", id, name: name)
    }

    func removeImage(_ reference: String, force: Bool) async throws -> [ImageDeletion] {
        let users = node.table.all.map(\.view.snapshot)
        let (id, deletions) = try await blocking { node -> (String, [ImageDeletion]) in
            let stored = try node.images.find(reference)
            let id = stored.image.id.description
            let name = try? ImageReference(parsing: reference).tagged  // an id is no name
            let named = name.flatMap { name in stored.references.first { $0 == name } }
            let containers = users.filter { $0.imageID == id }
            if let named, stored.references.count > 1 {
                _ = try node.images.content.untag(named)
                return (id, [.untagged(named.familiar)])
            }
            try Self.checkRemovable(stored, named: named != nil, containers, force: force, reference)
            let names = try node.images.content.removeImage(id: stored.image.id)
            let keeping = node.table.manifests()
            _ = try node.images.content.collectGarbage(keeping: keeping.compactMap { Digest($0) })
            let removed = try node.images.collectLayers()
            return (
                id,
                names.map { .untagged($0.familiar) } + [.deleted(id)] + removed.map { .deleted($0.description) }
            )
        }
        for deletion in deletions {
            if case .untagged(let name) = deletion { try await publish("untag", id, name: name) }
        }
        if deletions.contains(.deleted(id)) { try await publish("delete", id, name: id) }
        return deletions
    }

    private static func checkRemovable(
        _ stored: StoredImage,
        named: Bool,
        _ containers: [ContainerSnapshot],
        force: Bool,
        _ reference: String
    ) throws {
        let short = stored.image.id.hex.prefix(12)
        let active = containers.first { [.running, .paused, .restarting].contains($0.state.status) }
        if let active, !force || !named {
            throw EngineError.conflict(
                "conflict: unable to \(named ? "remove repository reference \"\(reference)\"" : "delete \(short)") "
                    + "(\(force || !named ? "cannot be forced" : "must force")) - "
                    + (named
                        ? "container \(active.id.short) is using its referenced image \(short)"
                        : "image is being used by running container \(active.id.short)")
            )
        }
        if let stopped = containers.first, !force {
            throw EngineError.conflict(
                "conflict: unable to \(named ? "remove repository reference \"\(reference)\"" : "delete \(short)") "
                    + "(must force) - "
                    + (named
                        ? "container \(stopped.id.short) is using its referenced image \(short)"
                        : "image is being used by stopped container \(stopped.id.short)")
            )
        }
        if !named, stored.references.count > 1, !force {
            throw EngineError.conflict(
                "conflict: unable to delete \(short) (must be forced) - image is referenced in multiple repositories"
            )
        }
    }

    func pruneImages(filters: Filters) async throws -> (deleted: [ImageDeletion], reclaimed: Int64) {
        let onlyDangling = filters["dangling"]?.first.map(Self.isTrue) ?? true
        let used = Set(node.table.all.map(\.view.snapshot.imageID))
        let labels = filters["label"] ?? []
        let until = try (filters["until"] ?? []).map(Self.time).min()
        var (deleted, reclaimed): ([ImageDeletion], Int64) = ([], 0)
        for image in try await listImages(all: true, filters: [:]) where !used.contains(image.id) {
            if onlyDangling, !image.tags.isEmpty { continue }
            if let until, (image.created ?? .now) >= until { continue }
            guard labels.allSatisfy({ Labels.match($0, image.configuration.labels) }) else { continue }
            deleted += try await removeImage(image.id, force: true)
            reclaimed += image.size
        }
        return (deleted, reclaimed)
    }
}

/// The `reference` filter: a name with `*` and `?`, whose tag and leading folders may be left out.
struct ReferencePattern {
    private let pattern: String

    init(_ pattern: String) { self.pattern = pattern }

    func matches(_ reference: String) -> Bool {
        let name = reference.split(separator: ":").dropLast().joined(separator: ":")
        return Self.match(pattern[...], reference[...]) || Self.match(pattern[...], name[...])
    }

    private static func match(_ pattern: Substring, _ text: Substring) -> Bool {
        guard let first = pattern.first else { return text.isEmpty }
        switch first {
        case "*":
            let rest = pattern.dropFirst()
            var tail = text
            while true {
                if match(rest, tail) { return true }
                guard let next = tail.first, next != "/" else { return false }
                tail = tail.dropFirst()
            }
        case "?": return !text.isEmpty && match(pattern.dropFirst(), text.dropFirst())
        default: return text.first == first && match(pattern.dropFirst(), text.dropFirst())
        }
    }
}

extension ImageSnapshot {
    init(_ stored: StoredImage, _ images: ImageService) {
        let (image, config) = (stored.image, stored.image.config)
        self.init(
            id: image.id.description,
            tags: stored.references.filter { $0.tag != nil }.map(\.familiar),
            digests: Set(stored.references.map { $0.familiarName + "@" + image.descriptor.digest.description })
                .sorted(),
            created: config.created.flatMap { Timestamp($0) },
            size: image.layers.reduce(0) { $0 + images.size(of: $1.chainID) },
            author: config.author ?? "",
            architecture: config.architecture,
            variant: config.variant ?? "",
            os: config.os,
            configuration: ImageConfiguration(config.config),
            layers: config.rootfs.diffIDs.map(\.description),
            lastTagged: nil,
            comment: config.comment ?? config.history?.last?.comment ?? ""
        )
    }
}

extension ImageService {
    /// Bytes of an unpacked layer; 0 for one that is not unpacked.
    func size(of chainID: Digest) -> Int64 {
        (try? snapshots.usage(chainID: chainID).bytes) ?? 0  // not unpacked yet: it takes nothing
    }

    /// Removes the layers that no image and no container needs.
    func collectLayers() throws -> [Digest] {
        try snapshots.collectGarbage(keeping: try content.images().compactMap(\.image.chainID))
    }
}

extension ContainerTable {
    /// Manifests that containers were made of.
    func manifests() -> [String] { all.map(\.manifest) }
}
