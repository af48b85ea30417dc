internal import FoundationEssentials
public import OCISpec

/// Reads the documents of an image, from a store or an archive, and refuses what lies.
///
/// The caller's closures give bytes whose digest and size are verified; only then anything is parsed.
struct ImageDocuments {
    let limits: ContentStore.Limits
    /// The verified bytes of a blob; the second argument is the most that it may have.
    let read: (ImageDescriptor, Int) throws(ContentError) -> [UInt8]

    /// Whether a document has a key on its top level, without looking at the value.
    private struct Keys: Decodable {
        struct Name: CodingKey {
            var stringValue: String
            var intValue: Int? { nil }
            init?(stringValue: String) { self.stringValue = stringValue }
            init?(intValue: Int) { nil }
        }

        var names: Set<String>
        var mediaType: String?

        init(from decoder: any Decoder) throws {
            let values = try decoder.container(keyedBy: Name.self)
            names = Set(values.allKeys.map(\.stringValue))
            let key = values.allKeys.first { $0.stringValue == "mediaType" }
            mediaType = try key.map { try values.decode(String.self, forKey: $0) }
        }
    }

    /// Goes from a descriptor to the manifest for a platform, through indexes.
    ///
    /// - Returns: Nil when an index has nothing for the platform.
    func manifest(
        _ descriptor: ImageDescriptor,
        for platform: Platform,
        depth: Int = 0
    ) throws(ContentError) -> ImageDescriptor? {
        if MediaType.isManifest(descriptor.mediaType) { return descriptor }
        guard MediaType.isIndex(descriptor.mediaType) else {
            throw .unsupported(
                "blob \(descriptor.digest) of type '\(descriptor.mediaType)' is no image",
                blob: descriptor.digest
            )
        }
        guard depth < limits.indexDepth else {
            throw .overLimit(
                "index \(descriptor.digest) more than \(limits.indexDepth) levels deep",
                blob: descriptor.digest
            )
        }
        for child in try index(descriptor).manifests {
            guard child.platform.map({ platform.runs($0) }) ?? true else { continue }
            guard MediaType.isManifest(child.mediaType) || MediaType.isIndex(child.mediaType) else { continue }
            if let found = try manifest(child, for: platform, depth: depth + 1) { return found }
        }
        return nil
    }

    /// Reads an index.
    func index(_ descriptor: ImageDescriptor) throws(ContentError) -> ImageIndex {
        let bytes = try read(descriptor, limits.documentBytes)
        return try ImageDocuments.index(bytes, "index \(descriptor.digest)", limits, descriptor)
    }

    /// Understands the bytes of an index.
    static func index(
        _ bytes: [UInt8],
        _ what: String,
        _ limits: ContentStore.Limits,
        _ descriptor: ImageDescriptor? = nil
    ) throws(ContentError) -> ImageIndex {
        let keys: Keys = try decode(bytes, what, descriptor?.digest)
        guard keys.names.isDisjoint(with: ["layers", "config", "fsLayers"]) else {
            throw .invalid("\(what) is an index and a manifest at once", blob: descriptor?.digest)
        }
        let type = descriptor?.mediaType ?? MediaType.index
        guard keys.mediaType ?? type == type else {
            throw .invalid("\(what) calls itself '\(keys.mediaType ?? "")', not '\(type)'", blob: descriptor?.digest)
        }
        let index: ImageIndex = try decode(bytes, what, descriptor?.digest)
        guard index.schemaVersion == 2 else { throw .unsupported("\(what) of schema \(index.schemaVersion)") }
        guard index.manifests.count <= limits.manifests else {
            throw .overLimit("\(what) with more than \(limits.manifests) manifests", blob: descriptor?.digest)
        }
        return index
    }

