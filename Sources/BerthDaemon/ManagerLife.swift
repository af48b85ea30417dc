import ArgumentParser
import DockerAPI
import DockerTypes
import Engine
import EngineModel
import EngineShim
import Kernel
import Logging
import Synchronization
import UnixSignals

/// One life of the manager: an open engine and its face, until they are told to stop or to give way to another program.
final class ManagerLife: ManagerControl {
    /// A program that is to take over.
    struct Replacement: Sendable {
        /// The program, which has looked at the state and can read it.
        var program: RunningProgram
        /// Its version.
        var version: String
        /// Who waits for it to answer.
        var caller: SharedDescriptor?
    }

    /// How a life ended.
    enum Ending: Sendable {
        /// It was told to stop.
        case stopped
        /// The kernel did not execute the program that was to take over; the clients of this life are still there.
        case refused(String, caller: SharedDescriptor?, Remains)
    }

    /// What the next life finds.
    struct Remains: Sendable {
        /// Clients between two requests.
        var connections: [CarriedConnection]
        /// What is held of the shims.
        var held: [HeldDescriptors.Entry]
    }

    private enum Order: Sendable {
        case stop
        case replace(Replacement)
        case fail(EngineError)
    }

    private struct State {
        var isChanging = false
        var isStopping = false
    }

    /// How long open requests may take when the manager leaves.
    private var grace: Duration { min(.seconds(5), patience) }
    /// How long the engine may take to end.
    private var patience: Duration { engine.configuration.deadlines.end }
    /// How long may take to end what was cancelled.
    private var rest: Duration { min(.seconds(2), patience) }
    /// What an end takes at most, with what closes connections.
    private var bound: Duration { grace + patience + rest * 2 + .seconds(2) }

    private let engine: Engine
    private let settings: Settings
    private let program: RunningProgram
    private let logger: Logger
    private let state = Mutex(State())
    private let store: DescriptorStore
    private let signals: UnixSignalsSequence
    private let orders: AsyncStream<Order>
    private let order: AsyncStream<Order>.Continuation
    /// Set once, before anybody can ask for it.
    private let face = Mutex<DockerFace?>(nil)

    private init(
        _ settings: Settings,
        _ program: RunningProgram,
        _ engine: Engine,
        _ store: DescriptorStore,
        _ signals: UnixSignalsSequence,
        _ logger: Logger
    ) {
        self.settings = settings
        self.program = program
        self.engine = engine
        self.store = store
        self.signals = signals
        self.logger = logger
        (orders, order) = AsyncStream.makeStream()
    }

    /// Opens the engine and begins to serve; ``run(replace:)`` has to follow.
    static func begin(
        _ settings: Settings,
        _ handover: Handover,
        _ program: RunningProgram,
        _ configuration: EngineConfiguration
    ) async throws -> ManagerLife {
        let logger = configuration.logger
        // Before containers take up descriptors, which this needs; and before anybody gets an answer: whoever has had one may send a signal,
        // and until here that would end the process.
        let signals = await UnixSignalsSequence(trapping: .sigterm, .sigint, .sighup, .sigusr2)
        let held = HeldDescriptors()
        let present = handover.held + DescriptorStore.takeEntries()
        held.restore(present)
        let store = DescriptorStore(logger)
        store.follow(held, present: present)
        let engine = try await Engine.open(configuration, held: held)
        let life = ManagerLife(settings, program, engine, store, signals, logger)
        let face = try await DockerFace(
            engine: engine,
            control: life,
            sockets: handover.listeners,
            carried: handover.connections,
            group: settings.socketGroup,
            logger: logger
        )
        life.face.withLock { $0 = face }
        logger.info("listening", metadata: ["socket": "\(settings.socket)"])
        ServiceManager.ready(logger)
        return life
    }

