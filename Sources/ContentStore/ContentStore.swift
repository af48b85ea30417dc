// The content store: immutable blobs named by their digest, and the index that says which of them are images. On disk it is
// an OCI image layout (`oci-layout`, `index.json`, `blobs/sha256/<hex>`), so other tools read it as it is.
//
//     let store = try ContentStore(path: "/var/lib/berth/content")
//     let images = try store.importArchive(DescriptorSource(descriptor))      // docker save or OCI layout, also gzip, zstd
//     let image = try store.image(named: ImageReference(parsing: "busybox"))  // config, layers, chain ids
//     try store.untag(reference)
//     try store.collectGarbage(keeping: manifestDigestsOfContainers)
//
// `index.json` is the list of images and is part of what is never collected: every entry is the descriptor of one manifest,
// with the image's full name in two annotations or without a name. Nothing is visible before it is whole: bytes are written to
// `ingest/`, verified, synced and renamed; an import enters the index last. What a crash leaves in `ingest/` is removed when
// the store is opened.
//
// Every method may be called from any thread; all of them block. One process opens a store at a time.

public import Archive
public import Kernel
public import OCISpec
internal import Synchronization

/// A store of content and images in a directory.
public final class ContentStore: Sendable {
    /// Bounds on what is taken from outside.
    public struct Limits: Sendable {
        /// Bytes of a manifest, an index or another document of an archive.
        public var documentBytes = 4 << 20
        /// Bytes of an image's configuration.
        public var configBytes = 8 << 20
        /// Manifests in an index, and images in an archive.
        public var manifests = 1000
        /// Levels of indexes inside one another.
        public var indexDepth = 4
        /// Layers of an image: what fits into an overlay's options.
        public var layers = 127
        /// Members of an imported archive.
        public var archiveMembers = 20_000
        /// What an imported archive may unpack to.
        public var archive = StreamLimits(bytes: 256 << 30)
        /// How long an import may take.
        public var importDuration = Duration.seconds(3600)

        /// The defaults.
        public init() {}
    }

    /// What is known of a blob.
    public struct Blob: Sendable, Hashable {
        /// Its name.
        public let digest: Digest
        /// Bytes.
        public let size: Int64

        /// Creates a value.
        public init(digest: Digest, size: Int64) {
            self.digest = digest
            self.size = size
        }
    }

    static let indexName = ImageLayout.indexFileName
    /// What `oci-layout` says.
    static let layout = Array("{\"imageLayoutVersion\":\"1.0.0\"}\n".utf8)
    static let damagedIndexName = "index.json.damaged"

    /// The directory.
    public let path: String
    /// Bounds on what is taken from outside.
    public let limits: Limits
    let root: SharedDescriptor
    let ingests: SharedDescriptor
    /// Guards `index.json`, the step from `ingest/` to `blobs/`, and removal: each is one critical section.
    let shared = Mutex(Shared())
    /// One lock for each digest that is coming in, so that a second one waits for the first.
    let gates = KeyedLock<Digest>()

    struct Shared {
        /// Imports and pulls that hold blobs which the index does not name yet.
        var holds = 0
        /// Images by the digest of their manifest; documents never change, so neither do these.
        var images: [Digest: Image] = [:]
    }

    /// Opens the store, makes it when it is not there, and removes what a crash left half-done.
    ///
    /// An `index.json` that cannot be read is renamed to `index.json.damaged` and an empty one takes its place; the store
    /// then refuses to collect garbage until somebody removes that file.
    ///
    /// - Parameters:
    ///   - path: The directory; it and what is in it belong to root alone.
    ///   - limits: Bounds on what is taken from outside.
    /// - Throws: The class of the failed system call.
    public init(path: String, limits: Limits = Limits()) throws(ContentError) {
        self.path = path
        self.limits = limits
        do throws(KernelError) {
            try File.makeDirectories(path, mode: 0o700)
            root = SharedDescriptor(try File.open(path, [.read, .directory]))
            try root.changeMode(0o700)
            for name in ["blobs", "blobs/sha256", "ingest"] { try ContentStore.makeDirectory(name, in: root) }
            ingests = SharedDescriptor(try File.open("ingest", [.read, .directory], at: root.raw))
            for entry in try ingests.readDirectory() { try File.remove(entry.name, at: ingests.raw) }
            if !File.exists(ImageLayout.fileName, at: root.raw) {
                try File.writeAtomically(ImageLayout.fileName, ContentStore.layout, durable: true, at: root.raw)
            }
        } catch { throw .failed("open content store", error) }
        try openIndex()
    }

