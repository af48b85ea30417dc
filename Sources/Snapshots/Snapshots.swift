// The file systems of containers: layers that are unpacked once and shared, and a writable part for each container, joined
// by overlayfs.
//
//     let snapshots = try Snapshots(path: "/var/lib/berth/snapshots")
//     let mounts = try snapshots.prepare(container: id, image: image, from: store)   // unpacks what is missing
//     // → [overlay: lowerdir=…:…, upperdir=…, workdir=…], not mounted: the shim mounts it inside the container's namespace
//     try snapshots.remove(container: id)
//     try snapshots.collectGarbage(keeping: chainIDsOfImages)
//
// On disk: `layers/<chain id>/{fs,layer.json}`, `containers/<id>/{upper,work}`, both renamed into place when they
// are whole; `ingest/` holds what is being made and `trash/` what is being removed, and both are emptied when the directory is
// opened. A layer holds only its own difference, in overlayfs' own form: a deleted name is a character device 0/0, a replaced
// directory has the attributes `trusted.overlay.opaque` and `user.overlay.opaque`. It depends on the layers below only in what they give its missing
// parents, which is why it is named by its chain id.
//
// Every method may be called from any thread; all of them block. One process opens a directory at a time.

public import ContentStore
internal import Kernel
public import OCISpec
internal import Synchronization

/// Unpacked layers and the writable file systems of containers, in a directory.
public final class Snapshots: Sendable {
    /// A mount that makes a container's root file system; nothing is mounted here.
    public struct Mount: Sendable, Equatable {
        /// File system type.
        public let type: String
        /// Source, for people only.
        public let source: String
        /// Options as mount(8) has them.
        public let options: [String]
    }

    /// Bounds on a layer.
    public struct Limits: Sendable {
        /// Members of a layer.
        public var entries = 1_000_000
        /// Levels of directories in one another.
        public var depth = 256
        /// Bytes of a layer when it is unpacked.
        public var bytes: Int64 = 64 << 30
        /// Most bytes that come out for one that goes in, counted from `ratioFloor` bytes on.
        public var ratio: Int64 = 200
        /// Bytes that may come out however small a layer is.
        public var ratioFloor: Int64 = 2 << 30
        /// How long a layer may take.
        public var duration = Duration.seconds(1800)

        /// The defaults.
        public init() {}
    }

    /// How much disk something takes.
    public struct Usage: Sendable, Equatable {
        /// Bytes on disk; a file with several names counts once.
        public var bytes: Int64 = 0
        /// Files, directories and all other names.
        public var entries: Int64 = 0

        /// Creates an empty value.
        public init() {}
    }

    /// The directory.
    public let path: String
    /// Bounds on a layer.
    public let limits: Limits
    let root: SharedDescriptor
    /// Guards the step from `ingest/` into place and the step into `trash/`, and counts who needs layers to stay.
    let shared = Mutex(Shared())
    let gates = KeyedLock<String>()

    struct Shared {
        /// Calls that unpack or prepare.
        var users = 0
        /// What was moved to `trash/` and could not be removed there.
        var left = Set<String>()
        /// Layers that are known to have both marks, or not to get them.
        var marked = Set<String>()
    }

    /// Opens the directory, makes it when it is not there, and removes what a crash left half-done.
    ///
    /// - Parameters:
    ///   - path: An absolute path without `:`, `,` and `\`, which overlayfs gives a meaning; it and what is in it belong to
    ///     root alone.
    ///   - limits: Bounds on layers.
    /// - Throws: `invalidArgument` for such a path; the class of the failed system call.
    public init(path: String, limits: Limits = Limits()) throws(SnapshotError) {
        guard path.hasPrefix("/"), !path.utf8.contains(where: { [0x3a, 0x2c, 0x5c, 0x0a, 0].contains($0) }) else {
            throw .invalid("snapshot directory '\(path)' is not absolute or has one of ':', ',', '\\'")
        }
        self.path = path
        self.limits = limits
        do throws(KernelError) {
            try File.makeDirectories(path, mode: 0o700)
            root = SharedDescriptor(try File.open(path, [.read, .directory]))
            try root.changeMode(0o700)
            for name in ["layers", "containers", "ingest", "trash"] {
                do throws(KernelError) { try File.makeDirectory(name, at: root.raw) } catch
                    where error.errno == .exists
                {}
                try File.open(name, [.directory, .path, .noFollow], at: root.raw).changeMode(0o700)
            }
        } catch { throw .failed("open snapshots", error) }
        for name in ["ingest", "trash"] {
            try kernel("empty '\(path)/\(name)'") { () throws(KernelError) in
                try RootedDir(adopting: try File.open(name, [.directory, .path, .noFollow], at: root.raw))
                    .removeContents()
            }
        }
    }

    // Layers ----------------------------------------------------------------------------------------------------------

    /// Whether the layer of a chain id is unpacked.
    public func contains(chainID: Digest) -> Bool { File.exists(layerPath(chainID), at: root.raw) }

    /// The chain ids of all unpacked layers, in no order.
    public func layers() throws(SnapshotError) -> [Digest] {
        try names(in: "layers").compactMap {
            Digest(algorithm: .sha256, hex: $0) ?? Digest(algorithm: .sha512, hex: $0)
        }
    }

