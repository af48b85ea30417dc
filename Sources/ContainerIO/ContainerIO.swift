// ContainerIO moves a process' bytes: from its pipes or pty into the container's log and to attached clients, and from
// clients into its stdin; and it reads the log back.
//
// Two sides share this target and never a thread:
//
// - The shim's side (`ProcessStdio`, `OutputPump`, `StdinSink`, `AttachSession`, `LogWriter`) is driven by one epoll
//   loop. Nothing here starts a thread or blocks on anything but the log's own file. An object exposes a descriptor and
//   what it waits for (`StdioSource`) and is told when it is ready; what it decides is a value type without I/O
//   (`AttachState`, `DetachMatcher`, `ByteQueue`), tested as one.
// - The engine's side (`LogReader`) is blocking or pulled, and safe to run while the shim writes and rotates.
//
// The log is the CRI text format, one record a line. Bytes are never held back in memory: what a read of the pipe
// returned is in the file before the next event is handled, so that the loss of a shim loses no output that it had
// taken. A line that is not complete by then is written as a partial record ("P"), which a reader joins again.

/// One of the two outputs of a process.
public enum StdioStream: UInt8, Sendable, CaseIterable {
    /// Descriptor 1. All output of a process with a terminal counts as this one.
    case stdout = 1
    /// Descriptor 2.
    case stderr = 2
}

/// A set of outputs.
public struct StdioStreams: OptionSet, Sendable {
    /// One bit per stream: `1 << StdioStream.rawValue`.
    public let rawValue: UInt8

    /// Takes the bits as they are; unknown bits select nothing.
    public init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The set with one stream.
    public init(_ stream: StdioStream) {
        rawValue = 1 << stream.rawValue
    }

    /// Standard output.
    public static let stdout = StdioStreams(.stdout)
    /// Standard error.
    public static let stderr = StdioStreams(.stderr)
    /// Both.
    public static let all: StdioStreams = [.stdout, .stderr]

    /// Whether `stream` is in the set.
    public func contains(_ stream: StdioStream) -> Bool {
        contains(StdioStreams(stream))
    }
}