    /// Whether a blob is there.
    public func contains(_ digest: Digest) -> Bool { File.exists(blobName(digest), at: root.raw) }

    /// Bytes of a blob.
    ///
    /// - Throws: `notFound`.
    public func size(of digest: Digest) throws(ContentError) -> Int64 {
        do throws(KernelError) { return try File.status(blobName(digest), at: root.raw).size } catch {
            throw error.errno == .noEntry ? .noBlob(digest) : .failed("stat blob \(digest)", error)
        }
    }

    /// Opens a blob for reading; the caller owns the descriptor, which stays good when the blob is removed.
    ///
    /// - Throws: `notFound`.
    public func open(_ digest: Digest) throws(ContentError) -> Descriptor {
        do throws(KernelError) { return try File.open(blobName(digest), [.read, .noFollow], at: root.raw) } catch {
            throw error.errno == .noEntry ? .noBlob(digest) : .failed("open blob \(digest)", error)
        }
    }

    /// Reads a whole small blob and verifies its digest again.
    ///
    /// - Parameters:
    ///   - digest: Its name.
    ///   - limit: Most bytes to read.
    /// - Returns: All its bytes.
    /// - Throws: `notFound`, `resourceExhausted` past the limit, `invalidArgument` when the disk has other bytes.
    public func read(_ digest: Digest, limit: Int) throws(ContentError) -> [UInt8] {
        let file = try open(digest)
        let bytes: [UInt8]
        do throws(KernelError) { bytes = try file.readToEnd(limit: limit) } catch {
            guard error.errno == .fileTooBig else { throw .failed("read blob \(digest)", error) }
            throw .overLimit("blob \(digest) is a document of more than \(limit) bytes", blob: digest)
        }
        try verify(bytes, digest)
        return bytes
    }

    /// Removes a blob, whoever needs it; unused blobs are `collectGarbage`'s business.
    ///
    /// - Returns: False when it was not there.
    @discardableResult
    public func delete(_ digest: Digest) throws(ContentError) -> Bool {
        try locked { (shared) throws(ContentError) in
            shared.images.removeAll()
            do throws(KernelError) { return try File.remove(blobName(digest), at: root.raw) } catch {
                throw .failed("remove blob \(digest)", error)
            }
        }
    }

    /// All blobs, in no order; files that are not named as blobs are left out.
    public func list() throws(ContentError) -> [Blob] {
        do throws(KernelError) {
            var blobs: [Blob] = []
            for algorithm in [Digest.Algorithm.sha256, .sha512] {
                let folder = "blobs/\(algorithm.rawValue)"
                guard File.exists(folder, at: root.raw) else { continue }
                let directory = try File.open(folder, [.read, .directory], at: root.raw)
                for name in try directory.readDirectory().map(\.name) {
                    guard let digest = Digest(algorithm: algorithm, hex: name) else { continue }
                    // A blob may go between the listing and the question.
                    guard let status = try? File.status(name, at: directory.raw), status.isRegular else { continue }
                    blobs.append(Blob(digest: digest, size: status.size))
                }
            }
            return blobs
        } catch { throw .failed("list blobs", error) }
    }

    func blobName(_ digest: Digest) -> String { "blobs/\(digest.algorithm.rawValue)/\(digest.hex)" }

    func verify(_ bytes: [UInt8], _ digest: Digest) throws(ContentError) {
        guard var digester = Digester(digest.algorithm) else {
            throw .unsupported("digest algorithm of \(digest)", blob: digest)
        }
        digester.update(bytes[...])
        guard digester.finish() == digest else { throw .mismatch(digest, "has other content") }
    }

    /// Runs a critical section.
    func locked<Result: Sendable>(
        _ body: (inout Shared) throws(ContentError) -> Result
    ) throws(ContentError) -> Result {
        try shared.withLock { (value) throws(ContentError) in try body(&value) }
    }

    static func makeDirectory(_ name: String, in root: SharedDescriptor) throws(KernelError) {
        do throws(KernelError) { try File.makeDirectory(name, at: root.raw) } catch  where error.errno == .exists {}
        try File.open(name, [.directory, .path, .noFollow], at: root.raw).changeMode(0o700)
    }
}
