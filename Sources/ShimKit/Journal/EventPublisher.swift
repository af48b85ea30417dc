import ShimModel
import FoundationEssentials
import Kernel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

/// Tells containerd what happens: calls of `Events.Forward`, one at a time and in order.
///
/// containerd may be away or restarting: until it can be reached again, events wait. An event that it takes and does not
/// answer is tried a few times and then dropped. Nothing here ever delays an answer to a request.
final class EventPublisher {
    /// Events that may wait; the oldest are dropped first.
    static let maximumQueue = 2048
    static let maximumAttempts = 6
    static let callTimeout = Duration.seconds(5)
    /// Between two tries; the first comes soon, because a restart is short.
    static let delays = Duration.milliseconds(100)...Duration.seconds(5)

    private let loop: EventLoop
    private let address: String
    private let namespace: String
    private var queue: [(payload: [UInt8], attempts: Int)] = []
    private var connection: Connection?
    private var retry: EventLoop.Timer?
    private var delay = EventPublisher.delays.lowerBound

    /// Called when the queue has become empty.
    var onIdle: (() -> Void)?

    init(address: String, namespace: String, loop: EventLoop) {
        self.address = address
        self.namespace = namespace
        self.loop = loop
    }

    /// True when nothing waits and no call is open.
    var isIdle: Bool {
        queue.isEmpty
    }

    /// Queues an event.
    func publish(_ topic: String, _ message: some Message, at time: Timestamp) {
        var request = EventsForwardRequest()
        request.envelope.timestamp = time.message
        request.envelope.namespace = namespace
        request.envelope.topic = topic
        request.envelope.event = Google_Protobuf_Any(packed: message)
        queue.append((request.bytes, 0))
        if queue.count > Self.maximumQueue {
            queue.remove(at: 1)
        }
        next()
    }

    private func next() {
        guard let first = queue.first else {
            onIdle?()
            return
        }
        guard retry == nil, connection?.isBusy != true else {
            return
        }
        do throws(KernelError) {
            var current = connection
            if current?.isOpen != true {
                current = try open()
                connection = current
            }
            current?.forward(first.payload)
        } catch {
            tryLater()
        }
    }

    private func open() throws(KernelError) -> Connection {
        let socket = try UnixSocket.connect(toFirstOf: [Self.place(address)], nonBlocking: true)
        return try Connection(socket: socket, loop: loop) { [weak self] isDelivered in
            self?.delivered(isDelivered)
        }
    }

    /// Where an address leads that somebody has configured: a path, the same after `unix://`, or `@` and an abstract name.
    private static func place(_ address: String) -> UnixSocket.Place {
        let scheme = "unix://"
        let name = address.hasPrefix(scheme) ? String(address.dropFirst(scheme.count)) : address
        return name.hasPrefix("@") ? .abstract(Array(name.utf8.dropFirst())) : .path(name)
    }

    private func delivered(_ isDelivered: Bool) {
        guard !queue.isEmpty else {
            return
        }
        if isDelivered {
            queue.removeFirst()
            delay = Self.delays.lowerBound
            return next()
        }
        connection?.close()
        connection = nil
        queue[0].attempts += 1
        if queue[0].attempts >= Self.maximumAttempts {
            queue.removeFirst()
        }
        tryLater()
    }

    private func tryLater() {
        retry = loop.after(delay) { [weak self] in
            self?.retry = nil
            self?.next()
        }
        delay = min(delay * 2, Self.delays.upperBound)
    }
}

extension EventPublisher {
    /// One connection to containerd with at most one call on it.
    private final class Connection {
        private let socket: Descriptor
        private let loop: EventLoop
        private let onAnswer: (Bool) -> Void
        private var state = TTRPCClientConnection()
        private var watch: EventLoop.Watch?
        private var timer: EventLoop.Timer?
        private var output: [UInt8] = []
        private(set) var isBusy = false

        init(socket: consuming Descriptor, loop: EventLoop, onAnswer: @escaping (Bool) -> Void) throws(KernelError) {
            self.socket = socket
            self.loop = loop
            self.onAnswer = onAnswer
            watch = try loop.watch(self.socket.raw, .readable) { [weak self] readiness in
                self?.handle(readiness)
            }
        }

        func forward(_ payload: [UInt8]) {
            isBusy = true
            do throws(RPCError) {
                _ = try state.call(
                    service: ServiceName.events,
                    method: "Forward",
                    payload: payload,
                    timeout: EventPublisher.callTimeout
                )
            } catch {
                return answer(false)
            }
            timer = loop.after(EventPublisher.callTimeout) { [weak self] in
                self?.answer(false)
            }
            output += state.takeOutput()
            write()
        }

        func close() {
            if let watch {
                loop.unwatch(watch)
            }
            watch = nil
            cancelTimer()
        }

        private func handle(_ readiness: Readiness) {
            if readiness.contains(.writable) {
                write()
            }
            guard !readiness.isDisjoint(with: [.readable, .hangUp, .error]), watch != nil else {
                return
            }
            do throws(KernelError) {
                let bytes = try socket.read(upTo: 4096)
                guard !bytes.isEmpty else {
                    return answer(false)
                }
                for completion in state.receive(bytes) {
                    // An error answer is an answer: containerd has seen the event and does not want it.
                    _ = completion
                    answer(true)
                }
            } catch  where error.errno == .wouldBlock {
                return
            } catch {
                answer(false)
            }
        }

        private func write() {
            var failed = false
            var isFull = false
            while !output.isEmpty, !failed, !isFull {
                // The pointer is used only inside of the closure.
                let count = unsafe output.withUnsafeBytes { bytes in
                    do throws(KernelError) {
                        switch try unsafe socket.tryWrite(bytes) {
                        case .moved(let count): return count
                        case .wouldBlock: isFull = true
                        case .ended: failed = true
                        }
                    } catch {
                        failed = true
                    }
                    return 0
                }
                output.removeFirst(count)
            }
            if let watch, !failed {
                failed = (try? loop.change(watch, isFull ? [.readable, .writable] : .readable)) == nil
            }
            if failed {
                answer(false)
            }
        }

        private func answer(_ isDelivered: Bool) {
            cancelTimer()
            guard isBusy else {
                // The peer closed between two calls; the next call opens a new connection.
                return close()
            }
            isBusy = false
            onAnswer(isDelivered)
        }

        private func cancelTimer() {
            if let timer {
                loop.cancel(timer)
            }
            timer = nil
        }

        /// False when the peer has gone.
        var isOpen: Bool {
            watch != nil
        }
    }
}
