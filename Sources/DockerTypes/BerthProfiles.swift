/// A profile in a list.
public struct BerthProfileSummary: Codable, Sendable, Equatable, ZeroValue {
    /// Its name.
    @Zero public var name: String
    /// `learned`, `promoted`, `promoted, changed` when there is a newer one that is not in force, or `unreadable: ` and the reason.
    @Zero public var state: String
    /// Calls that the one that learns allows.
    @Zero public var calls: Int
    /// Calls that the one in force allows.
    @Zero public var promotedCalls: Int
    /// Since when that one is in force; empty when none is.
    @Zero public var promoted: String
    /// Dangerous calls that were seen and not taken up, refused ones among them.
    @Zero public var dangerous: Int
    /// Runs that it was learned from, and those that are incomplete.
    @Zero public var runs: Int
    /// See ``runs``.
    @Zero public var incompleteRuns: Int
    /// Calls that were not simply allowed by it.
    @Zero public var denials: UInt64
    /// Names of containers that use it.
    @Zero public var usedBy: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case state = "State"
        case calls = "Calls"
        case promotedCalls = "PromotedCalls"
        case promoted = "Promoted"
        case dangerous = "Dangerous"
        case runs = "Runs"
        case incompleteRuns = "IncompleteRuns"
        case denials = "Denials"
        case usedBy = "UsedBy"
    }
}

/// One call of a profile, or one class of it.
public struct BerthProfileCall: Codable, Sendable, Equatable, ZeroValue {
    /// Name of the call.
    @Zero public var call: String
    /// The class of its arguments; absent for calls without.
    public var argument: String?
    /// How often it was used.
    @Zero public var count: UInt64
    /// Numbers of the first runs that needed it.
    @Zero public var runs: [Int]
    /// What it was answered; absent for what went through.
    public var answer: String?
    /// Why it is dangerous; absent when it is not.
    public var danger: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case call = "Call"
        case argument = "Argument"
        case count = "Count"
        case runs = "Runs"
        case answer = "Answer"
        case danger = "Danger"
    }
}

/// A run that a profile was learned from.
public struct BerthProfileRun: Codable, Sendable, Equatable, ZeroValue {
    /// Its number in the profile.
    @Zero public var number: Int
    /// Id and name of the container.
    @Zero public var container: String
    /// See ``container``.
    @Zero public var name: String
    /// The image.
    @Zero public var image: String
    /// The program and its arguments.
    @Zero public var command: [String]
    /// When it started.
    @Zero public var started: String
    /// When it ended; empty while it runs, or when nobody knows.
    @Zero public var ended: String
    /// Whether nothing of it is missing.
    @Zero public var complete: Bool
    /// Why its workload was never begun; empty when it was.
    @Zero public var failed: String

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case number = "Number"
        case container = "Container"
        case name = "Name"
        case image = "Image"
        case command = "Command"
        case started = "Started"
        case ended = "Ended"
        case complete = "Complete"
        case failed = "Failed"
    }
}

/// A profile with everything that it says.
public struct BerthProfile: Codable, Sendable, Equatable, ZeroValue {
    /// What it is in short.
    @Zero public var summary: BerthProfileSummary
    /// `learned` or `promoted`: which of the two the rest is of.
    @Zero public var state: String
    /// When it was promoted; empty for the one that learns.
    @Zero public var promoted: String
    /// What it allows.
    @Zero public var calls: [BerthProfileCall]
    /// What it allows besides, never seen: nothing ends without these calls.
    @Zero public var unseen: [String]
    /// What was refused while it was learned.
    @Zero public var refused: [BerthProfileCall]
    /// What was seen and not taken up.
    @Zero public var dangerous: [BerthProfileCall]
    /// What an operator has named.
    @Zero public var allowed: [String]
    /// Capabilities that were named while it was learned.
    @Zero public var capabilities: [String]
    /// The runs.
    @Zero public var runs: [BerthProfileRun]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case summary = "Summary"
        case state = "State"
        case promoted = "Promoted"
        case calls = "Calls"
        case unseen = "Unseen"
        case refused = "Refused"
        case dangerous = "Dangerous"
        case allowed = "Allowed"
        case capabilities = "Capabilities"
        case runs = "Runs"
    }
}