    /// Disk that a layer itself takes, as it was when it was unpacked.
    ///
    /// - Throws: `notFound`.
    public func usage(chainID: Digest) throws(SnapshotError) -> Usage {
        let record = try layer(chainID)
        var usage = Usage()
        usage.bytes = record.bytes
        usage.entries = record.entries
        return usage
    }

    /// Unpacks the layers of an image that are not there yet.
    ///
    /// Idempotent; two calls for the same layer join. A crash leaves nothing visible.
    ///
    /// - Parameters:
    ///   - image: The image.
    ///   - store: Where its layers are.
    /// - Throws: `invalidArgument` with the layer for one that is damaged, truncated, hostile, or not what its diff id says;
    ///   `unsupported` for layer types and members that are not taken; `resourceExhausted` and `timedOut` past a bound;
    ///   `notFound` for a layer that the store does not have. Nothing of that layer remains.
    public func unpack(_ image: Image, from store: ContentStore) throws(SnapshotError) {
        try using { () throws(SnapshotError) in
            var below: [Digest] = []
            for layer in image.layers {
                try gates.withLock(layer.chainID.hex) { () throws(SnapshotError) in
                    if contains(chainID: layer.chainID) { return try completeMarks(layer.chainID) }
                    do throws(SnapshotError) { try unpack(layer, onto: below, from: store) } catch {
                        throw error.about(layer.descriptor.digest)
                    }
                }
                below.append(layer.chainID)
            }
        }
    }

    // Containers ------------------------------------------------------------------------------------------------------

    /// Makes the writable file system of a container, and unpacks the image where that is still to do.
    ///
    /// Idempotent: what is there for the same image is kept, with what the container wrote.
    ///
    /// - Parameters:
    ///   - id: The container: letters, digits, `_`, `.` and `-`, not beginning with the last two, at most 128.
    ///   - image: What is below.
    ///   - store: Where the image's layers are.
    /// - Returns: The mounts that make the root file system, in order.
    /// - Throws: `alreadyExists` when the container has a file system on another image, and what `unpack` throws.
    public func prepare(
        container id: String,
        image: Image,
        from store: ContentStore
    ) throws(SnapshotError) -> [Mount] {
        try using { () throws(SnapshotError) in
            try unpack(image, from: store)
            return try gates.withLock("container " + id) { () throws(SnapshotError) in
                try makeContainer(id, image.chainID)
            }
        }
    }

    /// The mounts of a container that was prepared.
    ///
    /// - Throws: `notFound` for the container or, after somebody removed files by hand, for a layer.
    public func mounts(container id: String) throws(SnapshotError) -> [Mount] {
        try mounts(id, try chainID(container: id))
    }

    /// The containers that have a file system, in no order.
    public func containers() throws(SnapshotError) -> [String] { try names(in: "containers") }

    /// Removes a container's file system; it must not be mounted any more.
    ///
    /// - Parameter id: The container.
    /// - Returns: False when there was none.
    /// - Throws: The class of the failed system call; it is out of sight then, and the rest goes when the directory is opened.
    @discardableResult
    public func remove(container id: String) throws(SnapshotError) -> Bool {
        try Snapshots.verify(id)
        return try gates.withLock("container " + id) { () throws(SnapshotError) in try discard("containers/" + id) }
    }

    /// Disk that a container itself wrote; walks its files.
    ///
    /// - Throws: `notFound`; `resourceExhausted` for a tree that is too deep to walk.
    public func usage(container id: String) throws(SnapshotError) -> Usage {
        try Snapshots.verify(id)
        return try usage(of: "containers/\(id)/upper")
    }

    /// Removes the layers that nobody needs: neither a container here, nor an image that the caller names, nor a layer above.
    ///
    /// Does nothing while a layer is being unpacked or a container prepared.
    ///
    /// - Parameter roots: The chain ids of the images' topmost layers.
    /// - Returns: The layers that were removed.
    /// - Throws: The class of the failed system call; `invalidArgument` when a record is damaged, and then nothing is removed.
    @discardableResult
    public func collectGarbage(keeping roots: some Sequence<Digest>) throws(SnapshotError) -> [Digest] {
        let roots = Array(roots)
        let condemned: [Digest] = try shared.withLock { (shared) throws(SnapshotError) in
            guard shared.users == 0 else { return [] }
            var live = Set<Digest>()
            for root in try roots + containerChains() {
                var next: Digest? = root
                while let chainID = next, live.insert(chainID).inserted { next = try parent(chainID) }
            }
            let condemned = try layers().filter { !live.contains($0) }
            for chainID in condemned { try hide(layerPath(chainID), as: chainID.hex + "." + Random.hex(4)) }
            return condemned
        }
        if !condemned.isEmpty { try emptyTrash() }
        return condemned
    }

    /// The layer below; nil for a base, and for an image's layer that is not unpacked.
    private func parent(_ chainID: Digest) throws(SnapshotError) -> Digest? {
        do throws(SnapshotError) { return try layer(chainID).parent } catch  where error.code == .notFound {
            return nil
        }
    }

    private func using<Result: Sendable>(_ body: () throws(SnapshotError) -> Result) throws(SnapshotError) -> Result {
        shared.withLock { $0.users += 1 }
        defer { shared.withLock { $0.users -= 1 } }
        return try body()
    }

    func layerPath(_ chainID: Digest) -> String { "layers/" + chainID.hex }
}
