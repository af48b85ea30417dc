import Kernel

/// The terminal in front of the user.
struct UserTerminal {
    private let original: TerminalMode

    /// Its size now; nil where there is none.
    static var size: Pty.Size? {
        for stream in [BorrowedDescriptor.standardOutput, .standardInput] where stream.isTerminal {
            if let size = try? Pty.size(of: stream.raw), size.rows > 0 { return size }
            // A terminal that does not know its size is as good as none.
        }
        return nil
    }

    /// Makes the terminal at standard input pass every key on; nil where standard input is something else.
    static func makeRaw() throws -> UserTerminal? {
        guard BorrowedDescriptor.standardInput.isTerminal else { return nil }
        let mode = try TerminalMode(of: 0)
        try mode.raw.apply(to: 0)
        return UserTerminal(original: mode)
    }

    /// Sets the modes that it had before.
    func restore() {
        // A terminal that is gone needs no restoring.
        try? original.apply(to: 0)
    }
}
