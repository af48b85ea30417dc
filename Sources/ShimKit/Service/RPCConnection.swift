import Kernel
import ShimProtocol
import ShimStreams

/// One accepted connection of the shim's socket.
///
/// Reads requests as they come, hands each to the owner, and writes answers as the peer takes them. A peer that sends
/// requests and does not read the answers is cut when too many bytes wait.
final class RPCConnection {
    /// Answers that may wait for a slow peer.
    ///
    /// One answer may be 4 MiB.
    static let maximumPendingOutput = 16 << 20
    /// Bytes read at a time.
    static let readSize = 16 << 10

    let id: UInt64
    /// True once a request has carried the token.
    var isTrusted: Bool

    private let loop: EventLoop
    private let socket: Descriptor
    private var watch: EventLoop.Watch?
    private var waitsForWriting = false
    private var state = TTRPCServerConnection()
    private var output: [UInt8] = []
    private var written = 0
    private let onCall: (RPCConnection, TTRPCServerConnection.Call) -> Void
    private let onClose: (RPCConnection) -> Void

    init(
        id: UInt64,
        socket: consuming Descriptor,
        isTrusted: Bool,
        loop: EventLoop,
        onCall: @escaping (RPCConnection, TTRPCServerConnection.Call) -> Void,
        onClose: @escaping (RPCConnection) -> Void
    ) {
        self.id = id
        self.socket = socket
        self.isTrusted = isTrusted
        self.loop = loop
        self.onCall = onCall
        self.onClose = onClose
    }

    /// Starts to serve.
    func open() throws(KernelError) {
        watch = try loop.watch(socket.raw, .readable) { [weak self] readiness in
            self?.handle(readiness)
        }
    }

    /// Answers a call.
    func respond(to stream: UInt32, with answer: Result<[UInt8], RPCError>) {
        state.respond(to: stream, with: answer)
        flush()
    }

    /// Ends the connection.
    func close() {
        guard let watch else {
            return
        }
        loop.unwatch(watch)
        self.watch = nil
        // Descriptor closes with this object; the peer must see the end even when a handler still holds it.
        try? UnixSocket.shutdownWriting(socket.raw)
        onClose(self)
    }

    /// True when every answer has been handed to the kernel.
    var isFlushed: Bool {
        output.isEmpty && state.pendingOutput == 0
    }

    private func handle(_ readiness: Readiness) {
        if readiness.contains(.writable) {
            flush()
        }
        if watch != nil, !readiness.isDisjoint(with: [.readable, .hangUp, .error]) {
            receive()
        }
    }

    private func receive() {
        while watch != nil {
            // The span does not outlive the buffer, and only what was read is passed on.
            let outcome = unsafe withUnsafeTemporaryAllocation(byteCount: Self.readSize, alignment: 8) { buffer in
                unsafe read(into: buffer)
            }
            guard outcome else {
                return
            }
        }
    }

    /// Reads once.
    ///
    /// - Returns: True when there may be more.
    private func read(into buffer: UnsafeMutableRawBufferPointer) -> Bool {
        do throws(KernelError) {
            switch try unsafe socket.tryRead(into: buffer) {
            case .moved(let count):
                let calls = unsafe state.receive(
                    RawSpan(_unsafeBytes: UnsafeRawBufferPointer(rebasing: buffer[..<count]))
                )
                for call in calls where watch != nil {
                    onCall(self, call)
                }
                flush()
                return count == buffer.count
            case .wouldBlock:
                return false
            case .ended:
                close()
                return false
            }
        } catch {
            close()
            return false
        }
    }

    private func flush() {
        output += state.takeOutput()
        while watch != nil, written < output.count {
            do throws(KernelError) {
                switch try writeOnce() {
                case .moved(let count):
                    written += count
                case .wouldBlock:
                    return waitForWriting()
                case .ended:
                    return close()
                }
            } catch {
                return close()
            }
        }
        output = []
        written = 0
        setWaiting(false)
    }

    private func writeOnce() throws(KernelError) -> Transfer {
        var result = Result<Transfer, KernelError>.success(.wouldBlock)
        // The pointer is used only inside of the closure.
        unsafe output.withUnsafeBytes { bytes in
            do throws(KernelError) {
                result = .success(try unsafe socket.tryWrite(UnsafeRawBufferPointer(rebasing: bytes[written...])))
            } catch {
                result = .failure(error)
            }
        }
        return try result.get()
    }

    private func waitForWriting() {
        output.removeFirst(written)
        written = 0
        guard output.count <= Self.maximumPendingOutput else {
            return close()
        }
        setWaiting(true)
    }

    private func setWaiting(_ waits: Bool) {
        guard waits != waitsForWriting, let watch else {
            return
        }
        waitsForWriting = waits
        do throws(KernelError) {
            try loop.change(watch, waits ? [.readable, .writable] : .readable)
        } catch {
            close()
        }
    }
}
