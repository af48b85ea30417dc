import Archive
import ContentStore
import Foundation
import Kernel
import OCISpec

/// A directory for one test with a store in it; it goes with the object.
final class Fixture: Sendable {
    let path: String

    init() throws {
        path = "/tmp/berth-content-test." + Random.hex(6)
        try File.makeDirectory(path, mode: 0o700)
    }

    deinit { _ = try? File.removeTree(path) }

    func store(_ limits: ContentStore.Limits = ContentStore.Limits()) throws -> ContentStore {
        try ContentStore(path: path + "/content", limits: limits)
    }

    /// Names of what lies in `ingest/`.
    func leftovers() throws -> [String] {
        try File.open(path + "/content/ingest", [.read, .directory]).readDirectory().map(\.name)
    }
}

/// The files of an image archive, which tests bend before they pack them.
struct Package {
    var files: [(name: String, bytes: [UInt8])] = []
    var links: [(name: String, target: String)] = []

    static let layer = Package.tar([("etc/text", Array("hi\n".utf8))])

    /// Adds a blob of an image layout.
    mutating func blob(_ bytes: [UInt8], _ mediaType: String) -> ImageDescriptor {
        let digest = Digester.sha256(bytes)
        files.append(("blobs/sha256/" + digest.hex, bytes))
        return ImageDescriptor(mediaType: mediaType, digest: digest, size: Int64(bytes.count))
    }

    mutating func blob(_ value: some Encodable, _ mediaType: String) throws -> ImageDescriptor {
        try blob(Package.json(value), mediaType)
    }

    /// Adds an image of one layer to an image layout.
    mutating func image(
        _ layers: [[UInt8]] = [Package.layer],
        architecture: String = Platform.current.architecture,
        bend: (inout ImageManifest, inout ImageConfig) -> Void = { _, _ in }
    ) throws -> ImageDescriptor {
        var config = ImageConfig(
            architecture: architecture,
            os: "linux",
            rootfs: .init(diffIDs: layers.map { Digester.sha256($0) })
        )
        var manifest = ImageManifest(
            mediaType: MediaType.manifest,
            config: ImageDescriptor(mediaType: MediaType.config, digest: Digester.sha256([]), size: 0),
            layers: layers.map { blob($0, MediaType.layer) }
        )
        bend(&manifest, &config)
        let type = manifest.config.mediaType
        manifest.config = try blob(config, type)
        var descriptor = try blob(manifest, MediaType.manifest)
        descriptor.platform = Platform(architecture: architecture, os: "linux")
        return descriptor
    }

    /// Adds the marker and the index of an image layout.
    mutating func finish(_ manifests: [ImageDescriptor]) throws {
        files.append(("oci-layout", Array("{\"imageLayoutVersion\":\"1.0.0\"}".utf8)))
        files.append(("index.json", try Package.json(ImageIndex(manifests: manifests))))
    }

    static func layout(_ name: String? = nil) throws -> Package {
        var package = Package()
        var image = try package.image()
        image.annotations = name.map { [ImageLayout.referenceNameAnnotation: $0] }
        try package.finish([image])
        return package
    }

    /// An archive in Docker's old layout: a folder for each layer, a link for one that repeats.
    static func legacy() throws -> Package {
        var package = Package()
        let config = ImageConfig(
            architecture: "amd64",
            os: "linux",
            rootfs: .init(diffIDs: [Digester.sha256(layer), Digester.sha256(layer)])
        )
        package.files.append(("c.json", try json(config)))
        package.files.append(("one/layer.tar", layer))
        package.files.append(("one/VERSION", Array("1.0".utf8)))
        package.links.append(("two/layer.tar", "../one/layer.tar"))
        let manifest = #"[{"Config":"c.json","RepoTags":["old:1","other"],"Layers":["one/layer.tar","two/layer.tar"]}]"#
        package.files.append(("manifest.json", Array(manifest.utf8)))
        return package
    }

    mutating func replace(_ name: String, _ change: (inout [UInt8]) -> Void) {
        for place in files.indices where files[place].name == name { change(&files[place].bytes) }
    }

    var tar: [UInt8] {
        var bytes: [UInt8] = []
        for (name, target) in links {
            bytes += TarWriter.header(TarEntry(path: name.utf8, kind: .symbolicLink, linkTarget: target.utf8))
        }
        return bytes + Package.tar(files)
    }

    static func tar(_ files: [(String, [UInt8])]) -> [UInt8] {
        var bytes: [UInt8] = []
        for (name, content) in files {
            let entry = TarEntry(path: name.utf8, kind: .file, size: Int64(content.count))
            bytes += TarWriter.header(entry) + content + TarWriter.padding(after: entry.size)
        }
        return bytes + TarWriter.end
    }

    static func json(_ value: some Encodable) throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(value))
    }
}