    /// Reads a manifest and its configuration.
    func image(_ descriptor: ImageDescriptor) throws(ContentError) -> Image {
        let what = "manifest \(descriptor.digest)"
        guard MediaType.isManifest(descriptor.mediaType) else {
            throw .unsupported(
                "blob \(descriptor.digest) of type '\(descriptor.mediaType)' is no manifest",
                blob: descriptor.digest
            )
        }
        let bytes = try read(descriptor, limits.documentBytes)
        let keys: Keys = try ImageDocuments.decode(bytes, what, descriptor.digest)
        guard keys.names.isDisjoint(with: ["manifests", "fsLayers"]) else {
            throw .invalid("\(what) is a manifest and an index at once", blob: descriptor.digest)
        }
        guard keys.mediaType ?? descriptor.mediaType == descriptor.mediaType else {
            throw .invalid(
                "\(what) calls itself '\(keys.mediaType ?? "")', not '\(descriptor.mediaType)'",
                blob: descriptor.digest
            )
        }
        let manifest: ImageManifest = try ImageDocuments.decode(bytes, what, descriptor.digest)
        guard manifest.schemaVersion == 2 else { throw .unsupported("\(what) of schema \(manifest.schemaVersion)") }
        guard MediaType.isConfig(manifest.config.mediaType) else {
            throw .unsupported(
                "\(what) with a configuration of type '\(manifest.config.mediaType)'",
                blob: descriptor.digest
            )
        }
        let config = try ImageDocuments.config(
            try read(manifest.config, limits.configBytes),
            manifest.config.digest,
            layers: manifest.layers.count,
            limits
        )
        return Image(descriptor: descriptor, manifest: manifest, config: config)
    }

    /// Understands the bytes of a configuration.
    static func config(
        _ bytes: [UInt8],
        _ digest: Digest,
        layers: Int,
        _ limits: ContentStore.Limits
    ) throws(ContentError) -> ImageConfig {
        let what = "image configuration \(digest)"
        let config: ImageConfig = try decode(bytes, what, digest)
        guard config.rootfs.type == "layers" else {
            throw .unsupported("\(what) with a root file system of type '\(config.rootfs.type)'", blob: digest)
        }
        guard config.rootfs.diffIDs.count == layers else {
            throw .invalid(
                "\(what) names \(config.rootfs.diffIDs.count) layers where the manifest has \(layers)",
                blob: digest
            )
        }
        guard layers <= limits.layers else {
            throw .overLimit("\(what) with \(layers) layers, more than \(limits.layers)", blob: digest)
        }
        try verifyText(config, what, digest)
        return config
    }

    /// What an image says goes into argument vectors, environments and files of lines; NUL and stray line ends would forge.
    private static func verifyText(_ config: ImageConfig, _ what: String, _ digest: Digest) throws(ContentError) {
        guard let execution = config.config else { return }
        var texts = (execution.environment ?? []) + (execution.entrypoint ?? []) + (execution.command ?? [])
        texts += (execution.labels ?? [:]).flatMap { [$0.key, $0.value] }
        texts += (execution.shell ?? []) + (execution.onBuild ?? []) + (execution.healthcheck?.test ?? [])
        guard !texts.contains(where: { $0.utf8.contains(0) }) else {
            throw .invalid("\(what) with a NUL in a text", blob: digest)
        }
        var lines = [execution.user, execution.workingDirectory, execution.stopSignal, execution.hostname].compactMap {
            $0
        }
        lines += Array((execution.volumes ?? [:]).keys) + Array((execution.exposedPorts ?? [:]).keys)
        guard !lines.contains(where: { $0.utf8.contains { $0 == 0 || $0 == 0x0a || $0 == 0x0d } }) else {
            throw .invalid("\(what) with a line break in a name", blob: digest)
        }
    }

    /// Decodes JSON.
    static func decode<Value: Decodable>(
        _ bytes: [UInt8],
        _ what: String,
        _ blob: Digest?
    ) throws(ContentError) -> Value {
        do { return try JSONDecoder().decode(Value.self, from: Data(bytes)) } catch {
            throw .invalid("\(what) is malformed", blob: blob)
        }
    }

    /// Encodes JSON: the same value always gives the same bytes.
    static func encode(_ value: some Encodable, _ what: String) throws(ContentError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return Array(try encoder.encode(value)) } catch { throw .invalid("\(what) cannot be written") }
    }
}

extension Platform {
    /// The platform of this machine.
    public static var current: Platform {
        #if arch(x86_64)
        Platform(architecture: "amd64", os: "linux")
        #elseif arch(arm64)
        Platform(architecture: "arm64", os: "linux")
        #endif
    }

    /// Whether programs for another platform run on this one; levels of amd64 above the first are not assumed.
    func runs(_ other: Platform) -> Bool {
        guard os == other.os, architecture == other.architecture else { return false }
        switch (architecture, other.variant ?? "") {
        case (_, ""), ("amd64", "v1"), ("arm64", "v8"): return true
        default: return false
        }
    }
}