/// Two profiles beside each other.
public struct BerthProfileDifference: Codable, Sendable, Equatable, ZeroValue {
    /// Names of both.
    @Zero public var name: String
    /// See ``name``.
    @Zero public var other: String
    /// Calls that each allows at all.
    @Zero public var allowed: Int
    /// See ``allowed``.
    @Zero public var otherAllowed: Int
    /// Calls that only the first allows.
    @Zero public var added: [String]
    /// Calls that only the other allows.
    @Zero public var removed: [String]
    /// Calls that both allow, the first more of them.
    @Zero public var widened: [String]
    /// Calls that both allow, the first less of them.
    @Zero public var narrowed: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case name = "Name"
        case other = "Other"
        case allowed = "Allowed"
        case otherAllowed = "OtherAllowed"
        case added = "Added"
        case removed = "Removed"
        case widened = "Widened"
        case narrowed = "Narrowed"
    }
}

/// A document of docker's form to make a profile of.
public struct BerthProfileImport: Codable, Sendable, Equatable, ZeroValue {
    /// The document as text.
    @Zero public var document: String
    /// Dangerous calls that are wanted.
    public var allow: [String]?
    /// Whether to replace one that is there.
    @Zero public var replace: Bool

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case document = "Document"
        case allow = "Allow"
        case replace = "Replace"
    }
}

/// What came of an import.
public struct BerthProfileImported: Codable, Sendable, Equatable, ZeroValue {
    /// Calls that the profile allows.
    @Zero public var calls: Int
    /// Dangerous calls that were left out.
    @Zero public var leftOut: [String]
    /// Calls with conditions that are no classes: left out as well.
    @Zero public var inexpressible: [String]
    /// Names of calls that this machine does not have.
    @Zero public var unknown: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case calls = "Calls"
        case leftOut = "LeftOut"
        case inexpressible = "Inexpressible"
        case unknown = "Unknown"
    }
}

/// Calls to take up.
public struct BerthProfileAllow: Codable, Sendable, Equatable, ZeroValue {
    /// `NAME` or `NAME:CLASS`.
    @Zero public var calls: [String]

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case calls = "Calls"
    }
}

/// A call that was not simply allowed, with all of its kind.
public struct BerthDenial: Codable, Sendable, Equatable, ZeroValue {
    /// The profile; empty for a container's own filter.
    @Zero public var profile: String
    /// Name and id of the container.
    @Zero public var container: String
    /// See ``container``.
    @Zero public var containerID: String
    /// The exec session; empty for the container's own processes.
    @Zero public var exec: String
    /// The process that did it last.
    @Zero public var pid: Int
    /// The process's name.
    @Zero public var command: String
    /// The call, with its convention in front where it is not the machine's own.
    @Zero public var syscall: String
    /// The class of its arguments; empty without.
    @Zero public var argument: String
    /// How often.
    @Zero public var count: UInt64
    /// What it was answered.
    @Zero public var answer: String
    /// `enforce`, `kill` or `audit`.
    @Zero public var mode: String
    /// The first and the last time.
    @Zero public var first: String
    /// See ``first``.
    @Zero public var last: String
    /// Whether it was refused in the same way while the profile was learned.
    @Zero public var known: Bool
    /// Where to read on after it; absent for what was there before.
    public var cursor: Int?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case profile = "Profile"
        case container = "Container"
        case containerID = "ContainerID"
        case exec = "Exec"
        case pid = "Pid"
        case command = "Command"
        case syscall = "Syscall"
        case argument = "Argument"
        case count = "Count"
        case answer = "Answer"
        case mode = "Mode"
        case first = "First"
        case last = "Last"
        case known = "Known"
        case cursor = "Cursor"
    }
}

/// A change that would allow what was refused.
public struct BerthProposal: Codable, Sendable, Equatable, ZeroValue {
    /// What to name, `NAME` or `NAME:CLASS`.
    @Zero public var call: String
    /// Whether a profile can allow it at all.
    @Zero public var possible: Bool
    /// How often it was refused.
    @Zero public var count: UInt64
    /// Containers and programs that called it.
    @Zero public var containers: [String]
    /// See ``containers``.
    @Zero public var commands: [String]
    /// Why it is dangerous; absent when it is not.
    public var danger: String?

    /// Everything at its zero value.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case call = "Call"
        case possible = "Possible"
        case count = "Count"
        case containers = "Containers"
        case commands = "Commands"
        case danger = "Danger"
    }
}
