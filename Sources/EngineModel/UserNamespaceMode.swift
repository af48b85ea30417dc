/// What a client asks of a container's user namespace.
public enum UserNamespaceMode: Sendable, Equatable, Codable {
    /// None: root in the container is root on the host.
    case host
    /// One with ids of its own on the host; `size` nil is ``EngineConfiguration/UserNamespaces/defaultSize``.
    case auto(size: UInt32?)

    /// The mode that `text` names, nil for the empty text, which is the engine's default.
    ///
    /// - Throws: ``EngineError`` `.invalidArgument` that lists the choices.
    public init?(parsing text: String) throws {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        switch (parts[0], parts.dropFirst().first) {
        case ("", nil): return nil
        case ("host", nil): self = .host
        case ("auto", nil), ("private", nil): self = .auto(size: nil)
        case ("auto", let option?): self = .auto(size: try Self.size(option, of: text))
        default: throw Self.invalid(text)
        }
    }

    private static func size(_ option: String, of text: String) throws -> UInt32 {
        guard option.hasPrefix("size=") else { throw invalid(text) }
        guard let size = UInt32(option.dropFirst("size=".count)), IDRange.sizes.contains(size) else {
            throw EngineError.invalid(
                "invalid user namespace mode '\(text)': size is a number of ids from \(IDRange.sizes.lowerBound) to "
                    + "\(IDRange.sizes.upperBound)"
            )
        }
        return size
    }

    private static func invalid(_ text: String) -> EngineError {
        .invalid("invalid user namespace mode '\(text)': use 'auto', 'auto:size=N' or 'host', or none for the default")
    }
}

/// Ids of the host that belong to one container, or to several that share a user namespace: users and groups alike.
public struct IDRange: Sendable, Hashable, Codable {
    /// First id on the host; 0 in the container.
    public var first: UInt32
    /// Number of ids.
    public var size: UInt32

    /// The ids from `first` on.
    public init(first: UInt32, size: UInt32) {
        self.first = first
        self.size = size
    }

    /// One behind the last id.
    package var end: UInt64 { UInt64(first) + UInt64(size) }

    /// What a container may have: system groups and users reach to 999, and `/dev/pts` needs one of them.
    package static let sizes: ClosedRange<UInt32> = 1000...(1 << 24)
}

/// What became of a container's user namespace, and why.
public struct UserNamespaceSetting: Sendable, Equatable, Codable {
    /// Its ids on the host; nil without a user namespace.
    public var range: IDRange?
    /// The container whose user namespace it shares.
    public var sharedWith: ContainerID?
    /// Why it is so, for people.
    public var reason: String

    /// A setting with its reason.
    public init(range: IDRange? = nil, sharedWith: ContainerID? = nil, reason: String) {
        self.range = range
        self.sharedWith = sharedWith
        self.reason = reason
    }

    /// A container that was made before there were user namespaces.
    package static let older = UserNamespaceSetting(
        reason: "the container was created before user namespaces were offered"
    )
}

/// Whether containers get user namespaces on this node.
public struct UserNamespaceStatus: Sendable, Equatable {
    /// Whether a new container that asks for nothing gets one.
    public var isDefault: Bool
    /// What the configuration says: `auto` or `host`.
    public var configured: String
    /// What the node lacks, by name; empty when user namespaces work.
    public var missing: [String]
    /// Ranges of ids that containers get theirs from, as `first:count`.
    public var pool: [String]
    /// Where the pool comes from, such as `/etc/subuid`.
    public var poolSource: String
    /// Ids in the pool, and those that something holds.
    public var ids: UInt64, held: UInt64

    package init(
        isDefault: Bool,
        configured: String,
        missing: [String],
        pool: [String],
        poolSource: String,
        ids: UInt64,
        held: UInt64
    ) {
        self.isDefault = isDefault
        self.configured = configured
        self.missing = missing
        self.pool = pool
        self.poolSource = poolSource
        self.ids = ids
        self.held = held
    }
}

extension EngineConfiguration {
    /// User namespaces.
    public struct UserNamespaces: Sendable, Equatable {
        /// The mode of a container that asks for none: `.auto` where the node can, or `.host`.
        public var defaultMode: UserNamespaceMode = .auto(size: nil)
        /// Where ids come from, as ranges of `first:count`; nil reads `/etc/subuid` and `/etc/subgid`.
        public var pool: [IDRange]?

        /// Ids of a container that does not say how many.
        public static let defaultSize: UInt32 = 65_536

        /// `auto` with the node's pool.
        public init() {}
    }
}
