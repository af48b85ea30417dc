import Kernel

/// The descriptors after standard error that a container gets from the caller: those of socket activation, then as many as asked for.
struct InheritedDescriptors {
    let count: Int
    /// What tells the program about those of socket activation.
    let environment: [String]

    private static let most = 1 << 16

    /// Counts them; called before anything else is opened, so that a number that is open is the caller's.
    init(_ arguments: Arguments) throws(RuntimeError) {
        let wanted = try arguments.number("preserve-fds", Int.self) ?? 0
        guard (0...Self.most).contains(wanted) else { throw .usage("--preserve-fds: \(wanted) is out of range") }
        let listening = Self.listening
        count = listening + wanted
        environment = listening > 0 ? ["LISTEN_FDS=\(listening)", "LISTEN_PID=1"] : []
        for number in 3..<3 + count {
            guard (try? BorrowedDescriptor(RawDescriptor(number)).isCloseOnExec()) != nil else {
                throw .usage("descriptor \(number) is to be passed on and is not open")
            }
        }
    }

    /// How many descriptors of socket activation are meant for this process (sd_listen_fds(3)).
    private static var listening: Int {
        guard let text = CurrentProcess.environment("LISTEN_FDS"), let number = Int(text), (1...most).contains(number),
            CurrentProcess.environment("LISTEN_PID") == String(Credentials.processID)
        else { return 0 }
        return number
    }
}

/// The file that tells the caller the number of a process.
enum PidFile {
    static func write(_ pid: Int32, to path: String) throws(RuntimeError) {
        try kernel { () throws(KernelError) in
            try File.writeAtomically(path, Array(String(pid).utf8), mode: 0o644, durable: false)
        }
    }
}

/// The caller's socket for the other end of a terminal.
struct ConsoleSocket {
    private let connection: SharedDescriptor

    /// Connects, when there is a terminal to give away.
    init?(_ arguments: Arguments, terminal: Bool, showsTerminal: Bool) throws(RuntimeError) {
        guard let path = arguments.last("console-socket") else {
            guard !terminal || showsTerminal else {
                throw .usage("the process has a terminal, and nobody takes its other end: --console-socket is missing")
            }
            return nil
        }
        guard terminal else { throw .usage("--console-socket is given, and the process has no terminal") }
        connection = SharedDescriptor(
            try kernel { () throws(KernelError) in try UnixSocket.connect(path, kind: .stream) }
        )
    }

    /// Sends the terminal's other end.
    func give(_ terminal: SharedDescriptor) throws(RuntimeError) {
        try kernel { () throws(KernelError) in
            try UnixSocket.sendDescriptors([terminal.raw], with: Array("/dev/ptmx".utf8), to: connection.raw)
        }
    }
}
