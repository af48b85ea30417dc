import FoundationEssentials
import Kernel
import Logging
import Synchronization

/// The service manager that started this process, if one did (`sd_notify(3)`, `sd_listen_fds(3)`).
enum ServiceManager {
    private static let firstDescriptor: Int32 = 3
    /// Names of descriptors that are held for containers begin so in the service manager's store.
    static let heldPrefix = "berth-"

    /// What it passed, by the names that it gave.
    struct Inherited: Sendable {
        /// Listening sockets.
        var sockets: [SharedDescriptor] = []
        /// Descriptors out of its store.
        var stored: [(name: String, descriptor: SharedDescriptor)] = []
    }

    /// What was passed to this process at its start and is not taken yet.
    ///
    /// A descriptor that is let go of has to close, so nothing keeps it here.
    private static let passed = Mutex(read())

    /// The listening sockets that were passed, at the first call.
    static func takeSockets() -> [SharedDescriptor] {
        passed.withLock { passed in
            defer { passed.sockets = [] }
            return passed.sockets
        }
    }

    /// The descriptors of the store that were passed, at the first call.
    static func takeStored() -> [(name: String, descriptor: SharedDescriptor)] {
        passed.withLock { passed in
            defer { passed.stored = [] }
            return passed.stored
        }
    }

    private static func read() -> Inherited {
        let environment = ProcessInfo.processInfo.environment
        var result = Inherited()
        guard
            environment["LISTEN_PID"].flatMap({ Int32($0) }) == Credentials.processID,
            let count = environment["LISTEN_FDS"].flatMap({ Int32($0) }), count >= 1
        else { return result }
        let names = (environment["LISTEN_FDNAMES"] ?? "").split(separator: ":", omittingEmptySubsequences: false)
        for index in 0..<count {
            let descriptor = SharedDescriptor(Descriptor(adopting: firstDescriptor + index))
            let name = Int(index) < names.count ? String(names[Int(index)]) : ""
            // A descriptor that is none is found out by its first use.
            try? descriptor.setCloseOnExec(true)
            if name.hasPrefix(heldPrefix) {
                result.stored.append((name, descriptor))
            } else {
                try? descriptor.setNonBlocking(true)
                result.sockets.append(descriptor)
            }
        }
        return result
    }

    /// Half of this is how often it wants to hear that this process is well; nil when it does not.
    static var watchdogInterval: Duration? {
        let environment = ProcessInfo.processInfo.environment
        guard let microseconds = environment["WATCHDOG_USEC"].flatMap({ Int64($0) }), microseconds > 0 else {
            return nil
        }
        if let pid = environment["WATCHDOG_PID"].flatMap({ Int32($0) }), pid != Credentials.processID { return nil }
        return .microseconds(microseconds)
    }

    /// Tells it that requests are answered.
    static func ready(_ logger: Logger) {
        notify("READY=1\nMAINPID=\(Credentials.processID)\nSTATUS=berthd \(Daemon.version) serves", logger: logger)
    }

    /// Tells it that the program or the configuration is being changed.
    static func reloading(_ logger: Logger) {
        let now = Clock.monotonic.now
        let microseconds = now.seconds * 1_000_000 + Int64(now.nanoseconds / 1000)
        notify("RELOADING=1\nMONOTONIC_USEC=\(microseconds)\nSTATUS=changing over", logger: logger)
    }

    /// Gives it a descriptor to keep beyond the life of this process.
    static func store(_ descriptor: RawDescriptor, as name: String, logger: Logger) {
        notify("FDSTORE=1\nFDPOLL=0\nFDNAME=\(name)", [descriptor], logger: logger)
    }

    /// Has it close what it keeps by that name.
    static func forget(_ name: String, logger: Logger) {
        notify("FDSTOREREMOVE=1\nFDNAME=\(name)", logger: logger)
    }

    /// Whether there is one.
    static var isPresent: Bool { !(ProcessInfo.processInfo.environment["NOTIFY_SOCKET"] ?? "").isEmpty }

    /// Tells the service manager about the daemon's state; without one, nothing happens.
    static func notify(_ state: String, _ descriptors: [RawDescriptor] = [], logger: Logger) {
        guard let path = ProcessInfo.processInfo.environment["NOTIFY_SOCKET"], !path.isEmpty else { return }
        do {
            try UnixSocket.send(
                datagram: Array(state.utf8),
                descriptors: descriptors,
                to: path,
                patience: .seconds(1)
            )
        } catch {
            logger.warning("the service manager was not told", metadata: ["state": "\(state)", "error": "\(error)"])
        }
    }
}
