public import Kernel

/// What becomes of a container whose shim has died.
public enum ShimDeath: String, Sendable, Codable, CaseIterable {
    /// A new shim takes it over; it runs on.
    case adopt
    /// It is killed at once.
    case kill
}

/// What becomes of the name and the addresses of a container that cannot be killed, once somebody wants it removed.
public enum StuckPolicy: String, Sendable, Codable, CaseIterable {
    /// Others may have them.
    case release
    /// They stay its own until it is gone.
    case keep
}

/// What is left of a container that was killed.
public struct StuckState: Sendable, Equatable {
    /// When the kill was given up.
    public var since: Timestamp
    /// What was left when it was looked at last.
    public var tasks: [StuckTask]

    /// `tasks` that are left since a time.
    public init(since: Timestamp, tasks: [StuckTask]) {
        self.since = since
        self.tasks = tasks
    }

    /// One line for people.
    public var summary: String {
        tasks.map(\.summary).joined(separator: ", ")
    }
}

/// A process that is left after everything was killed.
public struct StuckTask: Sendable, Equatable, Codable {
    /// Its number.
    public var pid: Int32
    /// Its program's name.
    public var command: String
    /// One letter as in proc(5), mostly D.
    public var state: String
    /// The kernel's function that it waits in; empty when the kernel does not say.
    public var waitChannel: String

    /// A process as it was seen.
    public init(pid: Int32, command: String, state: String, waitChannel: String) {
        self.pid = pid
        self.command = command
        self.state = state
        self.waitChannel = waitChannel
    }

    /// Number, program, and what it waits in.
    public var summary: String {
        "process \(pid) (\(command)) in state \(state)" + (waitChannel.isEmpty ? "" : ", waiting in \(waitChannel)")
    }
}

/// A shim that does not answer, as it was seen last.
public struct SilentShim: Sendable, Equatable {
    /// When it was noticed.
    public var since: Timestamp
    /// Its process; nil when nobody knows it.
    public var pid: Int32?
    /// With the number the process's name for ever.
    public var startTime: UInt64?
    /// Letter and word as in `/proc/PID/status`, such as `T (stopped)`; empty when the process is gone.
    public var state = ""
    /// The kernel's function that it waits in; empty when the kernel does not say.
    public var waitChannel = ""
    /// Why nobody speaks with it although it answers; nil for one that does not answer.
    public var refusal: OtherProtocol?

    /// One of which no more is known.
    public init(since: Timestamp) {
        self.since = since
    }

    /// Whether it does nothing that could lead to an answer: it is stopped, traced, or waits for what no signal ends.
    public var isStill: Bool {
        state.first.map { "TtD".contains($0) } ?? false
    }

    /// One line for people.
    public var summary: String {
        if let refusal { return "the shim \(refusal)" }
        guard let pid else { return "the shim does not answer" }
        let channel = waitChannel.isEmpty ? "" : ", waiting in \(waitChannel)"
        return "the shim does not answer: process \(pid) in state \(state.isEmpty ? "unknown" : state)\(channel)"
    }

    /// The kernel's words for a letter of proc(5).
    package static func stateText(_ letter: Character) -> String {
        let word: String? =
            switch letter {
            case "R": "running"
            case "S": "sleeping"
            case "D": "disk sleep"
            case "T": "stopped"
            case "t": "tracing stop"
            case "Z": "zombie"
            case "I": "idle"
            default: nil
            }
        return word.map { "\(letter) (\($0))" } ?? String(letter)
    }
}

/// What a shim says of itself that speaks a version of the protocol which its manager does not.
public struct OtherProtocol: Error, Sendable, Equatable, CustomStringConvertible {
    /// Version of its program.
    public var program: String
    /// Version of the protocol that it speaks.
    public var version: UInt32
    /// Versions that the manager speaks.
    public var known: ClosedRange<UInt32>

    package init(program: String, version: UInt32, known: ClosedRange<UInt32>) {
        (self.program, self.version, self.known) = (program, version, known)
    }

    /// What is the matter, and what to do, for people.
    public var description: String {
        "(version \(program)) speaks protocol \(version), and this berthd \(known.lowerBound) to \(known.upperBound): "
            + "run a berthd that speaks it ('berth system upgrade --binary'), or stop the container and start it again"
    }
}
