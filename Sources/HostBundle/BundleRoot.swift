internal import DocumentTexts
internal import FoundationEssentials
internal import Kernel
public import OCISpec
internal import Sandbox
public import ShimKit

/// The root file system in a bundle: mounted where another program looks for it, and the place of users' names.
public struct BundleRoot: Sendable {
    /// Absolute path of the bundle.
    public let bundle: String

    /// Names a bundle; nothing is done yet.
    public init(bundle: String) { self.bundle = bundle }

    private var path: String { "\(bundle)/rootfs" }

    /// Performs the mounts, one on the other, at `rootfs` in the host's mount namespace.
    ///
    /// - Parameter mounts: What Create holds.
    /// - Throws: The mount that failed; nothing is mounted then.
    public func mount(_ mounts: [RootMount]) throws(BackendError) {
        for mount in mounts {
            guard mount.target.isEmpty else {
                unmount()
                throw .refused(
                    stage: "rootfs",
                    operation: "mount",
                    object: mount.target,
                    code: .unsupported,
                    detail: "a place inside of a root is the image's, and may lead anywhere"
                )
            }
            do throws(SandboxError) {
                try SandboxRootMount(type: mount.type, source: mount.source, options: mount.options)
                    .attach(toPath: path)
            } catch {
                unmount()
                guard let errno = error.errno else {
                    throw .refused(
                        stage: "rootfs",
                        operation: error.operation,
                        object: error.object,
                        code: error.code,
                        detail: error.detail
                    )
                }
                throw .failed(stage: "rootfs", operation: error.operation, object: error.object, errno: errno)
            }
        }
    }

    /// Takes all mounts away; none is fine.
    public func unmount() {
        // The bound is for a tree that somebody fills as fast as it is emptied. That there is nothing more says an error.
        for _ in 0..<64 where (try? Mount.unmount(path, [.detach, .noFollow])) == nil { return }
    }

    /// A document of the container with the text of its user (`process.user.username`) replaced by the ids that the root's own files
    /// give it.
    ///
    /// Only a manager of ours writes such a text.
    ///
    /// - Parameter specification: `config.json`.
    /// - Returns: The document; the same bytes when there is no such text.
    /// - Throws: A user who is not there.
    public func resolved(specification: [UInt8]) throws(BackendError) -> [UInt8] {
        guard var document = try? RuntimeSpec(parsing: specification), var process = document.process,
            try resolveUser(of: &process)
        else { return specification }
        document.process = process
        return try Self.json(document)
    }

    /// The same for a document of an additional process.
    ///
    /// - Parameter process: An OCI Process in JSON.
    /// - Returns: The document.
    /// - Throws: A user who is not there.
    public func resolved(process: [UInt8]) throws(BackendError) -> [UInt8] {
        guard var document = try? RuntimeSpec.Process(parsing: process), try resolveUser(of: &document) else {
            return process
        }
        return try Self.json(document)
    }

    /// The first process of a document, with its user as ids.
    ///
    /// - Parameter specification: `config.json`.
    /// - Returns: The process.
    /// - Throws: A document that cannot be read or has no process; a user who is not there.
    public func process(ofSpecification specification: [UInt8]) throws(BackendError) -> RuntimeSpec.Process {
        try process((try? RuntimeSpec(parsing: specification))?.process)
    }

    /// A further process, with its user as ids.
    ///
    /// - Parameter json: An OCI Process in JSON.
    /// - Returns: The process.
    /// - Throws: A document that cannot be read; a user who is not there.
    public func process(_ json: [UInt8]) throws(BackendError) -> RuntimeSpec.Process {
        try process(try? RuntimeSpec.Process(parsing: json))
    }

    private func process(_ read: RuntimeSpec.Process?) throws(BackendError) -> RuntimeSpec.Process {
        guard var process = read else { throw .failed(stage: "spec", operation: "read process", errno: .invalid) }
        _ = try resolveUser(of: &process)
        return process
    }

    private static func json(_ value: some Encodable) throws(BackendError) -> [UInt8] {
        guard let bytes = try? JSONEncoder().encode(value) else {
            throw .refused(stage: "spec", operation: "encode", code: .internal, detail: "not a JSON document")
        }
        return Array(bytes)
    }

    private func resolveUser(of process: inout RuntimeSpec.Process) throws(BackendError) -> Bool {
        guard let text = process.user?.username, !text.isEmpty else { return false }
        do throws(TextError) {
            let user = try UserDatabase(passwd: read("etc/passwd"), group: read("etc/group")).resolve(text)
            let added = (process.user?.additionalGids ?? []).filter { !user.groups.contains($0) }
            var ids = process.user ?? RuntimeSpec.User(uid: user.uid, gid: user.gid)
            (ids.uid, ids.gid, ids.username) = (user.uid, user.gid, nil)
            ids.additionalGids = [user.gid] + (user.groups + added).filter { $0 != user.gid }
            process.user = ids
            if process.env?.contains(where: { $0.hasPrefix("HOME=") }) != true {
                process.env = (process.env ?? []) + ["HOME=\(user.home ?? "/")"]
            }
            return true
        } catch {
            throw .refused(stage: "user", operation: "find user", object: text, code: error.code, detail: "\(error)")
        }
    }

    /// A file of the image, or nothing where there is none that is a file.
    private func read(_ name: String) -> [UInt8] {
        guard let root = try? RootedDir(path) else { return [] }
        return (try? root.readFile(name, limit: UserDatabase.fileLimit)) ?? []
    }
}
