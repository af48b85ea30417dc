/// A request to NETLINK_ROUTE: a header of 16 bytes, then the family's own header and attributes, host byte order.
package struct NetlinkMessage {
    /// RTM_NEWLINK, RTM_GETLINK and so on.
    package let type: UInt16
    /// What follows the netlink header.
    package let payload: [UInt8]

    /// RTM_NEWLINK for an existing device: change the flags in `mask` to their value in `flags`.
    package static func setLinkFlags(index: Int32, flags: UInt32, mask: UInt32) -> NetlinkMessage {
        // struct ifinfomsg: family, padding, device type (2 bytes), index, flags, mask of changes.
        NetlinkMessage(type: 16, payload: [0, 0, 0, 0] + index.nativeBytes + flags.nativeBytes + mask.nativeBytes)
    }

    /// The bytes on the socket, asking for an acknowledgement.
    package func encoded(sequence: UInt32) -> [UInt8] {
        encoded(sequence: sequence, flags: 0x1 | 0x4)  // NLM_F_REQUEST | NLM_F_ACK
    }

    /// The bytes on the socket with NLM_F_* flags.
    func encoded(sequence: UInt32, flags: UInt16) -> [UInt8] {
        let header = UInt32(16 + payload.count).nativeBytes + type.nativeBytes + flags.nativeBytes
        return header + sequence.nativeBytes + UInt32(0).nativeBytes + payload
    }
}

/// What the kernel answers.
package enum NetlinkAnswer: Equatable {
    /// Done (0) or an error number.
    case acknowledgement(Int32)
    /// Something else, or not for this request.
    case other

    /// Reads the messages of one datagram up to the acknowledgement of a request.
    ///
    /// - Returns: the acknowledgement; `other` when it is not among them; nil when the datagram is malformed.
    package static func parse(_ bytes: [UInt8], sequence: UInt32) -> NetlinkAnswer? {
        var start = 0
        while start < bytes.count {
            guard let length = UInt32(nativeBytes: bytes, at: start).map(Int.init), length >= 16,
                length <= bytes.count - start,
                let number = UInt32(nativeBytes: bytes, at: start + 8)
            else { return nil }
            let type = UInt16(bytes[start + 4]) | UInt16(bytes[start + 5]) << 8
            if type == 2, number == sequence {  // NLMSG_ERROR
                guard length >= 20, let code = UInt32(nativeBytes: bytes, at: start + 16) else { return nil }
                return .acknowledgement(0 &- Int32(bitPattern: code))
            }
            start += (length + 3) & ~3
        }
        return .other
    }
}

extension FixedWidthInteger {
    /// The bytes in memory; every machine that Berth runs on is little-endian.
    var nativeBytes: [UInt8] { (0..<(Self.bitWidth / 8)).map { UInt8(truncatingIfNeeded: self >> ($0 * 8)) } }

    init?(nativeBytes bytes: [UInt8], at offset: Int) {
        guard offset >= 0, offset + Self.bitWidth / 8 <= bytes.count else { return nil }
        self = (0..<(Self.bitWidth / 8)).reduce(0) { $0 | Self(bytes[offset + $1]) << ($1 * 8) }
    }
}
