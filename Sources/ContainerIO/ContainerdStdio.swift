internal import Kernel

/// Where containerd wants a process' stdio: the three fields of Create and Exec.
public struct ContainerdStdio: Sendable, Equatable {
    /// Where input comes from; empty for none.
    public var stdin: String
    /// Where output goes; empty for nowhere.
    public var stdout: String
    /// Where errors go; may be the same as `stdout`.
    ///
    /// Ignored for a terminal.
    public var stderr: String

    /// The three addresses as they stand in the request.
    public init(stdin: String = "", stdout: String = "", stderr: String = "") {
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
    }

    /// Whether no stream goes anywhere.
    public var isEmpty: Bool { stdin.isEmpty && stdout.isEmpty && stderr.isEmpty }
}

/// One address of containerd's stdio, taken apart.
enum StdioAddress: Equatable {
    case fifo(String)
    case file(String)

    /// Reads an address: a bare path or `fifo://` names a pipe, `file://` a file to append to.
    init(_ address: String) throws(ContainerIOError) {
        guard let separator = address.utf8.firstRange(of: Array("://".utf8)) else {
            self = .fifo(try Self.absolute(address, in: address))
            return
        }
        let scheme = address[..<separator.lowerBound]
        let rest = address[separator.upperBound...]
        let path = rest.prefix { $0 != "?" }
        switch scheme {
        case "fifo": self = .fifo(try Self.absolute(String(path), in: address))
        case "file": self = .file(try Self.absolute(String(path), in: address))
        default: throw .unsupportedAddress(address)
        }
    }

    private static func absolute(_ path: String, in address: String) throws(ContainerIOError) -> String {
        guard path.hasPrefix("/") else { throw .badAddress(address, "path is not absolute") }
        return path
    }
}

extension String.UTF8View {
    fileprivate func firstRange(of needle: [UInt8]) -> Range<Index>? {
        var start = startIndex
        while let candidate = self[start...].firstIndex(of: needle[0]) {
            if self[candidate...].starts(with: needle) { return candidate..<index(candidate, offsetBy: needle.count) }
            start = index(after: candidate)
        }
        return nil
    }
}

/// Writes output to a named pipe that a client of containerd reads.
///
/// Both ends are held open, so that a client that goes away and comes back finds its pipe and the process meets no
/// broken one. There is no limit on how long the client may stand still while the process runs: its process waits, which
/// is what containerd's users expect.
final class FifoOutput: WatchedSource, OutputClient {
    private let writer: Descriptor
    private let reader: Descriptor
    private let streams: StdioStreams
    private unowned let owner: ProcessStdio
    private var queue = ByteQueue()
    private var ended: StdioStreams = []
    private(set) var deadline: Timestamp?
    /// Bytes that were taken since the deadline was set.
    private var taken = 0

    init(_ path: String, streams: StdioStreams, owner: ProcessStdio) throws(ContainerIOError) {
        do throws(KernelError) {
            // The reading end first: opening the other one would fail without it.
            reader = try File.open(path, [.read, .nonBlocking])
            writer = try File.open(path, [.write, .nonBlocking])
        } catch {
            throw .kernel(error)
        }
        self.streams = streams
        self.owner = owner
    }

    override var descriptor: RawDescriptor { writer.raw }
    override var interest: Readiness? { queue.isEmpty ? nil : .writable }
    override func ready(_ events: Readiness) { flush() }

    var room: Int { max(0, ClientLimit.queueByteCount - queue.count) }

    func deliver(_ bytes: UnsafeRawBufferPointer, stream: StdioStream) {
        guard streams.contains(stream) else { return }
        var sent = 0
        if queue.isEmpty, case .moved(let count)? = try? unsafe writer.tryWrite(bytes) { sent = count }
        // Sound: a copy of the caller's buffer.
        if sent < bytes.count { unsafe queue.append(bytes.dropFirst(sent)) }
        interestMayHaveChanged()
    }

    private func flush() {
        unsafe queue.withBytes { bytes in
            guard unsafe !bytes.isEmpty, case .moved(let count)? = try? unsafe writer.tryWrite(bytes) else { return 0 }
            taken += count
            return count
        }
        if deadline != nil, taken >= ClientLimit.pace { begin() }
        finishIfDone()
        interestMayHaveChanged()
        owner.clientRoomChanged()
    }

    func outputEnded(_ stream: StdioStream) {
        ended.insert(StdioStreams(stream))
        guard ended.isSuperset(of: streams.intersection(owner.startedStreams)) else { return }
        begin()
        finishIfDone()
    }

    private func begin() {
        (deadline, taken) = (Clock.monotonic.now + ClientLimit.stall, 0)
    }

    private func finishIfDone() {
        if deadline != nil, queue.isEmpty { close() }
    }

    func expire(now: Timestamp) {
        if let deadline, deadline <= now { close() }
    }

    private func close() {
        unwatch()
        owner.remove(self)
    }
}

/// Appends output to a file, bare.
final class FileOutput: OutputClient {
    private let file: Descriptor
    private let streams: StdioStreams
    private unowned let owner: ProcessStdio
    private var ended: StdioStreams = []

    init(_ path: String, streams: StdioStreams, owner: ProcessStdio) throws(ContainerIOError) {
        do throws(KernelError) {
            if let slash = path.lastIndex(of: "/"), slash != path.startIndex {
                try File.makeDirectories(String(path[..<slash]), mode: 0o755)
            }
            file = try File.open(path, [.write, .append, .create], mode: 0o644)
        } catch {
            throw .kernel(error)
        }
        self.streams = streams
        self.owner = owner
    }

    var room: Int { .max }
    var deadline: Timestamp? { nil }

    func deliver(_ bytes: UnsafeRawBufferPointer, stream: StdioStream) {
        guard streams.contains(stream) else { return }
        // A full disk must not stop the process; the file is somebody else's, so nothing is said in it.
        try? unsafe file.writeAll(bytes)
    }

    func outputEnded(_ stream: StdioStream) {
        ended.insert(StdioStreams(stream))
        if ended.isSuperset(of: streams.intersection(owner.startedStreams)) { owner.remove(self) }
    }

    func expire(now: Timestamp) {}
}

/// Reads a process' input from a named pipe that a client of containerd writes.
///
/// A writing end of its own keeps the pipe from ending when a client goes away; `endInput` gives it up.
final class FifoInput: WatchedSource {
    private let reader: Descriptor
    private var writer: SharedDescriptor?
    private unowned let owner: ProcessStdio

    init(_ path: String, owner: ProcessStdio) throws(ContainerIOError) {
        do throws(KernelError) {
            reader = try File.open(path, [.read, .nonBlocking])
            writer = SharedDescriptor(try File.open(path, [.write, .nonBlocking]))
        } catch {
            throw .kernel(error)
        }
        self.owner = owner
    }

    override var descriptor: RawDescriptor { reader.raw }
    override var interest: Readiness? { owner.stdinRoom > 0 ? .readable : nil }

    /// The process' input ends when the clients have closed their ends and everything was read.
    func endInput() {
        writer = nil
    }

    override func ready(_ events: Readiness) {
        let room = min(owner.stdinRoom, IOBuffers.readByteCount)
        guard room > 0 else { return }
        let target = unsafe UnsafeMutableRawBufferPointer(rebasing: owner.buffers.input[..<room])
        switch try? unsafe reader.tryRead(into: target) {
        case .moved(let count): unsafe owner.stdin.write(target[..<count])
        case .wouldBlock: break
        case .ended, nil:
            unwatch()
            owner.stdin.close()
        }
        interestMayHaveChanged()
    }

    func close() {
        unwatch()
    }
}
