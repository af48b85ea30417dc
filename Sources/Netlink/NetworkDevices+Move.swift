public import Kernel

extension NetworkDevices {
    /// Moves a device into another network namespace, with its permanent addresses of global scope, and sets it up there.
    ///
    /// The kernel takes addresses away from a device that changes its namespace, so they are read before and set again. Blocks for
    /// some milliseconds. The calling process must have one thread: it enters both namespaces in turn.
    ///
    /// - Parameters:
    ///   - name: Its name now.
    ///   - source: The namespace where it is.
    ///   - target: The namespace where it shall be.
    ///   - newName: Its name there; `%d` in it stands for the first free number.
    /// - Returns: The name that it got.
    /// - Throws: `KernelError`; errno is `.noDevice` without such a device, `.exists` when the new name is taken. The device is
    ///   where it was, or, when setting it up has failed, in the target.
    public static func move(
        _ name: String,
        from source: RawDescriptor,
        to target: RawDescriptor,
        as newName: String
    ) throws(KernelError) -> String {
        let here = try NetlinkSocket(in: source)
        let there = try NetlinkSocket(in: target)
        guard let link = try here.links().first(where: { $0.name == name }) else {
            throw .failed("move network device", name, .noDevice)
        }
        let addresses = try here.addresses(of: link.index).filter(\.moves)
        let before = Set(try there.links().map(\.index))
        if !newName.contains("%"), try there.links().contains(where: { $0.name == newName }) {
            throw .failed("move network device", newName, .exists)
        }
        try here.request(.move(link.index, to: target, as: newName), operation: "move network device", object: name)
        let moved = try there.links().first { newName.contains("%") ? !before.contains($0.index) : $0.name == newName }
        guard let moved else { throw .failed("find moved network device", newName, .noDevice) }
        for address in addresses {
            try there.request(.add(address, to: moved.index), operation: "set address of", object: moved.name)
        }
        let up = NetlinkMessage.setLinkFlags(index: moved.index, flags: 1, mask: 1)
        try there.request(up, operation: "set up", object: moved.name)
        return moved.name
    }
}

/// A device as RTM_NEWLINK tells of it.
struct NetworkLink: Equatable {
    var index: Int32
    var name: String

    /// Reads the payload after the netlink header; nil when it is malformed.
    init?(_ payload: [UInt8]) {
        guard let index = UInt32(nativeBytes: payload, at: 4), payload.count >= 16,
            let attributes = NetlinkAttribute.list(payload[16...]),
            let name = attributes.first(where: { $0.type == 3 })?.value.prefix(while: { $0 != 0 })
        else { return nil }
        self.index = Int32(bitPattern: index)
        self.name = String(decoding: name, as: UTF8.self)
    }
}

/// An address as RTM_NEWADDR tells of it.
struct NetworkAddress: Equatable {
    var family: UInt8
    var prefixLength: UInt8
    var flags: UInt32
    var scope: UInt8
    var index: Int32
    /// IFA_ADDRESS, IFA_LOCAL and IFA_BROADCAST.
    var attributes: [NetlinkAttribute]

    /// Reads the payload after the netlink header; nil when it is malformed.
    init?(_ payload: [UInt8]) {
        guard payload.count >= 8, let index = UInt32(nativeBytes: payload, at: 4),
            let attributes = NetlinkAttribute.list(payload[8...])
        else { return nil }
        family = payload[0]
        prefixLength = payload[1]
        scope = payload[3]
        self.index = Int32(bitPattern: index)
        let long = attributes.first { $0.type == 8 }.flatMap { UInt32(nativeBytes: $0.value, at: 0) }
        flags = long ?? UInt32(payload[2])
        self.attributes = attributes.filter { [1, 2, 4].contains($0.type) }
    }

    /// Whether it goes along: set for good (IFA_F_PERMANENT), and for more than the link.
    var moves: Bool { flags & 0x80 != 0 && scope == 0 }
}

/// A type and a value, padded to four bytes.
struct NetlinkAttribute: Equatable {
    var type: UInt16
    var value: [UInt8]

    var encoded: [UInt8] {
        let length = value.count + 4
        return UInt16(length).nativeBytes + type.nativeBytes + value
            + Array(repeating: 0, count: (4 - length % 4) % 4)
    }

    /// Reads a list; nil when a length does not fit.
    static func list(_ bytes: ArraySlice<UInt8>) -> [NetlinkAttribute]? {
        let bytes = Array(bytes)
        var list: [NetlinkAttribute] = []
        var start = 0
        while start + 4 <= bytes.count {
            let length = Int(bytes[start]) | Int(bytes[start + 1]) << 8
            guard length >= 4, length <= bytes.count - start else { return nil }
            // The upper bits say how the value is nested or ordered.
            let type = (UInt16(bytes[start + 2]) | UInt16(bytes[start + 3]) << 8) & 0x3fff
            list.append(NetlinkAttribute(type: type, value: Array(bytes[start + 4..<start + length])))
            start += (length + 3) & ~3
        }
        return list
    }
}

extension NetlinkMessage {
    /// RTM_NEWLINK with IFLA_NET_NS_FD and IFLA_IFNAME: another namespace, another name.
    static func move(_ index: Int32, to namespace: RawDescriptor, as name: String) -> NetlinkMessage {
        let header: [UInt8] = [0, 0, 0, 0] + index.nativeBytes + UInt32(0).nativeBytes + UInt32(0).nativeBytes
        let place = NetlinkAttribute(type: 28, value: namespace.nativeBytes)
        let label = NetlinkAttribute(type: 3, value: Array(name.utf8) + [0])
        return NetlinkMessage(type: 16, payload: header + place.encoded + label.encoded)
    }

    /// RTM_NEWADDR.
    static func add(_ address: NetworkAddress, to index: Int32) -> NetlinkMessage {
        // IFA_F_NODAD: it was ours before, nobody else has it.
        let nodad: UInt8 = address.family == 10 ? 2 : 0
        let header = [address.family, address.prefixLength, nodad, address.scope] + index.nativeBytes
        return NetlinkMessage(type: 20, payload: header + address.attributes.flatMap(\.encoded))
    }
}
