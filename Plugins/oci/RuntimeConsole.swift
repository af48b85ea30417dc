import Kernel
import ShimKit

/// The socket on which a runtime hands over a terminal (`--console-socket`).
struct RuntimeConsole: ~Copyable {
    /// How long a runtime that has ended well may have the terminal still on its way.
    private static let patience = Duration.seconds(2)

    /// What the runtime is told: relative to its working directory, because a socket's path is short.
    let name: String
    private let path: String
    private let listener: Descriptor

    /// Listens in a bundle.
    init(bundle: String, name: String) throws(BackendError) {
        self.name = name
        path = "\(bundle)/\(name)"
        do throws(KernelError) { listener = try UnixSocket.listen(path) } catch {
            throw .failed(stage: "console", error)
        }
    }

    deinit {
        // It goes with the bundle otherwise.
        _ = try? File.remove(path)
    }

    /// Takes the master that the runtime has sent.
    func master() throws(BackendError) -> SharedDescriptor {
        do throws(KernelError) {
            guard !(try listener.poll(for: .readable, timeout: Self.patience)).isEmpty,
                let socket = try UnixSocket.accept(listener.raw, nonBlocking: true),
                !(try socket.poll(for: .readable, timeout: Self.patience)).isEmpty
            else { throw .failed("receive terminal", "", .timedOut) }
            let message = try UnixSocket.receiveDescriptors(from: socket.raw, byteLimit: 4096, descriptorLimit: 1)
            guard let master = message.descriptors.first else {
                throw .failed("receive terminal", "", .badProtocol, detail: "the runtime sent none")
            }
            return master
        } catch {
            throw .failed(stage: "console", error)
        }
    }
}
