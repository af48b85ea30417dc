// BerthDaemon: what berthd does between its command line and the engine and its faces.
//
// Order of a start: command line and configuration file, checks, locks, engine, socket, ready. The engine's recovery runs beside the
// API, so the API answers at once whatever the node holds. Nothing here touches a container: a stop of the daemon is no event for them.

import ArgumentParser
import DockerAPI
import Engine
public import EngineModel
import Kernel
import Logging
import ServiceLifecycle
import UnixSignals

/// The daemon as a function, so that a test's executable is the same program with faults.
public enum Daemon {
    /// Version of this build.
    public static let version = "0.1.0"

    /// Runs the daemon with the process's command line until a signal ends it; exits the process on a failed start.
    ///
    /// - Parameter faults: Where a test ends the process; nothing in production.
    public static func main(faults: FaultPoints = FaultPoints()) async {
        let command = DaemonCommand.parseOrExit()
        do {
            let settings = try Settings(command: command)
            if command.check {
                let report = SelfCheck.run(settings)
                report.lines.forEach { print($0) }
                DaemonCommand.exit(withError: report.isGood ? nil : ExitCode(1))
            }
            try await run(settings, faults: faults)
        } catch {
            StandardError.write("berthd: \(error)\n")
            DaemonCommand.exit(withError: ExitCode(1))
        }
    }

    /// Runs the daemon until SIGTERM or SIGINT.
    ///
    /// - Throws: ``DaemonError`` or what the engine throws when the start fails.
    private static func run(_ settings: Settings, faults: FaultPoints) async throws {
        Signals.ignore(.pipe)
        _ = Umask.set(0o022)
        raiseFileLimit()
        let logger = makeLogger(settings)
        let locks = try Places.prepare(settings)
        var configuration = EngineConfiguration(
            root: settings.root,
            state: settings.state,
            backends: settings.backends,
            defaultBackend: settings.defaultBackend,
            initPath: settings.initPath,
            logger: logger
        )
        configuration.version = version
        configuration.faults = faults
        configuration.defaultLogOptions = settings.log
        configuration.defaultStopTimeout = settings.stopTimeout
        configuration.userNamespaces = settings.userNamespaces
        configuration.cgroupManager = settings.cgroupManager
        let engine = try await Engine.open(configuration)
        let socket = try ListeningSocket.open(settings)
        logger.info("listening", metadata: ["socket": "\(settings.socket)"])
        let face = DockerFace(engine: engine, socket: socket, group: settings.socketGroup, logger: logger)
        ServiceManager.notify("READY=1", logger: logger)
        try await serve(engine, face, logger)
        ServiceManager.notify("STOPPING=1", logger: logger)
        // The locks are held until here: the descriptors close with the last use.
        withExtendedLifetime(locks) {}
    }

    private static func serve(_ engine: Engine, _ face: DockerFace, _ logger: Logger) async throws {
        // Stopped in reverse order: the face first, so that no request meets an engine that is gone.
        var configuration = ServiceGroupConfiguration(
            services: [EngineService(engine: engine), face],
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
        // A request that is still running then, such as a stop with a long grace, ends with the connection.
        configuration.maximumGracefulShutdownDuration = .seconds(10)
        // What does not even end then has lost its way; ending it by force costs nothing that recovery does not find.
        configuration.maximumCancellationDuration = .seconds(5)
        try await ServiceGroup(configuration: configuration).run()
    }

    private static func makeLogger(_ settings: Settings) -> Logger {
        let level = settings.logLevel
        LoggingSystem.bootstrap { label in
            var handler = StreamLogHandler.standardError(label: label)
            handler.logLevel = level
            return handler
        }
        return Logger(label: "berthd")
    }

    /// Each container costs descriptors; a limit that cannot be raised is reported by the engine where it hurts.
    private static func raiseFileLimit() {
        guard var limit = try? Rlimit.get(.openFiles), limit.soft < limit.hard else { return }
        limit.soft = limit.hard
        try? Rlimit.set(.openFiles, limit)
    }
}

/// The engine's supervision as a service.
private struct EngineService: Service, CustomStringConvertible {
    let engine: Engine

    var description: String { "engine" }

    func run() async throws {
        try await cancelWhenGracefulShutdown {
            do {
                try await engine.run()
            } catch let error as EngineError where error.code == .cancelled {
                // How supervision ends when it is asked to.
            } catch is CancellationError {
                // The same, from below the engine.
            }
        }
        await engine.shutdown()
    }
}
