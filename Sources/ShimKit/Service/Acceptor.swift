import Kernel
import ShimModel
import ShimStreams

/// Accepts the connections of one listening socket.
///
/// A connection for which there is no descriptor stays in the kernel's queue, and the socket readable: it is left alone for a while then, for
/// the loop would do nothing else, and its log grow without end.
final class Acceptor {
    typealias Handler = (consuming Descriptor) throws(KernelError) -> Void

    /// Between two attempts without descriptors.
    private static let pause = Duration.milliseconds(200)

    private let listener: SharedDescriptor
    private let loop: EventLoop
    /// What the log calls the socket.
    private let name: String
    private let onConnection: Handler
    private var watch: EventLoop.Watch?
    private var isPaused = false

    /// Accepts from now on, for as long as this object is kept.
    ///
    /// An error of `onConnection` is that of its connection alone.
    init(
        _ listener: SharedDescriptor,
        name: String,
        loop: EventLoop,
        _ onConnection: @escaping Handler
    ) throws(KernelError) {
        (self.listener, self.name, self.loop, self.onConnection) = (listener, name, loop, onConnection)
        watch = try loop.watch(listener.raw, .readable) { [weak self] _ in
            self?.accept()
        }
    }

    private func accept() {
        while true {
            let next: Descriptor?
            do throws(KernelError) { next = try UnixSocket.accept(listener.raw) } catch {
                return pause(error)
            }
            guard let socket = next else {
                return resume()
            }
            do throws(KernelError) { try onConnection(socket) } catch {
                ShimLog.write("connection failed", ("socket", name), ("error", error.description))
            }
        }
    }

    private func pause(_ error: KernelError) {
        if !isPaused {
            isPaused = true
            ShimLog.write("accept failed", ("socket", name), ("error", error.description))
            // Without it the loop comes back at once, which is what there was.
            if let watch { try? loop.change(watch, []) }
        }
        loop.after(Self.pause) { [weak self] in
            self?.accept()
        }
    }

    private func resume() {
        guard isPaused, let watch else { return }
        do throws(KernelError) {
            try loop.change(watch, .readable)
            isPaused = false
            ShimLog.write("accepting again", ("socket", name))
        } catch {
            pause(error)
        }
    }
}
