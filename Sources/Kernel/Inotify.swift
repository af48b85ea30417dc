internal import Glibc

/// Tells that files changed (`inotify(7)`).
///
/// Made for users who look at the files themselves when something happened: events are counted, not described.
public struct Inotify: ~Copyable, DescriptorHolder, Sendable {
    /// What to be told of; the kernel's bits.
    public struct Events: OptionSet, Hashable, Sendable {
        /// The kernel's bits.
        public let rawValue: UInt32

        /// Wraps the kernel's bits.
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        /// A file was written to or truncated.
        public static let modified = Events(rawValue: 0x2)
        /// A name went away by renaming.
        public static let movedFrom = Events(rawValue: 0x40)
        /// A name appeared by renaming.
        public static let movedTo = Events(rawValue: 0x80)
        /// A name was created.
        public static let created = Events(rawValue: 0x100)
        /// A name was removed.
        public static let deleted = Events(rawValue: 0x200)
        /// Fail unless the watched path is a directory.
        public static let onlyDirectory = Events(rawValue: 0x0100_0000)
    }

    private let descriptor: Descriptor

    /// The number, readable when something happened.
    public var raw: RawDescriptor { descriptor.raw }

    /// Makes a non-blocking instance that watches nothing yet.
    ///
    /// - Throws: `KernelError`, `resourceExhausted` at the user's limit of instances.
    public init() throws(KernelError) {
        let flags = Int32(IN_CLOEXEC | IN_NONBLOCK)
        descriptor = Descriptor(adopting: try system("make inotify") { inotify_init1(flags) })
    }

    /// Watches a file, or the names and files in a directory.
    ///
    /// - Parameters:
    ///   - path: what to watch; it stays watched under another name.
    ///   - events: what to be told of.
    /// - Throws: `KernelError`; errno is `.noSpace` at the user's limit of watches.
    public func watch(_ path: String, for events: Events) throws(KernelError) {
        try refuseNUL(path, "watch")
        try system("watch", path) { unsafe inotify_add_watch(raw, path, events.rawValue) }
    }

    /// Forgets what happened so far.
    ///
    /// - Returns: whether anything had.
    @discardableResult
    public func drain() -> Bool {
        unsafe withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 8) { buffer in
            var happened = false
            // Ends with EAGAIN, the only failure there is for a buffer that holds any event.
            while unsafe Glibc.read(raw, buffer.baseAddress, buffer.count) > 0 { happened = true }
            return happened
        }
    }
}
