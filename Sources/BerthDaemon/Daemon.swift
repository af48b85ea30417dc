// BerthDaemon: what berthd does between its command line and the engine and its faces.
//
// Order of a start: what an earlier program left in this process, command line and configuration file, checks, locks, engine,
// socket, ready. The engine's recovery runs beside the API, so the API answers at once whatever the node holds. Nothing here
// touches a container: a stop of the daemon is no event for them.
//
// An upgrade is a life that ends with exec instead of exit: the next program, or this one again when the kernel refuses, finds
// the sockets, the locks and the clients that were between two requests as they were.

import ArgumentParser
import DockerAPI
import DockerTypes
import Engine
public import EngineModel
import Kernel
import Logging

/// The daemon as a function, so that a test's executable is the same program with faults.
public enum Daemon {
    /// Version of this build.
    public static let version = BuildVersion.text

    /// Runs the daemon with the process's command line until a signal ends it; exits the process on a failed start.
    ///
    /// - Parameters:
    ///   - faults: Where a test ends the process; nothing in production.
    ///   - refusal: Why not to start, where a test wants that; nil in production.
    ///   - deadlines: Those of a test that cannot wait as long as production does.
    public static func main(
        faults: FaultPoints = FaultPoints(),
        refusal: String? = nil,
        deadlines: EngineConfiguration.Deadlines = EngineConfiguration.Deadlines()
    ) async {
        // With one for each thread a thousand containers cost a quarter more memory.
        ProcessAttributes.limitHeaps(2)
        let foreign = Handover.foreignDescriptors()
        var inherited: Handover?
        do {
            inherited = try Handover.take()
            let command = try DaemonCommand.parse()
            let settings = try Settings(command: command)
            if command.check { return await check(settings, asJSON: command.json) }
            if let refusal { throw DaemonError.other(refusal) }
            try await run(settings, &inherited, foreign, faults, deadlines)
        } catch {
            if let inherited, inherited.failure == nil { giveBack(inherited, error) }
            // What the parser throws is help, or a misuse with its own exit code.
            guard error is DaemonError || error is EngineError || error is KernelError else {
                DaemonCommand.exit(withError: error)
            }
            StandardError.write("berthd: \(error)\n")
            DaemonCommand.exit(withError: ExitCode(1))
        }
    }

    private static func check(_ settings: Settings, asJSON: Bool) async {
        let report = await SelfCheck.run(settings)
        if asJSON { print(report.json(settings)) } else { report.lines.forEach { print($0) } }
        DaemonCommand.exit(withError: report.isGood ? nil : ExitCode(1))
    }

    /// Has the program that was replaced go on, because this one does not start.
    private static func giveBack(_ inherited: Handover, _ error: any Error) {
        guard let previous = inherited.previous else { return }
        var handover = inherited
        handover.failure = "berthd \(version) did not start: \(error)"
        handover.from = version
        handover.previous = nil
        do {
            try handover.give(to: previous, path: inherited.previousPath, arguments: arguments)
        } catch {
            StandardError.write("berthd: the program before cannot be run either: \(error)\n")
        }
    }

    private static var arguments: [String] { Array(CommandLine.arguments.dropFirst()) }

    /// Runs the daemon until SIGTERM or SIGINT.
    ///
    /// `inherited` is nil as soon as this program serves: what is let go of later has to close.
    /// - Throws: ``DaemonError`` or what the engine throws when the start fails.
    private static func run(
        _ settings: Settings,
        _ inherited: inout Handover?,
        _ foreign: [Int32],
        _ faults: FaultPoints,
        _ deadlines: EngineConfiguration.Deadlines
    ) async throws {
        Signals.ignore(.pipe)
        _ = Umask.set(0o022)
        let logger = makeLogger(settings)
        try await DescriptorRoom.prepare(logger)
        let program = try RunningProgram.current()
        var handover = inherited ?? Handover()
        if inherited == nil {
            handover.foreign = foreign
            handover.locks = try Places.prepare(settings)
            handover.listeners = try ListeningSocket.open(settings)
        } else {
            try ListeningSocket.adjust(settings, logger)
        }
        while true {
            var engine = configuration(settings, faults, logger)
            engine.deadlines = deadlines
            let life = try await ManagerLife.begin(settings, handover, program, engine)
            tell(handover, program, logger)
            inherited = nil
            handover.connections = []
            handover.held = []
            handover.failure = nil
            handover.caller = nil
            handover.previous = nil
            let kept = handover
            let ending = try await life.run { replacement, remains in
                replace(program, by: replacement, remains, kept, logger)
            }
            guard case .refused(let failure, let caller, let remains) = ending else { break }
            // The kernel refused the new program: everything is still open, and this one goes on.
            logger.error("upgrade failed", metadata: ["error": "\(failure)"])
            handover.failure = failure
            handover.caller = caller
            handover.connections = remains.connections
            handover.held = remains.held
        }
        // The locks are held until here: the descriptors close with the last use.
        withExtendedLifetime(handover) {}
    }

    /// Becomes `replacement`; returns why not.
    private static func replace(
        _ program: RunningProgram,
        by replacement: ManagerLife.Replacement,
        _ remains: ManagerLife.Remains,
        _ current: Handover,
        _ logger: Logger
    ) -> String {
        var handover = current
        handover.connections = remains.connections
        handover.held = remains.held
        handover.caller = replacement.caller
        handover.previous = program.descriptor
        handover.previousPath = program.path
        handover.from = version
        logger.notice(
            "replacing this program",
            metadata: ["program": "\(replacement.program.path)", "version": "\(replacement.version)"]
        )
        do {
            let next = replacement.program
            try handover.give(to: next.descriptor, path: next.path, arguments: arguments)
        } catch {
            return "execute '\(replacement.program.path)': \(error)"
        }
    }

    /// Answers who waits for the outcome of a change of programs.
    private static func tell(_ handover: Handover, _ program: RunningProgram, _ logger: Logger) {
        if let failure = handover.failure {
            logger.error("this berthd goes on after an upgrade that failed", metadata: ["error": "\(failure)"])
            Caller.refuse(handover.caller, "\(failure); berthd \(version) goes on")
        } else if !handover.from.isEmpty {
            logger.notice("taken over", metadata: ["from": "\(handover.from)", "to": "\(version)"])
            var answer = BerthUpgrade()
            answer.from = handover.from
            answer.to = version
            answer.binary = program.path
            answer.pid = Int(Credentials.processID)
            answer.ready = true
            Caller.answer(handover.caller, answer)
        }
    }

    private static func configuration(
        _ settings: Settings,
        _ faults: FaultPoints,
        _ logger: Logger
    ) -> EngineConfiguration {
        var configuration = settings.engineConfiguration(logger)
        configuration.version = version
        configuration.faults = faults
        configuration.inheritsOrphans = true
        return configuration
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
}
