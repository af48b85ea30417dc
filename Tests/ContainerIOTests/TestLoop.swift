import ContainerIO
import Kernel
import Testing

/// A loop as small as the contract allows.
final class TestLoop: StdioLoop {
    private let epoll: Epoll
    private var sources: [UInt64: any StdioSource] = [:]
    private var tokens: [ObjectIdentifier: UInt64] = [:]
    private var registered: Set<UInt64> = []
    private var nextToken: UInt64 = 1
    private(set) var deadline: Timestamp?
    private weak var scheduled: ProcessStdio?

    init() throws {
        Signals.ignore(.pipe)
        epoll = try Epoll()
    }

    func add(_ source: any StdioSource) {
        let token = nextToken
        nextToken += 1
        sources[token] = source
        tokens[ObjectIdentifier(source)] = token
        update(source)
    }

    func update(_ source: any StdioSource) {
        guard let token = tokens[ObjectIdentifier(source)] else { return }
        do {
            switch (source.interest, registered.contains(token)) {
            case (let interest?, true): try epoll.modify(source.descriptor, interest, token: token)
            case (let interest?, false):
                try epoll.add(source.descriptor, interest, token: token)
                registered.insert(token)
            case (nil, true):
                try epoll.remove(source.descriptor)
                registered.remove(token)
            case (nil, false): break
            }
        } catch {
            Issue.record(error)
        }
    }

    func remove(_ source: any StdioSource) {
        guard let token = tokens.removeValue(forKey: ObjectIdentifier(source)) else {
            Issue.record("removed twice")
            return
        }
        if registered.remove(token) != nil { try? epoll.remove(source.descriptor) }
        sources[token] = nil
    }

    func schedule(_ stdio: ProcessStdio, at deadline: Timestamp) {
        scheduled = stdio
        self.deadline = deadline
    }

    var watchedCount: Int { sources.count }

    /// Handles events until `condition`, for 20 s at most.
    func run(until condition: () throws -> Bool) throws {
        let end = Clock.monotonic.now + .seconds(20)
        var events: [Epoll.Event] = []
        while try !condition() {
            try #require(Clock.monotonic.now < end, "nothing happened for too long")
            try epoll.wait(timeout: .milliseconds(20), into: &events)
            for event in events { sources[event.token]?.ready(event.readiness) }
            let now = Clock.monotonic.now
            if let deadline, deadline <= now { tick(now: now) }
        }
    }

    /// Lets time pass without waiting for it.
    func tick(now: Timestamp) {
        deadline = nil
        scheduled?.tick(now: now)
    }

    /// Handles what is ready now.
    func settle() throws {
        var events: [Epoll.Event] = []
        repeat {
            try epoll.wait(timeout: .zero, into: &events)
            for event in events { sources[event.token]?.ready(event.readiness) }
        } while !events.isEmpty
    }
}

/// A process' stdio without a process: the test holds the process' ends.
final class FakeProcess {
    private(set) var loop: TestLoop
    private var retired: [AnyObject] = []
    private(set) var stdio: ProcessStdio
    let scratch: Scratch
    let buffers: IOBuffers
    let writer: LogWriter?
    /// The process' ends.
    var stdin: SharedDescriptor?
    var stdout: SharedDescriptor?
    var stderr: SharedDescriptor?
    private(set) var hasDrained = false

    init(
        _ options: ProcessStdioOptions = ProcessStdioOptions(),
        log: Bool = true,
        limit: (size: Int64, count: Int) = (0, 1),
        start: Bool = true
    ) throws {
        loop = try TestLoop()
        scratch = try Scratch()
        buffers = try IOBuffers()
        let place = LogWriterOptions(
            path: scratch.log,
            maximumFileSizeInBytes: limit.size,
            maximumFileCount: limit.count
        )
        writer = log ? try LogWriter(place, buffers: buffers) : nil
        stdio = ProcessStdio(options, loop: loop, buffers: buffers, log: writer)
        if start { try self.start() }
    }

    func start() throws {
        if stdio.options.isTerminal {
            let pty = try Pty()
            stdout = SharedDescriptor(try pty.terminal.duplicate())
            stdin = stdout
            try stdio.start(stdin: nil, stdout: SharedDescriptor(pty.controller.duplicate()), stderr: nil)
            return
        }
        let input = try Kernel.Pipe().ends()
        let output = try Kernel.Pipe().ends()
        let error = try Kernel.Pipe().ends()
        stdin = input.reader
        stdout = output.writer
        stderr = error.writer
        try stdin?.setNonBlocking()
        try stdio.start(stdin: input.writer, stdout: output.reader, stderr: error.reader)
    }

    /// A client: the test's end of a connection whose other end was attached.
    func attach(_ options: AttachOptions) throws -> TestClient {
        let (ours, theirs) = try UnixSocket.pair()
        try stdio.attach(theirs, options)
        return try TestClient(ours)
    }

    func say(_ text: String, _ stream: StdioStream = .stdout) throws {
        try (stream == .stdout ? stdout : stderr)?.writeAll(text)
    }

    /// The process ends and all its descriptors with it.
    func exit() throws {
        stdin = nil
        stdout = nil
        stderr = nil
        reaped()
        try loop.run { hasDrained }
    }

    /// Another object goes on with what this one had, as in another program.
    func hand(withLog: Bool = true) throws {
        let snapshot = stdio.snapshot
        let log = try #require(writer).snapshot
        let next = withLog ? LogWriter(restoring: log, buffers: buffers) : nil
        // The other program is gone without a word to anybody.
        retired = [loop, stdio]
        loop = try TestLoop()
        stdio = try ProcessStdio(restoring: snapshot, loop: loop, buffers: buffers, log: next)
    }

    func reaped() {
        stdio.processExited { self.hasDrained = true }
    }

    func records() throws -> [LogRecord] {
        try LogReader(path: scratch.log).all()
    }
}

/// The far end of an attached connection.
final class TestClient {
    let socket: SharedDescriptor
    private(set) var received: [UInt8] = []
    private(set) var hasEnded = false

    init(_ socket: SharedDescriptor) throws {
        self.socket = socket
        try socket.setNonBlocking()
    }

    /// Takes what is there.
    func receive() throws {
        while !hasEnded {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 16, alignment: 8)
            defer { buffer.deallocate() }
            switch try socket.tryRead(into: buffer) {
            case .moved(let count): received += buffer.prefix(count)
            case .wouldBlock: return
            case .ended: hasEnded = true
            }
        }
    }

    var text: String { String(decoding: received, as: UTF8.self) }

    func text(_ wanted: StdCopyDecoder.Source) throws -> String {
        var decoder = StdCopyDecoder()
        var bytes: [UInt8] = []
        try decoder.decode(received[...]) { source, part in
            if source == wanted { bytes += part }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
