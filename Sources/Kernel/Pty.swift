internal import CKernel
internal import Glibc

/// A pseudo-terminal.
public struct Pty: ~Copyable, Sendable {
    /// The size of a terminal's window in characters.
    public struct Size: Hashable, Sendable {
        /// Lines.
        public var rows: UInt16
        /// Characters a line.
        public var columns: UInt16

        /// Makes a size.
        public init(rows: UInt16, columns: UInt16) {
            self.rows = rows
            self.columns = columns
        }
    }

    /// The controlling side: what the program writes is read here.
    public var controller: Descriptor
    /// The terminal that the program gets; opened through the controlling side, so no path is involved.
    public var terminal: Descriptor

    /// Opens a pair in this mount namespace's devpts; for a container's own devpts use `init(multiplexer:)`.
    ///
    /// - Throws: `KernelError`.
    public init() throws(KernelError) {
        try self.init(
            multiplexer: Descriptor(adopting: try system("open pseudo-terminal") { ck_pty_open(O_RDWR | O_NOCTTY) })
        )
    }

    /// Makes the pair of an open `ptmx` file.
    ///
    /// - Parameter multiplexer: `ptmx` of the wanted devpts, opened for reading and writing.
    /// - Throws: `KernelError`.
    public init(multiplexer: consuming Descriptor) throws(KernelError) {
        let number = multiplexer.raw
        try system("unlock pseudo-terminal") { ck_pty_unlock(number) }
        terminal = Descriptor(adopting: try system("open terminal") { ck_pty_peer(number, O_RDWR | O_NOCTTY) })
        controller = multiplexer
    }

    /// Gives both ends up as objects that several holders can share.
    ///
    /// - Returns: the ends; each is closed when its last holder lets go.
    public consuming func ends() -> (controller: SharedDescriptor, terminal: SharedDescriptor) {
        (SharedDescriptor(controller), SharedDescriptor(terminal))
    }

    /// The N of `/dev/pts/N`.
    ///
    /// - Parameter controller: the controlling side.
    /// - Returns: the number.
    /// - Throws: `KernelError`.
    public static func number(of controller: RawDescriptor) throws(KernelError) -> Int32 {
        try system("read terminal number") { ck_pty_number(controller) }
    }

    /// Sets the window size; the programs on the terminal get SIGWINCH when it changed.
    ///
    /// - Parameters:
    ///   - descriptor: either side.
    ///   - size: the new size.
    /// - Throws: `KernelError`.
    public static func resize(_ descriptor: RawDescriptor, to size: Size) throws(KernelError) {
        try system("resize terminal") { ck_winsize_set(descriptor, size.rows, size.columns) }
    }

    /// The window size.
    ///
    /// - Parameter descriptor: either side.
    /// - Returns: the size.
    /// - Throws: `KernelError`; errno is `.notTerminal` when it is none.
    public static func size(of descriptor: RawDescriptor) throws(KernelError) -> Size {
        var size = Size(rows: 0, columns: 0)
        try system("read terminal size") { unsafe ck_winsize_get(descriptor, &size.rows, &size.columns) }
        return size
    }

    /// Makes a terminal the calling session's controlling terminal; the caller must be a session leader.
    ///
    /// - Parameter terminal: the program's side.
    /// - Throws: `KernelError`.
    public static func makeControllingTerminal(_ terminal: RawDescriptor) throws(KernelError) {
        try system("set controlling terminal") { ck_set_controlling_terminal(terminal) }
    }
}

/// A terminal's line settings, for clients that pass keys through untouched.
public struct TerminalMode: @unchecked Sendable {
    // A plain C structure of numbers; nothing in it is shared.
    private var settings: termios

    /// The present settings of a terminal.
    ///
    /// - Parameter terminal: an open terminal.
    /// - Throws: `KernelError`; errno is `.notTerminal` when it is none.
    public init(of terminal: RawDescriptor) throws(KernelError) {
        var current = termios()
        try system("read terminal settings") { unsafe tcgetattr(terminal, &current) }
        settings = current
    }

    /// The same settings with every key passed through (`cfmakeraw(3)`).
    public var raw: TerminalMode {
        var copy = self
        unsafe cfmakeraw(&copy.settings)
        return copy
    }

    /// Applies the settings.
    ///
    /// - Parameter terminal: an open terminal.
    /// - Throws: `KernelError`.
    public func apply(to terminal: RawDescriptor) throws(KernelError) {
        var copy = settings
        try system("set terminal settings") { unsafe tcsetattr(terminal, TCSANOW, &copy) }
    }
}
