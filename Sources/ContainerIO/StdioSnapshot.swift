package import Kernel

/// Everything about a process' stdio between two events, so that another object, or another program, can go on from there.
///
/// The descriptors are shared with the object that was asked, which must not be used any more once another one goes on.
package struct StdioSnapshot {
    /// One output of the process.
    package struct Output {
        package var stream: StdioStream
        /// Nil when it has ended.
        package var source: SharedDescriptor?
        /// Bytes that are still taken although clients are slow.
        package var allowance = 0

        package init(stream: StdioStream, source: SharedDescriptor?) {
            (self.stream, self.source) = (stream, source)
        }
    }

    /// Where a client that has fallen behind goes on in the log.
    package struct Behind {
        /// From the one that it reads to the one that was written last.
        package var files: [SharedDescriptor]
        /// In the first file.
        package var offset: Int64
        /// Where the output of the process has ended in the last file; nil as long as it has not.
        package var end: Int64?

        package init(files: [SharedDescriptor], offset: Int64, end: Int64?) {
            (self.files, self.offset, self.end) = (files, offset, end)
        }
    }

    /// One attached client.
    package struct Client {
        package var socket: SharedDescriptor
        package var options: AttachOptions
        package var matchedKeys = 0
        package var phase = AttachState.Phase.open
        package var inputIsOpen = true
        package var deadline: Timestamp?
        package var pending: [UInt8] = []
        package var endedStreams: StdioStreams = []
        package var behind: Behind?

        package init(socket: SharedDescriptor, options: AttachOptions) {
            (self.socket, self.options) = (socket, options)
        }
    }

    package var options: ProcessStdioOptions
    package var hasStarted = false
    package var outputs: [Output] = []
    /// The end that is written; nil for none, and for a terminal, whose output it is too.
    package var input: SharedDescriptor?
    package var inputIsOpen = true
    package var inputIsClosing = false
    package var pendingInput: [UInt8] = []
    package var clients: [Client] = []
    package var recentOutput: [UInt8] = []
    package var drainDeadline: Timestamp?

    package init(_ options: ProcessStdioOptions) {
        self.options = options
    }
}

extension ProcessStdio {
    /// What another object needs to go on; nothing here changes.
    ///
    /// Named pipes and files of containerd's clients are not in it; `hasOnlyAttachedClients` says whether there are any.
    package var snapshot: StdioSnapshot {
        var snapshot = StdioSnapshot(options)
        snapshot.hasStarted = hasStarted
        snapshot.outputs = pumps.map { pump in
            var output = StdioSnapshot.Output(stream: pump.stream, source: pump.hasEnded ? nil : pump.source)
            output.allowance = pump.allowance
            return output
        }
        snapshot.input = options.isTerminal ? nil : stdin.target
        snapshot.inputIsOpen = stdin.isOpen
        snapshot.inputIsClosing = stdin.isClosing
        snapshot.pendingInput = stdin.pending
        snapshot.clients = clients.compactMap { ($0 as? AttachSession)?.snapshot }
        snapshot.recentOutput = ring.contents
        snapshot.drainDeadline = drainDeadline
        return snapshot
    }

    /// Whether `snapshot` has all of it.
    package var hasOnlyAttachedClients: Bool {
        fifoInput == nil && clients.allSatisfy { $0 is AttachSession }
    }

    /// Goes on where another object has stopped.
    ///
    /// One whose process was reaped already is told so again, by `processExited`.
    ///
    /// - Parameters:
    ///   - snapshot: what the other one had.
    ///   - loop: watches the descriptors; must outlive this object.
    ///   - buffers: the loop's.
    ///   - log: as before.
    /// - Throws: the kernel's reason; nothing is watched then.
    package convenience init(
        restoring snapshot: StdioSnapshot,
        loop: any StdioLoop,
        buffers: IOBuffers,
        log: LogWriter?
    ) throws(ContainerIOError) {
        self.init(snapshot.options, loop: loop, buffers: buffers, log: log)
        unsafe snapshot.recentOutput.withUnsafeBytes { unsafe ring.append($0) }
        drainDeadline = snapshot.drainDeadline
        let input = try Self.prepare(snapshot)
        stdin.restore(pending: snapshot.pendingInput, isClosing: snapshot.inputIsClosing)
        hasStarted = snapshot.hasStarted
        pumps = snapshot.outputs.map { output in
            OutputPump(output.source, stream: output.stream, allowance: output.allowance, owner: self)
        }
        startedStreams = StdioStreams(pumps.map { StdioStreams($0.stream) })
        let sessions = snapshot.clients.map { AttachSession(restoring: $0, owner: self) }
        clients = sessions
        for session in sessions { session.resume(loop: loop) }
        for pump in pumps where !pump.hasEnded { pump.watch(with: loop) }
        if hasStarted || !snapshot.inputIsOpen { stdin.reconnect(snapshot.inputIsOpen ? input : nil, loop: loop) }
        scheduleTick()
    }

    /// Makes the descriptors non-blocking.
    ///
    /// - Returns: The end to write to.
    private static func prepare(_ snapshot: StdioSnapshot) throws(ContainerIOError) -> SharedDescriptor? {
        do throws(KernelError) {
            for client in snapshot.clients { try client.socket.setNonBlocking() }
            for output in snapshot.outputs { try output.source?.setNonBlocking() }
            var input = snapshot.input
            if snapshot.options.isTerminal {
                guard let terminal = snapshot.outputs.first?.source else { return nil }
                input = SharedDescriptor(try terminal.duplicate())
            }
            try input?.setNonBlocking()
            return input
        } catch {
            throw .kernel(error)
        }
    }
}
