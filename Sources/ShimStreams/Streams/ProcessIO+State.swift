package import ContainerIO
import FoundationEssentials
import Kernel
package import ShimModel
package import ShimProtocol

// The streams of a process as a state, and back.

extension ProcessIO {
    /// What a state says of the streams.
    ///
    /// - Parameter isComplete: whether what only memory has is in it.
    /// - Returns: The state.
    package func state(isComplete: Bool) -> ShimStdioState {
        var state = ShimStdioState()
        guard case .managed(let stdio, let hasInput) = plan else {
            state.nothing = true
            return state
        }
        let snapshot = stdio.snapshot
        state.terminal = isTerminal
        state.hasInput_p = hasInput
        state.hasWriter_p = hasWriter
        state.inputClosed = inputIsClosed
        state.closesStdinWithClient = snapshot.options.closesStdinWithClient
        state.ringSize = UInt64(snapshot.options.ringByteCount)
        state.hasLog_p = stdio.hasLog
        state.started = snapshot.hasStarted
        state.outputs = snapshot.outputs.map { ShimOutputState($0, isTerminal: isTerminal) }
        state.input = ShimInputState(snapshot, isComplete: isComplete)
        state.clients = snapshot.clients.map { ShimClientState($0, isComplete: isComplete) }
        state.drainDeadline = snapshot.drainDeadline?.nanosecondsSinceEpoch ?? 0
        if isComplete {
            state.ring = .init(snapshot.recentOutput)
        }
        return state
    }

    /// The descriptors that the streams need, the clients' included.
    package func collect(_ prefix: String, into names: inout NamedDescriptors) {
        guard case .managed(let stdio, _) = plan else {
            return
        }
        let snapshot = stdio.snapshot
        names.add(prefix + "terminal", terminal)
        names.add(prefix + "stdin", snapshot.input)
        if !isTerminal {
            for output in snapshot.outputs {
                names.add(prefix + output.stream.name, output.source)
            }
        }
        for client in snapshot.clients {
            names.add(DescriptorName.client(client.options.number), client.socket)
        }
    }

    /// The files of the log that clients still read.
    package func collectBehind(into names: inout NamedDescriptors) {
        guard case .managed(let stdio, _) = plan else {
            return
        }
        for client in stdio.snapshot.clients {
            for (index, file) in (client.behind?.files ?? []).enumerated() {
                names.add(DescriptorName.behind(client.options.number, UInt32(index)), file)
            }
        }
    }

    /// The numbers of the clients that go on in the log.
    package var clientsBehind: Set<UInt64> {
        guard case .managed(let stdio, _) = plan else {
            return []
        }
        return stdio.clientsBehind
    }

    /// Whether `state` has everything: named pipes of containerd's clients are not in it.
    package var isRestorable: Bool {
        guard case .managed(let stdio, _) = plan else {
            return true
        }
        return clientPaths == nil && stdio.hasOnlyAttachedClients
    }
}

extension StdioSnapshot {
    /// The snapshot that a state describes.
    ///
    /// - Parameters:
    ///   - state: of the streams.
    ///   - prefix: of the names of its descriptors.
    ///   - names: the descriptors. What is missing has ended.
    /// - Throws: `invalidArgument` for a stream that does not exist.
    package init(_ state: ShimStdioState, _ prefix: String, _ names: NamedDescriptors) throws(StateError) {
        self.init(
            ProcessStdioOptions(
                isTerminal: state.terminal,
                closesStdinWithClient: state.closesStdinWithClient,
                ringByteCount: Int(min(state.ringSize, 1 << 20))
            )
        )
        hasStarted = state.started
        for output in state.outputs {
            guard let stream = UInt8(exactly: output.stream).flatMap(StdioStream.init(rawValue:)) else {
                throw .damaged("output \(output.stream) of \(prefix)")
            }
            let name = state.terminal ? "terminal" : stream.name
            var restored = Output(stream: stream, source: output.ended ? nil : names[prefix + name])
            restored.allowance = Int(clamping: min(output.allowance, 1 << 20))
            outputs.append(restored)
        }
        input = names[prefix + "stdin"]
        inputIsOpen = state.input.open
        inputIsClosing = state.input.closing
        pendingInput = Array(state.input.pending)
        recentOutput = Array(state.ring)
        drainDeadline = Timestamp(monotonicNanoseconds: state.drainDeadline)
        clients = state.clients.compactMap { client in
            names[DescriptorName.client(client.number)].map { Client(client, socket: $0, names) }
        }
    }
}

