import ShimModel
import Kernel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

/// One connection of the descriptor socket: one request, one answer.
final class DescriptorExchange {
    typealias Handler = (ShimDescriptorRequest, SharedDescriptor?, DescriptorExchange) throws(RPCError) -> Void

    /// Bytes of a request, with what a client has sent already.
    static let maximumRequest = 1 << 20
    /// Time for a peer to send its request, and to take its answer.
    static let timeout = Duration.seconds(5)
    /// Before descriptors are sent again that the kernel has no room for.
    private static let retry = Duration.milliseconds(5)

    /// The connection.
    let socket: SharedDescriptor
    private let loop: EventLoop
    private let onRequest: Handler
    private var passed: SharedDescriptor?
    private var bytes: [UInt8] = []
    /// What is still to be sent: the answer, then descriptors.
    private var answerBytes: ArraySlice<UInt8> = []
    private var outgoing: ArraySlice<SharedDescriptor> = []
    private var watch: EventLoop.Watch?
    private var timer: EventLoop.Timer?

    /// Waits for the request.
    ///
    /// The watch keeps this object until the exchange is over; so does who answers later.
    init(socket: SharedDescriptor, loop: EventLoop, _ onRequest: @escaping Handler) throws(KernelError) {
        self.socket = socket
        self.loop = loop
        self.onRequest = onRequest
        watch = try loop.watch(socket.raw, .readable) { [self] _ in
            receive()
        }
        startTimer()
    }

    private func startTimer() {
        stopTimer()
        timer = loop.after(Self.timeout) { [weak self] in
            self?.timer = nil
            self?.end()
        }
    }

    private func stopTimer() {
        if let timer {
            loop.cancel(timer)
        }
        timer = nil
    }

    private func receive() {
        do throws(KernelError) {
            let message = try UnixSocket.receiveDescriptors(from: socket.raw, byteLimit: 64 << 10, descriptorLimit: 1)
            guard !message.bytes.isEmpty else {
                return end()
            }
            passed = passed ?? message.descriptors.first
            bytes += message.bytes
        } catch  where error.errno == .wouldBlock {
            return
        } catch {
            return end()
        }
        guard bytes.count >= 4 else {
            return
        }
        let length = Int(bytes.bigEndian(0..<4))
        guard length <= Self.maximumRequest else {
            return answer(.invalidArgument("request of \(length) bytes"))
        }
        if bytes.count >= 4 + length {
            handle(Array(bytes[4..<(4 + length)]))
        }
    }

    private func handle(_ document: [UInt8]) {
        stopWatching()
        stopTimer()
        bytes = []
        guard let request = try? ShimDescriptorRequest(serializedBytes: document) else {
            return answer(.invalidArgument("no request of a descriptor socket"))
        }
        do throws(RPCError) {
            try onRequest(request, passed, self)
        } catch {
            answer(error)
        }
    }

    // Answers -----------------------------------------------------------------------------------------------------------

    /// Answers with an error, or that all is well, and ends the exchange.
    func answer(_ error: RPCError?) {
        Self.answer(error, on: socket)
        end()
    }

    /// The same for who has nothing but the connection.
    static func answer(_ error: RPCError?, on socket: SharedDescriptor) {
        let response = ShimDescriptorResponse.with { response in
            response.code = error?.status.rawValue ?? 0
            response.message = error?.message ?? ""
        }
        // A fresh connection has room for a short answer; a peer that has gone needs none.
        try? socket.writeAll(frame(response))
    }

    /// Answers well, with descriptors behind the answer, and ends the exchange when they are sent.
    func answer(_ response: ShimDescriptorResponse, with descriptors: [SharedDescriptor]) {
        answerBytes = Self.frame(response)[...]
        outgoing = descriptors[...]
        startTimer()
        flush()
    }

    private static func frame(_ response: ShimDescriptorResponse) -> [UInt8] {
        let document = response.bytes
        var frame: [UInt8] = []
        frame.append(bigEndian: UInt32(document.count))
        return frame + document
    }

    /// Sends as much as the kernel takes; the peer has to take some before there is room for more.
    private func flush() {
        do throws(KernelError) {
            while !answerBytes.isEmpty {
                let count = try UnixSocket.sendDescriptors(
                    [],
                    with: Array(answerBytes.prefix(32 << 10)),
                    to: socket.raw
                )
                answerBytes = answerBytes.dropFirst(count)
            }
            while !outgoing.isEmpty {
                let batch = outgoing.prefix(UnixSocket.maximumPassedDescriptors)
                try UnixSocket.sendDescriptors(batch.map(\.raw), with: [0], to: socket.raw)
                outgoing = outgoing.dropFirst(batch.count)
            }
        } catch  where (error.errno == .wouldBlock || error.errno == .tooManyReferences) && timer != nil {
            loop.after(Self.retry) { [self] in flush() }
            return
        } catch {
            ShimLog.write("descriptors not handed over", ("error", error.description))
        }
        end()
    }

    private func stopWatching() {
        if let watch {
            loop.unwatch(watch)
        }
        watch = nil
    }

    private func end() {
        stopWatching()
        stopTimer()
        passed = nil
        bytes = []
        answerBytes = []
        outgoing = []
    }
}
