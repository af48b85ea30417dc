import DockerTypes
import EngineModel
import Kernel

/// Turns the engine's images into Docker's documents.
enum ImageTranslation {
    static func summary(_ image: ImageSnapshot, containers: Int) -> ImageSummary {
        var row = ImageSummary()
        row.id = image.id
        row.repoTags = image.tags
        row.repoDigests = image.digests
        row.created = Int(image.created?.seconds ?? 0)
        row.size = Int(image.size)
        row.sharedSize = -1
        row.labels = image.configuration.labels.isEmpty ? nil : image.configuration.labels
        row.containers = containers
        return row
    }

    static func inspect(_ image: ImageSnapshot, version: APIVersion) -> ImageInspect {
        var result = ImageInspect()
        result.id = image.id
        result.repoTags = image.tags
        result.repoDigests = image.digests
        result.comment = image.comment
        result.created = image.created.map { GoTime($0) }
        result.author = image.author
        result.config = config(image.configuration)
        result.architecture = image.architecture
        result.variant = image.variant.isEmpty ? nil : image.variant
        result.os = image.os
        result.size = Int(image.size)
        result.virtualSize = version < APIVersion(1, 44) ? Int(image.size) : nil
        result.graphDriver.name = "overlay2"
        result.rootFS.type = "layers"
        result.rootFS.layers = image.layers
        result.metadata.lastTagTime = GoTime(image.lastTagged)
        return result
    }

    private static func config(_ image: ImageConfiguration) -> ImageConfig {
        var config = ImageConfig()
        config.user = image.user
        config.env = image.environment
        config.cmd = image.command.map { StringList($0) }
        config.entrypoint = image.entrypoint.map { StringList($0) }
        config.workingDir = image.workingDirectory
        config.labels = image.labels.isEmpty ? nil : image.labels
        config.stopSignal = image.stopSignal
        config.exposedPorts = set(image.exposedPorts)
        config.volumes = set(image.volumes)
        return config
    }

    private static func set(_ keys: [String]) -> [String: Empty]? {
        keys.isEmpty ? nil : Dictionary(keys.map { ($0, Empty()) }) { first, _ in first }
    }

    static func deletion(_ deletion: ImageDeletion) -> ImageDeleteItem {
        var item = ImageDeleteItem()
        switch deletion {
        case .untagged(let name): item.untagged = name
        case .deleted(let id): item.deleted = id
        }
        return item
    }
}
