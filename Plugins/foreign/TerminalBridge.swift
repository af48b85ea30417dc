import Kernel

/// A process that makes one connection of the two pipes over which a foreign shim passes a terminal.
///
/// ShimKit knows terminals as one descriptor, and the foreign shim keeps the real one. Ends with the terminal's output.
enum TerminalBridge {
    static let command = "terminal"
    /// Descriptors by number: the connection, the foreign shim's input, its output.
    private static let (connection, input, output): (RawDescriptor, RawDescriptor, RawDescriptor) = (3, 4, 5)

    /// What a terminal's holder and the foreign shim get.
    struct Ends {
        /// In place of the master of a terminal.
        let terminal: SharedDescriptor
        /// What the foreign shim reads.
        let input: SharedDescriptor
        /// What it writes.
        let output: SharedDescriptor
    }

    /// Starts the process.
    static func start() throws(KernelError) -> Ends {
        let (ours, theirs) = try UnixSocket.pair(nonBlocking: false)
        let (inputReader, inputWriter) = try Pipe().ends()
        let (outputReader, outputWriter) = try Pipe().ends()
        var spawn = Spawn(arguments: [CommandLine.arguments.first ?? "shim", command])
        spawn.descriptors = [
            2: BorrowedDescriptor.standardError.raw, connection: theirs.raw, input: inputWriter.raw,
            output: outputReader.raw,
        ]
        let program = try SealedExecutable()
        try withExtendedLifetime((theirs, inputWriter, outputReader)) { () throws(KernelError) in
            _ = try spawn.start(program.descriptor.raw)
        }
        return Ends(terminal: ours, input: inputReader, output: outputWriter)
    }

    /// The process itself.
    static func main() -> Never {
        Signals.ignore(.pipe)
        // Whatever fails: the other side has gone, and there is nobody to tell.
        do throws(KernelError) { try copy() } catch {}
        Clone.exit(0)
    }

    /// Copies both ways until the output ends.
    private static func copy() throws(KernelError) {
        let (client, writer, reader) = (
            BorrowedDescriptor(connection), BorrowedDescriptor(input), BorrowedDescriptor(output)
        )
        var hasClient = true
        while true {
            var set = PollSet()
            set.add(reader.raw, .readable)
            if hasClient { set.add(client.raw, .readable) }
            let ready = try set.wait(timeout: nil).map(\.descriptor)
            if ready.contains(client.raw) {
                let bytes = try client.read(upTo: 16 << 10)
                hasClient = !bytes.isEmpty
                // A terminal has no end of input but the one that is typed.
                try writer.writeAll(bytes)
            }
            guard ready.contains(reader.raw) else { continue }
            let bytes = try reader.read(upTo: 16 << 10)
            if bytes.isEmpty { return }
            try client.writeAll(bytes)
        }
    }
}