    /// Serves until the end.
    ///
    /// - Parameter replace: Becomes another program; returns why it could not.
    /// - Returns: How it ended.
    /// - Throws: When the engine ended without having been asked to.
    func run(replace: @Sendable (Replacement, Remains) -> String) async throws -> Ending {
        guard let face = face.withLock({ $0 }) else { return .stopped }
        let (ended, end) = AsyncStream<Void>.makeStream()
        let (left, gone) = AsyncStream<Void>.makeStream()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await self.runEngine()
                end.finish()
            }
            group.addTask {
                await face.run()
                gone.finish()
            }
            group.addTask { await self.followSignals() }
            group.addTask { await self.feedWatchdog(face) }
            defer { group.cancelAll() }
            let first = await orders.first { _ in true } ?? .stop
            if case .replace = first {} else { LastResort.begin(after: bound) }
            if case .fail(let error) = first { logger.critical("the engine ended", metadata: ["error": "\(error)"]) }
            let connections = await self.leave(face, first)
            await engine.shutdown()
            let isOver = await Self.isFinished(ended, within: patience)
            if case .stop = first {
                group.cancelAll()
                let hasLeft = await Self.isFinished(left, within: rest)
                if !isOver || !hasLeft { await abandon(ended, engine: isOver, face: hasLeft) }
            }
            // The next program takes what is held for what is stored.
            await store.settle(within: patience)
            switch first {
            case .replace(let replacement) where !state.withLock({ $0.isStopping }):
                let remains = Remains(connections: connections, held: engine.held.all())
                return .refused(replace(replacement, remains), caller: replacement.caller, remains)
            case .fail(let error):
                throw error
            case .stop, .replace:
                return .stopped
            }
        }
    }

    /// Waits for the end of a stream that says nothing; false when it does not come in time.
    private static func isFinished(_ stream: AsyncStream<Void>, within deadline: Duration) async -> Bool {
        await withTaskGroup(of: Bool.self) { race in
            race.addTask {
                for await _ in stream {}
                return !Task.isCancelled
            }
            race.addTask {
                // Cancelled when the stream has ended.
                try? await Task.sleep(for: deadline)
                return false
            }
            let first = await race.next() ?? false
            race.cancelAll()
            return first
        }
    }

    /// Ends the process although not everything in it has come to an end.
    ///
    /// What a job leaves in the middle is what SIGKILL would leave, and the next start finishes it: an end that was asked for takes no
    /// longer than an end by force.
    private func abandon(_ ended: AsyncStream<Void>, engine: Bool, face: Bool) async {
        if !engine, await Self.isFinished(ended, within: rest), face { return }
        logger.error(
            "work that does not end is left to the next start",
            metadata: ["engine": "\(engine ? "ended" : "works")", "requests": "\(face ? "ended" : "open")"]
        )
        DaemonCommand.exit()
    }

    private func leave(_ face: DockerFace, _ order: Order) async -> [CarriedConnection] {
        switch order {
        case .replace:
            ServiceManager.reloading(logger)
            return await face.leave(within: grace, keepsConnections: true)
        case .stop, .fail:
            ServiceManager.notify("STOPPING=1", logger: logger)
            return await face.leave(within: grace, keepsConnections: false)
        }
    }

    private func runEngine() async {
        do {
            try await engine.run()
        } catch let error as EngineError {
            // Being cancelled is how supervision ends when it is asked to.
            if error.code != .cancelled { order.yield(.fail(error)) }
        } catch {
            if !(error is CancellationError) { order.yield(.fail(EngineError(.internal, "\(error)"))) }
        }
    }

    // Signals

    private func followSignals() async {
        await withDiscardingTaskGroup { group in
            for await signal in signals {
                if [.sigterm, .sigint].contains(signal) { LastResort.begin(after: bound) }
                logger.notice("signal", metadata: ["signal": "\(signal)"])
                switch signal {
                // The look at the next program takes its time, and the next signal may be the one to stop.
                case .sighup: group.addTask { await self.change(to: self.program) }
                case .sigusr2: group.addTask { await self.change(to: nil) }
                default:
                    state.withLock { $0.isStopping = true }
                    order.yield(.stop)
                }
            }
            group.cancelAll()
        }
    }

    /// On a signal: the program in this process once more, with the configuration as it is now, or the one at its path (nil).
    private func change(to program: RunningProgram?) async {
        ServiceManager.reloading(logger)
        do {
            let next = try program ?? RunningProgram.open(self.program.path)
            try await replace(by: next) { nil }
        } catch {
            logger.error("nothing was changed", metadata: ["error": "\(error)"])
            ServiceManager.ready(logger)
        }
    }

    // ManagerControl

    func check(_ binary: String?) async throws -> BerthUpgrade {
        let next = try open(binary)
        let verdict = await UpgradeCheck(program: next, settings: settings, setAside: engine.setAside).run()
        var answer = BerthUpgrade()
        answer.from = Daemon.version
        answer.to = verdict.version
        answer.binary = next.path
        answer.pid = Int(Credentials.processID)
        answer.problems = verdict.problems
        answer.ready = verdict.problems.isEmpty
        return answer
    }

    func upgrade(to binary: String?, caller: @escaping @Sendable () async throws -> SharedDescriptor) async throws {
        try await replace(by: try open(binary)) { try await caller() }
    }

    private func open(_ binary: String?) throws -> RunningProgram {
        do {
            return try RunningProgram.open(binary ?? program.path)
        } catch let error as DaemonError {
            throw EngineError(.invalidArgument, error.description)
        }
    }

    private func replace(
        by next: RunningProgram,
        _ caller: @Sendable () async throws -> SharedDescriptor?
    ) async throws {
        let isFirst = state.withLock { state in
            defer { state.isChanging = true }
            return !state.isChanging
        }
        guard isFirst else { throw EngineError(.failedPrecondition, "an upgrade is under way already") }
        do {
            let verdict = await UpgradeCheck(program: next, settings: settings, setAside: engine.setAside).run()
            guard verdict.problems.isEmpty else {
                throw EngineError(
                    .failedPrecondition,
                    "'\(next.path)' cannot take over: " + verdict.problems.joined(separator: "; ")
                )
            }
            let connection = try await caller()
            order.yield(.replace(Replacement(program: next, version: verdict.version, caller: connection)))
        } catch {
            state.withLock { $0.isChanging = false }
            throw error
        }
    }

    // Watchdog

    /// Tells the service manager as long as requests would be answered.
    private func feedWatchdog(_ face: DockerFace) async {
        guard let interval = ServiceManager.watchdogInterval else { return }
        while !Task.isCancelled {
            await face.turn()
            ServiceManager.notify("WATCHDOG=1", logger: logger)
            // Cancelled at the end of this life.
            try? await Task.sleep(for: interval / 2)
        }
    }
}
