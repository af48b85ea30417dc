import FoundationEssentials
package import Kernel

/// A time as it is stored: text keeps all nanoseconds and can be read by people.
package struct StoredTime: Sendable, Equatable, Codable {
    package var timestamp: Timestamp

    package init(_ timestamp: Timestamp) {
        self.timestamp = timestamp
    }

    package init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let timestamp = Timestamp(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "not a time: '\(text)'")
        }
        self.timestamp = timestamp
    }

    package func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(timestamp.description)
    }
}

/// What a container did last, as far as it must survive the engine.
package struct PersistedState: Sendable, Equatable, Codable {
    package var status: ContainerState.Status
    package var pid: Int32?
    package var exit: ContainerExit?
    package var startedAt: StoredTime?
    package var finishedAt: StoredTime?
    package var error: String
    package var restartCount: Int
    package var stoppedByUser: Bool
    /// Journal sequence number of the shim up to which events are in the database.
    package var journaled: UInt64?
    /// The shim whose journal that is: pid and start time.
    package var shim: String?

    package init(_ lifecycle: Lifecycle, journaled: UInt64? = nil, shim: String? = nil) {
        status = lifecycle.status
        pid = lifecycle.pid
        exit = lifecycle.lastExit
        startedAt = lifecycle.startedAt.map(StoredTime.init)
        finishedAt = lifecycle.finishedAt.map(StoredTime.init)
        error = lifecycle.error
        restartCount = lifecycle.restartCount
        stoppedByUser = lifecycle.stoppedByUser
        self.journaled = journaled
        self.shim = shim
    }
}

/// What create made of a request: never changed afterwards.
package struct ContainerPlan: Sendable, Equatable, Codable {
    package var imageID: String
    /// Chain ids of the image's layers, base first.
    package var chain: [String]
    /// Digest of the image's manifest.
    package var manifest: String
    package var resolved: ResolvedConfiguration
    package var mounts: [MountPlan.Entry]
    package var backend: String
    package var log: LogConfiguration
    /// What became of its user namespace; nil for a container of a version that had none.
    package var userNamespace: UserNamespaceSetting?
    /// `linux.cgroupsPath` of the document; nil for a container of a version that had one form only.
    package var cgroupsPath: String?

    package init(
        imageID: String,
        chain: [String],
        manifest: String,
        resolved: ResolvedConfiguration,
        mounts: [MountPlan.Entry],
        backend: String,
        log: LogConfiguration,
        userNamespace: UserNamespaceSetting? = nil,
        cgroupsPath: String? = nil
    ) {
        self.imageID = imageID
        self.chain = chain
        self.manifest = manifest
        self.resolved = resolved
        self.mounts = mounts
        self.backend = backend
        self.log = log
        self.userNamespace = userNamespace
        self.cgroupsPath = cgroupsPath
    }
}

/// One row of `containers`.
package struct ContainerRecord: Sendable, Equatable {
    package var id: ContainerID
    package var name: String
    package var created: Timestamp
    package var configuration: ContainerConfiguration
    package var plan: ContainerPlan
    package var state: PersistedState

    package init(
        id: ContainerID,
        name: String,
        created: Timestamp,
        configuration: ContainerConfiguration,
        plan: ContainerPlan,
        state: PersistedState
    ) {
        self.id = id
        self.name = name
        self.created = created
        self.configuration = configuration
        self.plan = plan
        self.state = state
    }
}

/// A row that could not be read: reported, kept, and its directories left alone.
package struct UnreadableRow: Sendable, Equatable {
    package var id: String
    package var name: String?
    package var reason: String
}

enum JSON {
    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func bytes(_ value: some Encodable) throws -> [UInt8] {
        Array(try encode(value).utf8)
    }

    static func decode<T: Decodable>(_ type: T.Type, _ text: String) throws -> T {
        try JSONDecoder().decode(type, from: Data(text.utf8))
    }

    static func decode<T: Decodable>(_ type: T.Type, _ bytes: [UInt8]) throws -> T {
        try JSONDecoder().decode(type, from: Data(bytes))
    }
}
