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
        guard try file.tryLock() else {
            let holder = (try? File.readText(path, limit: 64)).flatMap { Int32($0.prefix { $0.isNumber }) }
            throw DaemonError.inUse(what, by: holder)
        }
        try file.truncate(to: 0)
        try file.writeAll(Array("\(Credentials.processID)\n".utf8))
        return file
    }
}

/// The socket of the API.
enum ListeningSocket {
    /// The socket that systemd passed, or one at the configured path; the socket of a dead daemon is replaced.
    ///
    /// - Throws: ``DaemonError`` when a living process answers on it, or when something else stands there.
    static func open(_ settings: Settings) throws -> SharedDescriptor {
        if let inherited = ServiceManager.inheritedSocket() { return inherited }
        try refuseForeign(settings.socket)
        let group = settings.socketGroup
        let socket = try UnixSocket.listen(settings.socket, mode: 0o600, backlog: 1024)
        if let group {
            // Owner first: the group gets access to a socket that is already its own.
            let file = try File.open(settings.socket, [.path, .noFollow])
            try file.changeOwner(uid: Credentials.effectiveUser, gid: group)
            try file.changeMode(0o660)
        }
        return SharedDescriptor(socket)
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

/// The service manager that started this process, if one did.
enum ServiceManager {
    private static let firstDescriptor: Int32 = 3

    /// The first listening socket that the service manager passed.
    static func inheritedSocket() -> SharedDescriptor? {
        let environment = ProcessInfo.processInfo.environment
        guard
            environment["LISTEN_PID"].flatMap({ Int32($0) }) == Credentials.processID,
            let count = environment["LISTEN_FDS"].flatMap({ Int($0) }), count >= 1
        else { return nil }
        let socket = SharedDescriptor(Descriptor(adopting: firstDescriptor))
        // A socket that refuses these is found out by the first accept.
        try? socket.setCloseOnExec(true)
        try? socket.setNonBlocking(true)
        return socket
    }

    /// Tells the service manager about the daemon's state; without one, nothing happens.
    static func notify(_ state: String, logger: Logger) {
        guard let path = ProcessInfo.processInfo.environment["NOTIFY_SOCKET"], !path.isEmpty else { return }
        do {
            try UnixSocket.send(datagram: Array(state.utf8), to: path)
        } catch {
            logger.warning("the service manager was not told", metadata: ["state": "\(state)", "error": "\(error)"])
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
