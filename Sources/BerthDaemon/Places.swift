import FoundationEssentials
import Kernel
import Logging

/// The directories of a daemon, and the locks that keep a second daemon out.
enum Places {
    /// Makes the directories and takes both locks; they last as long as the returned value.
    ///
    /// - Throws: ``DaemonError`` with the holder's pid when another daemon has one of them.
    static func prepare(_ settings: Settings) throws -> [SharedDescriptor] {
        try make(settings.root)
        try make(settings.state)
        return [
            try lock("\(settings.root)/berthd.lock", "root directory '\(settings.root)'"),
            try lock("\(settings.state)/berthd.lock", "state directory '\(settings.state)'"),
        ]
    }

    /// Makes a directory for root alone, or makes an existing one so.
    private static func make(_ path: String) throws {
        try File.makeDirectories(path, mode: 0o700)
        let directory = try File.open(path, [.directory, .noFollow])
        let status = try directory.status()
        guard status.uid == Credentials.effectiveUser else {
            throw DaemonError.other(
                "directory '\(path)' belongs to user \(status.uid): expected \(Credentials.effectiveUser)"
            )
        }
        if status.permissions & 0o077 != 0 { try directory.changeMode(0o700) }
    }

    /// Takes a lock that dies with this process and says who has it otherwise.
    private static func lock(_ path: String, _ what: String) throws -> SharedDescriptor {
        let file = SharedDescriptor(try File.open(path, [.readWrite, .create, .noFollow], mode: 0o600))
        if try !file.tryLock() {
            let holder = (try? File.readText(path, limit: 64)).flatMap { Int32($0.prefix { $0.isNumber }) }
            // Of one that is gone, or that this program has replaced, a child may be left for a moment.
            let isAlive = holder.map { $0 != Credentials.processID && (try? Pidfd(pid: $0)) != nil } ?? false
            guard !isAlive, try file.lock(within: .seconds(5)) else { throw DaemonError.inUse(what, by: holder) }
        }
        let text = Array("\(Credentials.processID)\n".utf8)
        // In its place: on a full disk, what is cut off first is another's. Without it a second manager says less, and the lock holds all the same.
        if (try? file.writeAll(text, at: 0)) != nil { try? file.truncate(to: Int64(text.count)) }
        return file
    }
}

/// The socket of the API.
enum ListeningSocket {
    /// The sockets that the service manager passed, or one at the configured path; the socket of a dead daemon is replaced.
    ///
    /// - Throws: ``DaemonError`` when a living process answers on it, or when something else stands there.
    static func open(_ settings: Settings) throws -> [SharedDescriptor] {
        let inherited = ServiceManager.takeSockets()
        if !inherited.isEmpty { return inherited }
        try refuseForeign(settings.socket)
        let socket = try UnixSocket.listen(settings.socket, mode: 0o600, backlog: 1024)
        try admit(settings)
        return [SharedDescriptor(socket)]
    }

    /// Gives a socket of an earlier life the group that the configuration names now.
    static func adjust(_ settings: Settings, _ logger: Logger) throws {
        guard File.exists(settings.socket) else {
            return logger.warning(
                "the API goes on where it was; another socket takes a stop and a start",
                metadata: ["socket": "\(settings.socket)"]
            )
        }
        let file = try File.open(settings.socket, [.path, .noFollow])
        if settings.socketGroup == nil, try file.status().permissions & 0o077 != 0 { try file.changeMode(0o600) }
        try admit(settings)
    }

    private static func admit(_ settings: Settings) throws {
        guard let group = settings.socketGroup else { return }
        // Owner first: the group gets access to a socket that is already its own.
        let file = try File.open(settings.socket, [.path, .noFollow])
        try file.changeOwner(uid: Credentials.effectiveUser, gid: group)
        try file.changeMode(0o660)
    }

    private static func refuseForeign(_ path: String) throws {
        guard let status = try? File.status(path) else { return }
        guard status.kind == .socket else { throw DaemonError.other("'\(path)' exists and is no socket") }
        do {
            let connection = try UnixSocket.connect(path, nonBlocking: true)
            throw DaemonError.inUse("socket '\(path)'", by: try? UnixSocket.peer(of: connection.raw).pid)
        } catch let error as KernelError {
            switch error.errno {
            // Nobody listens: what a dead daemon left.
            case .connectionRefused, .noEntry: return
            // The queue of whoever listens is full.
            case .wouldBlock: throw DaemonError.inUse("socket '\(path)'", by: nil)
            default: throw error
            }
        }
    }
}

/// Messages for the person who started the daemon.
enum StandardError {
    /// Writes `text`; where it cannot be written nobody reads it.
    static func write(_ text: String) {
        try? BorrowedDescriptor.standardError.writeAll(Array(text.utf8))
    }
}
