import Kernel
import OCISpec

/// The directory of all containers.
struct ContainerStore: Sendable {
    static let defaultRoot = "/run/berth-runtime"

    /// Absolute path.
    let root: String

    /// Where compiled filters are kept; no container has such a name.
    var filterCache: String { "\(root)/@filters" }

    /// Checks an id, which becomes the name of a directory.
    static func check(_ id: String) throws(RuntimeError) {
        let isAllowed = id.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"),
                UInt8(ascii: "."):
                true
            default: false
            }
        }
        guard isAllowed, (1...255).contains(id.utf8.count), id != ".", id != ".." else {
            throw .usage("invalid container id '\(id)': 1 to 255 of letters, digits, '_', '-', '+' and '.'")
        }
    }

    /// Makes the directory of a new container, and holds its lock.
    ///
    /// What a command that was killed has left without a record is taken over.
    func make(_ id: String) throws(RuntimeError) -> ContainerDirectory {
        try Self.check(id)
        try kernel { () throws(KernelError) in try File.makeDirectories(root) }
        do throws(KernelError) {
            try File.makeDirectory("\(root)/\(id)")
        } catch  where error.errno == .exists {
            let left = try open(id)
            guard try kernel({ () throws(KernelError) in try left.descriptor.tryLock() }), !left.hasRecord else {
                throw .exists(id)
            }
            return left
        } catch {
            throw RuntimeError(error)
        }
        let directory = try open(id)
        try directory.lock()
        // Another command may have taken the new directory over before it was locked.
        guard !directory.hasRecord else { throw .exists(id) }
        return directory
    }

    /// Finds the directory of a container.
    func open(_ id: String) throws(RuntimeError) -> ContainerDirectory {
        try Self.check(id)
        do throws(KernelError) {
            return ContainerDirectory(
                id: id,
                path: "\(root)/\(id)",
                descriptor: SharedDescriptor(try File.open("\(root)/\(id)", [.directory, .noFollow]))
            )
        } catch  where error.errno == .noEntry || error.errno == .notDirectory {
            throw .notFound(id)
        } catch {
            throw RuntimeError(error)
        }
    }

    /// The ids of all containers, sorted.
    func ids() throws(RuntimeError) -> [String] {
        do throws(KernelError) {
            return try File.open(root, .directory).readDirectory()
                .filter { entry in entry.kind == .directory && (try? Self.check(entry.name)) != nil }
                .map(\.name).sorted()
        } catch  where error.errno == .noEntry {
            return []
        } catch {
            throw RuntimeError(error)
        }
    }
}

/// One container's directory, 0700.
struct ContainerDirectory: Sendable {
    let id: String
    let path: String
    /// Open for reading; its lock is the container's.
    let descriptor: SharedDescriptor

    private static let record = "state.json"
    private static let configuration = "config.json"
    private static let filter = "seccomp.bpf"
    private static let socket = "start.sock"
    private static let documentLimit = 1 << 24
    /// Room for the annotations of the largest document, of which each byte may become six.
    private static let recordLimit = 8 * documentLimit

    /// Reached through the open directory, so that its length does not matter and it is always this directory's.
    var startSocket: String { "\(descriptor.procPath)/\(Self.socket)" }

    /// Whether a created process still waits for its start.
    ///
    /// Its socket goes right after the word to start. Where the command that gave the word was killed in between, nobody listens there
    /// any more.
    var awaitsStart: Bool {
        guard File.exists(Self.socket, at: descriptor.raw) else { return false }
        do throws(KernelError) {
            _ = try UnixSocket.connect(startSocket, kind: .sequentialPackets, nonBlocking: true)
            return true
        } catch {
            // Somebody listens and has not come round to accept.
            return error.errno == .wouldBlock
        }
    }

    var hasRecord: Bool { File.exists(Self.record, at: descriptor.raw) }

    /// Waits for others that change this container; the lock ends with this process.
    func lock() throws(RuntimeError) {
        let isCurrent = try kernel { () throws(KernelError) in
            try descriptor.lock()
            let own = try descriptor.status()
            // Deleted while this waited, and perhaps made again.
            guard let now = try? File.status(path) else { return false }
            return own.device == now.device && own.inode == now.inode
        }
        guard isCurrent else { throw .notFound(id) }
    }

    /// Lets others change this container.
    func unlock() { descriptor.unlock() }

    /// Whether another process changes this container now.
    func isLocked() throws(RuntimeError) -> Bool {
        try kernel { () throws(KernelError) in
            // A description of its own, closed at once, so that the lock is only looked at.
            try !File.open(path, .directory).tryLock(exclusive: false)
        }
    }

    func read() throws(RuntimeError) -> ContainerRecord {
        let bytes: [UInt8]
        do throws(KernelError) {
            bytes = try File.read(Self.record, limit: Self.recordLimit, at: descriptor.raw)
        } catch {
            if error.errno == .noEntry { throw .notFound(id) }
            throw RuntimeError(error.about("\(path)/\(Self.record)"))
        }
        return try ContainerRecord(parsing: bytes)
    }

    func write(_ record: ContainerRecord) throws(RuntimeError) {
        let bytes = Array(record.json.text().utf8)
        try kernel { () throws(KernelError) in
            try File.writeAtomically(Self.record, bytes, durable: false, at: descriptor.raw)
        }
    }

    /// Keeps the document, so that changes in the bundle mean nothing to the container.
    func keep(configuration: [UInt8], filter: [UInt8]?) throws(RuntimeError) {
        try kernel { () throws(KernelError) in
            try File.writeAtomically(Self.configuration, configuration, durable: false, at: descriptor.raw)
            if let filter { try File.writeAtomically(Self.filter, filter, durable: false, at: descriptor.raw) }
        }
    }

    func configuration() throws(RuntimeError) -> RuntimeSpec {
        let bytes = try kernel { () throws(KernelError) in
            try File.read(Self.configuration, limit: Self.documentLimit, at: descriptor.raw)
        }
        return try document("\(path)/\(Self.configuration)") { () throws(DocumentError) in
            try RuntimeSpec(parsing: bytes)
        }
    }

    /// The encoded filter, nil without one.
    func filter() throws(RuntimeError) -> [UInt8]? {
        do throws(KernelError) {
            return try File.read(Self.filter, limit: Self.documentLimit, at: descriptor.raw)
        } catch  where error.errno == .noEntry {
            return nil
        } catch {
            throw RuntimeError(error)
        }
    }

    func remove() throws(RuntimeError) {
        try kernel { () throws(KernelError) in try File.removeTree(path) }
    }
}
