import Kernel

/// What of user namespaces works on this node, found by trying it where containers will be.
package struct UserNamespaceProbe: Sendable {
    /// What is missing, by name; empty when all is there.
    let missing: [String]
    /// Whether it could be tried at all: space, descriptors and memory were there.
    let isKnown: Bool

    var works: Bool { missing.isEmpty }

    /// Any range will do: nothing runs with these ids, and what is written belongs to root on disk.
    private static let mapping = UserNamespace.Mapping(inside: 0, outside: 524_288, size: 65_536)

    /// Tries it in a directory below `root` that is removed again; blocks for a few milliseconds.
    ///
    /// - Parameter root: the engine's root, on the file system that has the layers.
    init(root: String) {
        guard File.exists("/proc/self/ns/user") else {
            (missing, isKnown) = (["user namespaces: not built into this kernel"], true)
            return
        }
        // A limit that cannot be read shows below, where one is made.
        if let limit = try? File.readText("/proc/sys/user/max_user_namespaces"), limit.hasPrefix("0\n") {
            (missing, isKnown) = (["user namespaces: /proc/sys/user/max_user_namespaces is 0"], true)
            return
        }
        let place = "\(root)/.probe"
        // Of a manager that was killed while it tried; whoever opens the engine holds the root's lock. What cannot be removed is in the way below.
        _ = try? File.removeTree(place)
        do throws(KernelError) {
            (missing, isKnown) = (try Self.look(place), true)
        } catch {
            missing = ["a directory to try user namespaces in: \(error)"]
            isKnown = !Self.isShortage(error)
        }
        // What cannot be removed has a name that says what it is; it is a few empty directories.
        _ = try? File.removeTree(place)
    }

    /// Whether an error says nothing of what the node can when there is room again.
    private static func isShortage(_ error: KernelError) -> Bool {
        error.isShortage || [.noSpace, .quotaExceeded].contains(error.errno)
    }

    /// - Throws: what keeps it from being tried.
    private static func look(_ place: String) throws(KernelError) -> [String] {
        for directory in ["", "/lower", "/state", "/state/upper", "/state/work"] {
            try File.makeDirectory(place + directory, mode: 0o755)
        }
        let namespace: Descriptor
        do throws(KernelError) {
            namespace = try UserNamespace.make(mapping)
        } catch {
            if isShortage(error) { throw error }
            return ["user namespaces: \(error)"]
        }
        if let reason = OwnerMapping.obstacle(place, recursive: false, namespace: namespace.raw) {
            return ["mounts with mapped owners on the file system of '\(place)': \(reason)"]
        }
        do throws(KernelError) {
            let upper = try File.open("\(place)/state/upper", [.directory])
            try upper.setExtendedAttribute("user.overlay.probe", [0x79])
        } catch {
            if isShortage(error) { throw error }
            return ["extended attributes of users on the file system of '\(place)': \(error)"]
        }
        do throws(KernelError) {
            try UserNamespace.tryOverlay(lower: "\(place)/lower", state: "\(place)/state", mapping)
        } catch {
            if isShortage(error) { throw error }
            return ["overlay inside a user namespace: \(error)"]
        }
        let written = try File.status("\(place)/state/upper/probe")
        return written.uid == 0
            ? [] : ["overlay inside a user namespace: a file of its root belongs to \(written.uid) on disk"]
    }
}

/// Whether a mount can show its files' owners through a user namespace: tried, for the kernel has no other answer.
///
/// Trying costs less than remembering would: a detached copy of the mount that is never attached.
package struct OwnerMapping: Sendable {
    /// What can be done for one mount.
    package enum Answer: Sendable, Equatable {
        /// All of it: the option to give.
        case option(String)
        /// The mount itself, but not what is mounted below it, and why.
        case topOnly(String)
        /// Nothing, and why.
        case nothing(String)

        /// The mount option; nil when there is nothing to ask for.
        var option: String? {
            switch self {
            case .option(let option): option
            case .topOnly: "idmap"
            case .nothing: nil
            }
        }

        /// What is not mapped and why; nil when all is.
        package var reason: String? {
            switch self {
            case .option: nil
            case .topOnly(let reason): "what is mounted below it is not mapped: \(reason)"
            case .nothing(let reason): reason
            }
        }
    }

    /// A user namespace that nothing runs in.
    private let namespace: SharedDescriptor

    init() throws {
        namespace = SharedDescriptor(try UserNamespace.make(.init(inside: 0, outside: 524_288, size: 65_536)))
    }

    /// Tries the mount at `path`; blocks.
    package func answer(_ path: String, recursive: Bool) -> Answer {
        guard recursive else {
            return Self.obstacle(path, recursive: false, namespace: namespace.raw).map(Answer.nothing)
                ?? .option("idmap")
        }
        guard let obstacle = Self.obstacle(path, recursive: true, namespace: namespace.raw) else {
            return .option("ridmap")
        }
        guard let top = Self.obstacle(path, recursive: false, namespace: namespace.raw) else {
            return .topOnly(obstacle)
        }
        return .nothing(top)
    }

    /// Why a mount cannot be mapped; nil when it can.
    static func obstacle(_ path: String, recursive: Bool, namespace: RawDescriptor) -> String? {
        do throws(KernelError) {
            let mount = try DetachedMount(cloning: path, recursive: recursive)
            try mount.setIDMap(namespace, recursive: recursive)
            return nil
        } catch {
            // EINVAL is the kernel's word for a file system that cannot.
            return error.errno == .invalid ? "its file system (\(fileSystem(of: path))) cannot map owners" : "\(error)"
        }
    }

    /// The type of the file system as mountinfo has it, with its number where that is not known.
    private static func fileSystem(of path: String) -> String {
        guard let status = try? File.status(path, follow: true),
            let table = try? File.readText("/proc/self/mountinfo", limit: 1 << 22)
        else { return "unknown" }
        for line in table.split(separator: "\n") {
            let fields = line.split(separator: " ")
            guard fields.first == Substring("\(status.mountID)"), let dash = fields.firstIndex(of: "-"),
                fields.count > dash + 1
            else { continue }
            return String(fields[dash + 1])
        }
        return "unknown"
    }
}
