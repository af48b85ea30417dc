extension ArgumentClass {
    /// What people call a class.
    ///
    /// - Returns: A name such as `AF_INET`, or flags joined by `|`; a number in hexadecimal form when it has none.
    package func name(of value: UInt64) -> String {
        switch self {
        case .clone, .unshare, .setns: return Self.flags(value, Self.namespaceNames, none: "0")
        case .protection: return Self.flags(value, Self.protectionNames, none: "PROT_NONE")
        case .socket:
            guard value & 0xffff_ffff == Self.netlinkFamily else { break }
            return "AF_NETLINK/" + Self.name(value >> 32, Self.netlinkNames)
        default: break
        }
        return Self.name(value, names)
    }

    /// The class that people mean.
    ///
    /// - Parameter text: What `name(of:)` returns, or a number, decimal or hexadecimal with `0x`.
    /// - Returns: Nil when it names nothing of this kind.
    package func value(named text: String) -> UInt64? {
        let value: UInt64?
        switch self {
        case .clone, .unshare, .setns: value = Self.flags(text, Self.namespaceNames)
        case .protection: value = text == "PROT_NONE" ? 0 : Self.flags(text, Self.protectionNames)
        case .socket:
            let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard let family = Self.value(parts[0], names) else { return nil }
            guard parts.count == 2 else { value = family; break }
            guard family == Self.netlinkFamily, let protocolNumber = Self.value(parts[1], Self.netlinkNames),
                protocolNumber <= 0xffff_ffff
            else { return nil }
            value = family | protocolNumber << 32
        default: value = Self.value(text, names)
        }
        guard let value, isPossible(value) else { return nil }
        return value
    }

    /// Examples for an error message.
    package var examples: String {
        switch self {
        case .socket: "AF_UNIX, AF_NETLINK/NETLINK_ROUTE"
        case .socketPair: "AF_UNIX"
        case .clone, .unshare, .setns: "CLONE_NEWNS, CLONE_NEWUSER|CLONE_NEWNET"
        case .ioctl: "TCGETS, 0x5401"
        case .prctl: "PR_SET_NAME"
        case .fcntl: "F_SETLK"
        case .protection: "PROT_READ|PROT_EXEC"
        case .personality: "PER_LINUX, 0x40000"
        }
    }

    /// The values that have a name, in the order of their numbers; flags one by one.
    package var named: [UInt64] { names.map(\.0).filter(isPossible) }

    /// The classes of a family that is split by its protocols.
    package var namedProtocols: [UInt64] {
        self == .socket ? Self.netlinkNames.map { Self.netlinkFamily | $0.0 << 32 } : []
    }

    private var names: [(UInt64, String)] {
        switch self {
        case .socket, .socketPair: Self.familyNames
        case .ioctl: Self.requestNames
        case .prctl: Self.optionNames
        case .fcntl: Self.commandNames
        case .personality: Self.domainNames
        case .clone, .unshare, .setns: Self.namespaceNames
        case .protection: Self.protectionNames
        }
    }

    private static func name(_ value: UInt64, _ names: [(UInt64, String)]) -> String {
        names.first { $0.0 == value }?.1 ?? "0x\(String(value, radix: 16))"
    }

    private static func value(_ text: String, _ names: [(UInt64, String)]) -> UInt64? {
        if let known = names.first(where: { $0.1 == text }) { return known.0 }
        if text.hasPrefix("0x") { return text.count > 2 ? UInt64(hexDigits: text.dropFirst(2)) : nil }
        return text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? UInt64(text) : nil
    }

    private static func flags(_ value: UInt64, _ names: [(UInt64, String)], none: String) -> String {
        guard value != 0 else { return none }
        var words: [String] = []
        var rest = value
        for (bit, name) in names where value & bit != 0 {
            words.append(name)
            rest &= ~bit
        }
        if rest != 0 { words.append("0x\(String(rest, radix: 16))") }
        return words.joined(separator: "|")
    }

    private static func flags(_ text: String, _ names: [(UInt64, String)]) -> UInt64? {
        var value: UInt64 = 0
        for word in text.split(separator: "|", omittingEmptySubsequences: false) {
            guard let bit = self.value(String(word), names) else { return nil }
            value |= bit
        }
        return value
    }

    static let namespaceNames: [(UInt64, String)] = [
        (0x80, "CLONE_NEWTIME"), (0x2_0000, "CLONE_NEWNS"), (0x200_0000, "CLONE_NEWCGROUP"),
        (0x400_0000, "CLONE_NEWUTS"), (0x800_0000, "CLONE_NEWIPC"), (0x1000_0000, "CLONE_NEWUSER"),
        (0x2000_0000, "CLONE_NEWPID"), (0x4000_0000, "CLONE_NEWNET"),
    ]

    static let protectionNames: [(UInt64, String)] = [(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")]

    static let domainNames: [(UInt64, String)] = [
        (0, "PER_LINUX"), (0x8, "PER_LINUX32"), (0x20000, "UNAME26"), (0x20008, "PER_LINUX32|UNAME26"),
        (0x40000, "ADDR_NO_RANDOMIZE"), (0x400000, "READ_IMPLIES_EXEC"), (0xffff_ffff, "QUERY"),
    ]

    static let familyNames: [(UInt64, String)] = numbered(
        """
        AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_NETROM AF_BRIDGE AF_ATMPVC AF_X25 AF_INET6 AF_ROSE
        AF_DECnet AF_NETBEUI AF_SECURITY AF_KEY AF_NETLINK AF_PACKET AF_ASH AF_ECONET AF_ATMSVC AF_RDS AF_SNA AF_IRDA
        AF_PPPOX AF_WANPIPE AF_LLC AF_IB AF_MPLS AF_CAN AF_TIPC AF_BLUETOOTH AF_IUCV AF_RXRPC AF_ISDN AF_PHONET
        AF_IEEE802154 AF_CAIF AF_ALG AF_NFC AF_VSOCK AF_KCM AF_QIPCRTR AF_SMC AF_XDP AF_MCTP
        """
    )

    static let netlinkNames: [(UInt64, String)] = numbered(
        """
        NETLINK_ROUTE NETLINK_UNUSED NETLINK_USERSOCK NETLINK_FIREWALL NETLINK_SOCK_DIAG NETLINK_NFLOG NETLINK_XFRM
        NETLINK_SELINUX NETLINK_ISCSI NETLINK_AUDIT NETLINK_FIB_LOOKUP NETLINK_CONNECTOR NETLINK_NETFILTER
        NETLINK_IP6_FW NETLINK_DNRTMSG NETLINK_KOBJECT_UEVENT NETLINK_GENERIC - NETLINK_SCSITRANSPORT NETLINK_ECRYPTFS
        NETLINK_RDMA NETLINK_CRYPTO NETLINK_SMC
        """
    )

    /// Names in the order of their numbers from 0 on; `-` stands for a number without one.
    private static func numbered(_ text: String) -> [(UInt64, String)] {
        text.split(whereSeparator: { $0 == " " || $0 == "\n" }).enumerated()
            .filter { $0.element != "-" }
            .map { (UInt64($0.offset), String($0.element)) }
    }
}

extension UInt64 {
    fileprivate init?(hexDigits text: some StringProtocol) {
        // The standard initialiser takes a sign.
        guard text.utf8.allSatisfy({ $0 != 0x2b && $0 != 0x2d }) else { return nil }
        self.init(text, radix: 16)
    }
}
