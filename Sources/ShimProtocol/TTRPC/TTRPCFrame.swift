/// One ttrpc frame: a header of 10 bytes and the data.
///
///     offset 0  u32 big endian  length of the data
///     offset 4  u32 big endian  stream id
///     offset 8  u8              kind: 1 request, 2 response, 3 data
///     offset 9  u8              flags
public struct TTRPCFrame: Sendable, Hashable {
    /// Bytes of a header.
    public static let headerLength = 10
    /// The most data that a frame may carry, 4 MiB.
    ///
    /// Who receives more discards it and answers ResourceExhausted.
    public static let maximumDataLength = 4 << 20

    /// What a frame carries.
    ///
    /// Unknown kinds are kept, because a receiver must skip them.
    public struct Kind: RawRepresentable, Sendable, Hashable {
        /// The byte on the wire.
        public let rawValue: UInt8

        /// Makes a kind of its byte on the wire.
        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// A serialized `TTRPCRequest`.
        public static let request = Kind(rawValue: 1)
        /// A serialized `TTRPCResponse`.
        public static let response = Kind(rawValue: 2)
        /// A message of a streaming call.
        public static let data = Kind(rawValue: 3)
    }

    /// The flags of a frame.
    public struct Flags: OptionSet, Sendable, Hashable {
        /// The byte on the wire.
        public let rawValue: UInt8

        /// Makes a set of its byte on the wire.
        public init(rawValue: UInt8) {
            self.rawValue = rawValue
        }

        /// The sender sends nothing more on this stream.
        public static let remoteClosed = Flags(rawValue: 0x01)
        /// The sender will send more on this stream.
        public static let remoteOpen = Flags(rawValue: 0x02)
        /// The frame carries no message, not even an empty one.
        public static let noData = Flags(rawValue: 0x04)
    }

    /// Odd for streams that a client opened.
    public var streamID: UInt32
    /// What `data` is.
    public var kind: Kind
    /// Zero for unary calls.
    public var flags: Flags
    /// The serialized message.
    public var data: [UInt8]

    /// Makes a frame of its parts.
    public init(streamID: UInt32, kind: Kind, flags: Flags = [], data: [UInt8]) {
        self.streamID = streamID
        self.kind = kind
        self.flags = flags
        self.data = data
    }

    /// Appends the frame as it stands on the wire.
    ///
    /// - Throws: `resourceExhausted` when the data is longer than a frame may be; nothing is appended then.
    public func encode(to output: inout [UInt8]) throws(RPCError) {
        guard data.count <= Self.maximumDataLength else {
            throw .messageTooLarge(data.count)
        }
        output.reserveCapacity(output.count + Self.headerLength + data.count)
        Self.append(UInt32(data.count), to: &output)
        Self.append(streamID, to: &output)
        output.append(kind.rawValue)
        output.append(flags.rawValue)
        output.append(contentsOf: data)
    }

    private static func append(_ value: UInt32, to output: inout [UInt8]) {
        output.append(UInt8(truncatingIfNeeded: value >> 24))
        output.append(UInt8(truncatingIfNeeded: value >> 16))
        output.append(UInt8(truncatingIfNeeded: value >> 8))
        output.append(UInt8(truncatingIfNeeded: value))
    }
}
