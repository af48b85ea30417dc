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
    /// The last report of system calls that was counted; ``journaled`` may be before it.
    package var counted: UInt64?
    /// The shim whose journal that is: pid and start time.
    package var shim: String?
    /// The run that all of this is about; nil before the first.
    package var run: String?
    /// When the init process started, in clock ticks since boot: with its number its name for ever.
    package var initStart: UInt64?
    /// Since when something is left of it that cannot be killed.
    package var stuckSince: StoredTime?
    /// Whether the container goes as soon as it has ended.
    package var removalWanted: Bool?
    /// What was known of its health last.
    package var health: HealthSnapshot?

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
