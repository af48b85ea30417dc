/// One member of a tar archive, as all its headers together mean it.
public struct TarEntry: Sendable, Equatable {
    /// What a member is.
    public enum Kind: Sendable, Equatable {
        /// A regular file; its content follows in the archive.
        case file
        /// Another name of a file that came before; `linkTarget` is that one's path from the root of the archive.
        case hardLink
        /// A symbolic link; `linkTarget` is its text.
        case symbolicLink
        /// A character device.
        case characterDevice(major: UInt32, minor: UInt32)
        /// A block device.
        case blockDevice(major: UInt32, minor: UInt32)
        /// A directory.
        case directory
        /// A named pipe.
        case fifo
    }

    /// A time with the precision that PAX has.
    public struct Time: Sendable, Equatable {
        /// Seconds since 1970; negative before.
        public var seconds: Int64
        /// Nanoseconds after `seconds`, 0...999,999,999.
        public var nanoseconds: UInt32

        /// Creates a time.
        public init(seconds: Int64, nanoseconds: UInt32 = 0) {
            self.seconds = seconds
            self.nanoseconds = nanoseconds
        }
    }

    /// An extended attribute.
    public struct Attribute: Sendable, Equatable {
        /// Full name, such as `security.capability`.
        public var name: String
        /// Value, any bytes.
        public var value: [UInt8]

        /// Creates an attribute.
        public init(name: String, value: [UInt8]) {
            self.name = name
            self.value = value
        }
    }

    /// Path as the archive has it, any bytes: not empty, without NUL; it may be absolute or hold `..`.
    public var pathBytes: [UInt8]
    /// What the member is.
    public var kind: Kind
    /// Target of a link, else empty.
    public var linkTarget: [UInt8]
    /// Permission bits with set-user-id, set-group-id and sticky, 0...0o7777.
    public var mode: UInt32
    /// Owner.
    public var uid: UInt32
    /// Group.
    public var gid: UInt32
    /// Bytes of content; 0 for everything but files.
    public var size: Int64
    /// Time of last change.
    public var modified: Time
    /// Extended attributes, all that the archive names.
    public var attributes: [Attribute]

    /// The path for people; what is not UTF-8 becomes replacement characters.
    public var path: String { String(decoding: pathBytes, as: UTF8.self) }

    /// Creates a member.
    public init(
        path: some Sequence<UInt8>,
        kind: Kind,
        linkTarget: some Sequence<UInt8> = [],
        mode: UInt32 = 0o644,
        uid: UInt32 = 0,
        gid: UInt32 = 0,
        size: Int64 = 0,
        modified: Time = Time(seconds: 0),
        attributes: [Attribute] = []
    ) {
        pathBytes = Array(path)
        self.kind = kind
        self.linkTarget = Array(linkTarget)
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.modified = modified
        self.attributes = attributes
    }
}
