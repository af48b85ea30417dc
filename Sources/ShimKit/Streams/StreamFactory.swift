import ContainerIO
import Kernel
import ShimProtocol

/// Makes the streams of processes as the caller of Create or Exec wants them.
final class StreamFactory {
    private let watcher: StdioWatcher
    private var buffers: IOBuffers?
    /// The container's log, once Create has named one.
    private(set) var log: LogWriter?

    init(loop: EventLoop) {
        watcher = StdioWatcher(loop: loop)
    }

    /// The streams of the init process.
    func initial(_ paths: StdioPaths, _ options: ShimCreateOptions?) throws(RPCError) -> ProcessIO {
        guard let options else {
            return try client(paths)
        }
        do {
            // A container that is started again goes on in the same file.
            if log == nil, !options.log.disabled, !options.log.path.isEmpty {
                let log = LogWriterOptions(
                    path: options.log.path,
                    maximumFileSizeInBytes: options.log.maxSizeInBytes,
                    maximumFileCount: Int(max(1, options.log.maxFiles))
                )
                self.log = try LogWriter(log, buffers: try sharedBuffers())
            }
            let stdio = ProcessStdio(
                ProcessStdioOptions(
                    isTerminal: paths.terminal,
                    closesStdinWithClient: options.stdinOnce,
                    ringByteCount: Int(min(options.ringSizeInBytes, 1 << 20))
                ),
                loop: watcher,
                buffers: try sharedBuffers(),
                log: log
            )
            return ProcessIO(.managed(stdio, hasInput: options.openStdin), isTerminal: paths.terminal)
        } catch {
            throw Self.failure(error)
        }
    }

    /// The streams of an exec session.
    ///
    /// - Parameters:
    ///   - paths: What the client named.
    ///   - isManaged: Whether berthd created the container, so that clients come through the descriptor socket.
    /// - Returns: The streams, without descriptors yet.
    /// - Throws: `unsupported` for an address of another kind, or why something could not be opened.
    func exec(_ paths: StdioPaths, isManaged: Bool) throws(RPCError) -> ProcessIO {
        guard isManaged, paths.isEmpty else {
            return try client(paths)
        }
        do {
            let stdio = ProcessStdio(
                ProcessStdioOptions(isTerminal: paths.terminal, closesStdinWithClient: true),
                loop: watcher,
                buffers: try sharedBuffers(),
                log: nil
            )
            return ProcessIO(.managed(stdio, hasInput: false), isTerminal: paths.terminal)
        } catch {
            throw Self.failure(error)
        }
    }

    /// Gives back the memory that transfers have used.
    ///
    /// Call it when the loop is about to wait.
    func releaseMemory() {
        buffers?.releaseMemory()
    }

    /// Streams that containerd's client named by paths.
    private func client(_ paths: StdioPaths) throws(RPCError) -> ProcessIO {
        guard paths.terminal || !paths.isEmpty else {
            return ProcessIO(.nothing, isTerminal: false)
        }
        do {
            let stdio = ProcessStdio(
                ProcessStdioOptions(isTerminal: paths.terminal),
                loop: watcher,
                buffers: try sharedBuffers(),
                log: nil
            )
            return ProcessIO(
                .managed(stdio, hasInput: !paths.stdin.isEmpty),
                isTerminal: paths.terminal,
                clientPaths: ContainerdStdio(stdin: paths.stdin, stdout: paths.stdout, stderr: paths.stderr)
            )
        } catch {
            throw Self.failure(error)
        }
    }

    private func sharedBuffers() throws(ContainerIOError) -> IOBuffers {
        if let buffers {
            return buffers
        }
        let made = try IOBuffers()
        buffers = made
        return made
    }

    private static func failure(_ error: any Error) -> RPCError {
        let code = (error as? ContainerIOError)?.code ?? .internal
        return .failed(code, "stdio: \(error)")
    }
}