extension StdioStream {
    /// The last part of the name of its descriptor.
    var name: String {
        switch self {
        case .stdout: "stdout"
        case .stderr: "stderr"
        }
    }
}

extension ShimOutputState {
    fileprivate init(_ output: StdioSnapshot.Output, isTerminal: Bool) {
        self.init()
        stream = UInt32(output.stream.rawValue)
        // What cannot be read is not found again without its descriptor.
        inode = isTerminal ? 0 : (try? output.source?.status().inode) ?? 0
        allowance = UInt64(output.allowance)
        ended = output.source == nil
    }
}

extension ShimInputState {
    fileprivate init(_ snapshot: StdioSnapshot, isComplete: Bool) {
        self.init()
        open = snapshot.inputIsOpen
        closing = snapshot.inputIsClosing
        inode = (try? snapshot.input?.status().inode) ?? 0
        if isComplete {
            pending = .init(snapshot.pendingInput)
        }
    }
}

extension ShimClientState {
    fileprivate init(_ client: StdioSnapshot.Client, isComplete: Bool) {
        self.init()
        number = client.options.number
        stdin = client.options.stdin
        stdout = client.options.streams.contains(.stdout)
        stderr = client.options.streams.contains(.stderr)
        multiplexed = client.options.isMultiplexed
        closesStdin = client.options.closesStdin
        marksEnd = client.options.marksEnd
        detachKeys = .init(client.options.detachKeys.bytes)
        matchedKeys = UInt32(client.matchedKeys)
        switch client.phase {
        case .open, .closed: phase = .open
        case .flushing: phase = .flushing
        case .lingering: phase = .lingering
        }
        inputEnded = !client.inputIsOpen
        deadline = client.deadline?.nanosecondsSinceEpoch ?? 0
        stdoutEnded = client.endedStreams.contains(.stdout)
        stderrEnded = client.endedStreams.contains(.stderr)
        if isComplete {
            pending = .init(client.pending)
        }
        // A successor has no files of it: it knows that there is a gap.
        if !isComplete, client.behind != nil {
            behind = ShimBehindState()
        }
        if isComplete, let place = client.behind {
            behind.files = UInt32(clamping: place.files.count)
            behind.offset = place.offset
            behind.ended = place.end != nil
            behind.end = place.end ?? 0
        }
    }
}

extension StdioSnapshot.Client {
    fileprivate init(_ state: ShimClientState, socket: SharedDescriptor, _ names: NamedDescriptors) {
        var streams: StdioStreams = []
        if state.stdout { streams.insert(.stdout) }
        if state.stderr { streams.insert(.stderr) }
        var options = AttachOptions(
            stdin: state.stdin,
            streams: streams,
            isMultiplexed: state.multiplexed,
            detachKeys: DetachKeys(bytes: Array(state.detachKeys)),
            closesStdin: state.closesStdin,
            marksEnd: state.marksEnd
        )
        options.number = state.number
        self.init(socket: socket, options: options)
        matchedKeys = Int(state.matchedKeys)
        switch state.phase {
        case .open, .UNRECOGNIZED: phase = .open
        case .flushing: phase = .flushing
        case .lingering: phase = .lingering
        }
        inputIsOpen = !state.inputEnded
        deadline = Timestamp(monotonicNanoseconds: state.deadline)
        pending = Array(state.pending)
        if state.stdoutEnded { endedStreams.insert(.stdout) }
        if state.stderrEnded { endedStreams.insert(.stderr) }
        guard state.hasBehind else { return }
        let wanted = (0..<state.behind.files).map { DescriptorName.behind(state.number, $0) }
        var files = wanted.compactMap { names[$0] }
        // With a gap there is nothing to go on with.
        if files.count < wanted.count { files = [] }
        behind = StdioSnapshot.Behind(
            files: files,
            offset: state.behind.offset,
            end: state.behind.ended ? state.behind.end : nil
        )
    }
}
