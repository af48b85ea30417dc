package import ContainerIO
package import Kernel
package import ShimModel
package import ShimProtocol

/// Makes the streams of processes as the caller of Create or Exec wants them.
package final class StreamFactory {
    private let watcher: StdioWatcher
    private var buffers: IOBuffers?
    /// The container's log, once Create has named one.
    package private(set) var log: LogWriter?

    /// - Parameters:
    ///   - loop: watches the descriptors.
    ///   - onChange: called when the descriptors of some process are others than before.
    package init(loop: EventLoop, onChange: @escaping () -> Void) {
        watcher = StdioWatcher(loop: loop, onChange: onChange)
    }

    /// Goes on with the log of another program.
    ///
    /// - Parameters:
    ///   - state: of the log.
    ///   - file: open for appending, with all that the state says of it; nil opens the path and looks.
    /// - Throws: Why the file cannot be opened.
    package func restoreLog(_ state: ShimLogState, file: SharedDescriptor?) throws(StateError) {
        do throws(ContainerIOError) {
            if let file {
                log = LogWriter(restoring: LogSnapshot(state, file: file), buffers: try sharedBuffers())
            } else {
                log = try LogWriter(state.options, buffers: try sharedBuffers())
            }
        } catch {
            throw .failed(error.code, "log '\(state.path)': \(error)")
        }
    }

    /// Goes on with the streams of another program.
    ///
    /// - Parameters:
    ///   - state: of the streams.
    ///   - prefix: of the names of their descriptors.
    ///   - names: the descriptors.
    /// - Returns: The streams, at work.
    /// - Throws: `invalidArgument` for a state that cannot be, or why nothing can be watched.
    package func restore(
        _ state: ShimStdioState,
        _ prefix: String,
        _ names: NamedDescriptors
    ) throws(StateError) -> ProcessIO {
        guard !state.nothing else {
            return ProcessIO(.nothing, isTerminal: false)
        }
        let snapshot = try StdioSnapshot(state, prefix, names)
        do throws(ContainerIOError) {
            let stdio = try ProcessStdio(
                restoring: snapshot,
                loop: watcher,
                buffers: try sharedBuffers(),
                log: state.hasLog_p ? log : nil
            )
            let plan = ProcessIO.Plan.managed(stdio, hasInput: state.hasInput_p)
            return ProcessIO(restoring: plan, state, terminal: names[prefix + "terminal"])
        } catch {
            throw .failed(error.code, "streams of \(prefix): \(error)")
        }
    }

    /// Streams of deleted processes whose clients have everything and are still there.
    package var flushing: [ProcessIO] {
        (buffers?.flushing ?? []).map { ProcessIO(.managed($0, hasInput: false), isTerminal: $0.options.isTerminal) }
    }

    /// The streams of the init process.
    package func initial(_ paths: StdioPaths, _ options: ShimCreateOptions?) throws(RPCError) -> ProcessIO {
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
    ///   - ringByteCount: Recent output that is kept for clients who come later.
    /// - Returns: The streams, without descriptors yet.
    /// - Throws: `unsupported` for an address of another kind, or why something could not be opened.
    package func exec(_ paths: StdioPaths, isManaged: Bool, ringByteCount: Int = 0) throws(RPCError) -> ProcessIO {
        guard isManaged, paths.isEmpty else {
            return try client(paths)
        }
        do {
            let stdio = ProcessStdio(
                ProcessStdioOptions(
                    isTerminal: paths.terminal,
                    closesStdinWithClient: true,
                    ringByteCount: ringByteCount
                ),
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
    package func releaseMemory() {
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
