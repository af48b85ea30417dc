import EngineModel
import FoundationEssentials
import Kernel
import Logging

/// Everything that the daemon was told, complete and checked.
struct Settings {
    /// Durable state.
    let root: String
    /// State of this boot.
    let state: String
    /// API socket.
    let socket: String
    /// Group that may use the socket.
    let socketGroup: UInt32?
    /// Least severe level that is logged.
    let logLevel: Logger.Level
    /// Executables of the backends by name.
    let backends: [String: String]
    /// Names of backends that nobody has configured.
    let foundBackends: Set<String>
    /// What each backend is told.
    let backendOptions: [String: [String: String]]
    /// Backend of a container that names none.
    let defaultBackend: String
    /// berth-init, where there is one.
    let initPath: String?
    /// Log options of a container that names none.
    let log: LogConfiguration
    /// Seconds between the stop signal and the kill.
    let stopTimeout: Int
    let restartMaxDelay: Duration
    /// User namespaces of containers.
    let userNamespaces: EngineConfiguration.UserNamespaces
    /// Who makes cgroups.
    let cgroupManager: CgroupManager
    /// What becomes of containers whose shim dies, where they do not say.
    let shimDeath: ShimDeath
    /// Configuration file that was read.
    let file: String?

    private static let defaultFile = "/etc/berth/berthd.toml"

    /// Puts command line, file and defaults together.
    ///
    /// - Throws: ``DaemonError`` that names the place and what would be right.
    init(command: DaemonCommand) throws {
        file = command.config ?? (File.exists(Self.defaultFile) ? Self.defaultFile : nil)
        let values =
            try file.map { path in
                do {
                    return try ConfigurationFile.read(path)
                } catch let error as KernelError {
                    throw DaemonError.file(path, line: nil, "cannot be read: \(error.errno)")
                }
            } ?? ConfigurationFile.Values()
        root = try Self.absolute(command.root ?? values.root ?? "/var/lib/berth", "--root")
        state = try Self.absolute(command.state ?? values.state ?? "/run/berth", "--state")
        socket = try Self.absolute(command.socket ?? values.socket ?? "\(state)/berth.sock", "--socket")
        socketGroup = command.socketGroup ?? values.socketGroup
        logLevel = try Self.level(command.logLevel ?? values.logLevel ?? "info")
        let found = Installation.find()
        var backends = found.backends.merging(values.backends) { $1 }
        var foundBackends = Set(found.backends.keys).subtracting(values.backends.keys)
        for (name, options) in values.backendOptions where values.backends[name] == nil {
            backends[name] = try Self.program(of: name, options, found, file ?? "")
        }
        backendOptions = values.backendOptions
        for entry in command.backend {
            let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2 else {
                throw DaemonError.option("--backend", "expected NAME=PATH, found '\(entry)'")
            }
            backends[parts[0]] = parts[1]
            foundBackends.remove(parts[0])
        }
        self.foundBackends = foundBackends.subtracting(values.backendOptions.keys)
        self.backends = try backends.mapValues { try Self.absolute($0, "backend") }
        defaultBackend = command.defaultBackend ?? values.defaultBackend ?? "native"
        guard self.backends[defaultBackend] != nil else {
            throw DaemonError.option(
                "--default-backend",
                "no backend '\(defaultBackend)': give --backend \(defaultBackend)=PATH, or put berth-shim-\(defaultBackend) "
                    + "beside berthd or into ../libexec/berth"
            )
        }
        initPath = try (command.initPath ?? values.initPath ?? found.initPath).map { try Self.absolute($0, "--init") }
        do {
            log = try LogConfiguration(driver: "json-file", options: values.logOptions)
        } catch let error as EngineError {
            throw DaemonError.file(file ?? "", line: nil, "table 'log-options': \(error.message)")
        }
        stopTimeout = values.stopTimeout ?? 10
        restartMaxDelay = .milliseconds(values.restartMaxDelay ?? 60_000)
        userNamespaces = try Self.userNamespaces(values, file ?? "")
        cgroupManager = try Self.cgroupManager(values, file ?? "")
        shimDeath = try Self.shimDeath(values, file ?? "")
    }

    /// What the engine is opened with.
    func engineConfiguration(_ logger: Logger) -> EngineConfiguration {
        var configuration = EngineConfiguration(
            root: root,
            state: state,
            backends: backends,
            defaultBackend: defaultBackend,
            initPath: initPath,
            logger: logger
        )
        configuration.defaultLogOptions = log
        configuration.defaultStopTimeout = stopTimeout
        configuration.longestRestartDelay = restartMaxDelay
        configuration.userNamespaces = userNamespaces
        configuration.backendOptions = backendOptions
        configuration.foundBackends = foundBackends
        configuration.cgroupManager = cgroupManager
        configuration.shimDeath = shimDeath
        return configuration
    }

