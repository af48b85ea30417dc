import ContainerIO
import EngineContainer
import EngineModel
import EngineShim
import Kernel
import Synchronization

extension EngineCore {
    func logs(_ reference: String, _ options: LogOptions) async throws -> LogSequence {
        let container = try node.table.find(reference)
        guard container.view.snapshot.logPath != nil else {
            throw EngineError.unsupported("configured logging driver does not support reading")
        }
        guard options.stdout || options.stderr else {
            throw EngineError.invalid("Bad parameters: you must choose at least one stream")
        }
        let node = node
        return LogSequence { LogIterationSource(container, options, node) }
    }
}

/// One reader of one log: blocks only on the pool's threads, and there never for longer than one read.
final class LogIterationSource: Sendable {
    private enum State {
        case unopened
        case open(OpenLog)
        case ended
    }

    private let container: Container
    private let options: LogOptions
    private let node: Node
    private let state = Mutex(State.unopened)

    init(_ container: Container, _ options: LogOptions, _ node: Node) {
        self.container = container
        self.options = options
        self.node = node
    }

    /// Where another reader goes on after what was given out; opens the log when nothing was.
    func cursor() async throws -> LogCursor {
        do {
            guard let log = try await opened() else { return .beginning }
            return log.cursor ?? .beginning
        } catch {
            throw EngineError.wrap(error, "read log")
        }
    }

    func next() async throws -> [EngineModel.LogRecord]? {
        do {
            guard let log = try await opened() else { return nil }
            while true {
                try Task.checkCancellation()
                switch try await node.pool.run({ try log.next() }) {
                case .records(let records): return records.map(EngineModel.LogRecord.init)
                case .end:
                    state.withLock { $0 = .ended }
                    return nil
                case .idle:
                    guard await log.waitForMore(node.waiter, until: options.until) else { return nil }
                }
            }
        } catch {
            throw EngineError.wrap(error, "read log")
        }
    }

    private func opened() async throws -> OpenLog? {
        let now = state.withLock { state -> OpenLog?? in
            switch state {
            case .unopened: .none
            case .open(let log): .some(log)
            case .ended: .some(nil)
            }
        }
        if let now { return now }
        let follower = options.follow ? try LogFollower() : nil
        if let follower { await container.addLogFollower(follower) }
        let (path, options) = (container.paths.log, options)
        let log = try await node.pool.run { try OpenLog(path: path, options, follower) }
        state.withLock { $0 = .open(log) }
        return log
    }
}

extension Container {
    /// A reader that follows is told when the container ends; at once when it does not run.
    func addLogFollower(_ follower: LogFollower) {
        logFollowers.removeAll { $0.object == nil }
        switch lifecycle.phase {
        case .created, .exited, .dead, .removing, .removed: follower.containerEnded()
        case .starting, .running, .paused, .restarting, .awaitingRestart: logFollowers.append(Weak(object: follower))
        }
    }
}

/// A reader that several threads take turns with; the lock is held for one read.
private final class OpenLog: Sendable {
    private struct Reader: ~Copyable, @unchecked Sendable {
        // Guarded by the mutex that holds this value: the reader itself is for one thread at a time.
        let reader: LogReader
    }

    private let reader: Mutex<Reader>
    private let follower: LogFollower?
    private let wake: RawDescriptor?

    init(path: String, _ options: LogOptions, _ follower: LogFollower?) throws {
        var streams: StdioStreams = []
        if options.stdout { streams.insert(.stdout) }
        if options.stderr { streams.insert(.stderr) }
        let reader = try LogReader(
            path: path,
            options: LogReaderOptions(
                follow: options.follow,
                since: options.since,
                until: options.until,
                tail: options.tail,
                streams: streams,
                place: options.cursor.map(LogPlace.init)
            ),
            control: follower?.control
        )
        wake = reader.wakeDescriptor
        self.follower = follower
        self.reader = Mutex(Reader(reader: reader))
    }

    var cursor: LogCursor? { reader.withLock { $0.reader.place.map(LogCursor.init) } }

    func next() throws -> LogReader.Step {
        try reader.withLock { try $0.reader.next(upTo: 512) }
    }

    /// False when `until` has passed, the task is cancelled, or the engine ends.
    func waitForMore(_ waiter: DescriptorWaiter, until: Timestamp?) async -> Bool {
        guard let wake else { return false }
        guard let until else { return await waiter.readable(wake) }
        let left = until - .now
        guard left > .zero else { return false }
        return await withTaskGroup(of: Bool.self) { group in
            group.addTask { await waiter.readable(wake) }
            group.addTask {
                // Cancelled when there is more to read first.
                try? await Task.sleep(for: left)
                return false
            }
            let more = await group.next() ?? false
            group.cancelAll()
            return more
        }
    }
}

extension LogPlace {
    fileprivate init(_ cursor: LogCursor) {
        self.init(
            device: cursor.device,
            inode: cursor.inode,
            offset: cursor.offset,
            lastRecord: cursor.lastRecord,
            lastTime: cursor.lastTime
        )
    }
}

extension LogCursor {
    fileprivate init(_ place: LogPlace) {
        self.init(
            device: place.device,
            inode: place.inode,
            offset: place.offset,
            lastRecord: place.lastRecord,
            lastTime: place.lastTime
        )
    }
}

extension EngineModel.LogRecord {
    fileprivate init(_ record: ContainerIO.LogRecord) {
        self.init(
            stream: record.stream == .stderr ? .stderr : .stdout,
            time: record.timestamp,
            bytes: Array(record.bytes)
        )
    }
}