    /// The program of ours that a backend without one means: over another's shim, or over an OCI runtime.
    private static func program(
        of name: String,
        _ options: [String: String],
        _ found: Installation,
        _ file: String
    ) throws(DaemonError) -> String {
        let own = options["shim"] != nil ? "foreign" : options["runtime"] != nil ? "oci" : name
        if let path = found.backends[own] { return path }
        throw .file(
            file,
            line: nil,
            "key 'backends.\(name)': give the 'program', a 'shim' (for berth-shim-foreign) or a 'runtime' (for berth-shim-oci), "
                + "and put those beside berthd or into ../libexec/berth"
        )
    }

    private static func userNamespaces(
        _ values: ConfigurationFile.Values,
        _ file: String
    ) throws(DaemonError) -> EngineConfiguration.UserNamespaces {
        var result = EngineConfiguration.UserNamespaces()
        switch values.userns {
        case nil, "auto": result.defaultMode = .auto(size: nil)
        case "host": result.defaultMode = .host
        case let other?: throw .file(file, line: nil, "key 'userns': '\(other)' is neither 'auto' nor 'host'")
        }
        do {
            result.pool = try values.usernsPool?.map { try IDRange(parsing: $0) }
        } catch {
            throw .file(file, line: nil, "key 'userns-pool': \((error as? EngineError)?.message ?? "\(error)")")
        }
        return result
    }

    private static func shimDeath(_ values: ConfigurationFile.Values, _ file: String) throws(DaemonError) -> ShimDeath {
        let text = values.shimDeath ?? ShimDeath.adopt.rawValue
        guard let policy = ShimDeath(rawValue: text) else {
            throw .file(file, line: nil, "key 'shim-death': '\(text)' is neither 'adopt' nor 'kill'")
        }
        return policy
    }

    private static func cgroupManager(
        _ values: ConfigurationFile.Values,
        _ file: String
    ) throws(DaemonError) -> CgroupManager {
        let text = values.cgroupManager ?? "auto"
        guard let manager = CgroupManager(rawValue: text) else {
            let names = CgroupManager.allCases.map(\.rawValue).joined(separator: ", ")
            throw .file(file, line: nil, "key 'cgroup-manager': '\(text)' is none of \(names)")
        }
        return manager
    }

    private static func level(_ name: String) throws(DaemonError) -> Logger.Level {
        guard let level = Logger.Level(rawValue: name) else {
            let names = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
            throw .option("--log-level", "'\(name)' is none of \(names)")
        }
        return level
    }

    /// A path made absolute against the working directory, without a trailing slash.
    private static func absolute(_ path: String, _ what: String) throws(DaemonError) -> String {
        guard !path.isEmpty, !path.utf8.contains(0) else { throw .option(what, "expected a path") }
        let full = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
        var parts: [Substring] = []
        for part in full.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(part) }
        }
        return "/" + parts.joined(separator: "/")
    }
}

/// The programs that were installed with this one.
struct Installation {
    /// Backends by name.
    var backends: [String: String] = [:]
    /// berth-init.
    var initPath: String?

    /// Looks beside the daemon's executable and in `../libexec/berth`; what is nearer wins.
    static func find() -> Installation {
        var result = Installation()
        guard let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") else {
            return result
        }
        let directory = own.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        let prefix = directory.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        for place in [directory, "\(prefix)/libexec/berth"] {
            // A directory that is not there has no programs.
            let names = (try? FileManager.default.contentsOfDirectory(atPath: place)) ?? []
            for name in names.sorted() where isProgram("\(place)/\(name)") {
                if name == "berth-init", result.initPath == nil { result.initPath = "\(place)/\(name)" }
                guard name.hasPrefix("berth-shim-"), !name.contains(".") else { continue }
                let backend = String(name.dropFirst("berth-shim-".count))
                if result.backends[backend] == nil { result.backends[backend] = "\(place)/\(name)" }
            }
        }
        return result
    }

    /// Whether a path is a regular file that can be executed.
    static func isProgram(_ path: String) -> Bool {
        guard let status = try? File.status(path, follow: true) else { return false }
        return status.isRegular && status.permissions & 0o111 != 0
    }
}
