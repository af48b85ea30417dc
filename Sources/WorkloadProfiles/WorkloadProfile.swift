internal import Seccomp

/// The system calls of one workload.
package struct WorkloadProfile: Sendable, Equatable {
    /// The version of the document.
    package static let version = 1
    /// Runs that are listed; the oldest go first.
    static let maximumRuns = 256
    /// Runs that are listed beside one use of a call.
    static let maximumRunsOfUse = 8

    /// What a profile is for.
    package enum State: String, Sendable, Codable {
        /// It grows by learning; nothing is enforced by it.
        case learned
        /// It is enforced, and never changes.
        case promoted
    }

    /// How often something was used, and in which runs.
    package struct Use: Sendable, Equatable, Codable {
        /// How often; stays at its greatest value.
        package var count: UInt64 = 0
        /// Numbers of the first runs that did.
        package var runs: [Int] = []

        package init(count: UInt64 = 0, runs: [Int] = []) { (self.count, self.runs) = (count, runs) }

        mutating func add(_ count: UInt64, run: Int?) {
            let (sum, overflow) = self.count.addingReportingOverflow(count)
            self.count = overflow ? .max : sum
            guard let run, runs.count < WorkloadProfile.maximumRunsOfUse, !runs.contains(run) else { return }
            runs.append(run)
        }
    }

    /// One call.
    package struct Call: Sendable, Equatable {
        /// All uses of it together.
        package var use = Use()
        /// The uses by class, for calls that have classes.
        package var classes: [UInt64: Use] = [:]
        /// Whether every class is meant, also those that nobody has seen.
        package var isWhole = false
        /// What it was answered, such as `EPERM`; nil for what went through.
        package var answer: String?

        package init() {}
    }

    /// One run of a container from which was learned.
    package struct Run: Sendable, Equatable, Codable {
        /// Its number in this profile, from 1 on.
        package var number: Int
        /// The container's id.
        package var container: String
        /// The name of the run within the container's life.
        package var run: String
        /// The container's name.
        package var name: String
        /// The image.
        package var image: String
        /// The program and its arguments.
        package var command: [String]
        /// When it started.
        package var started: String
        /// When it ended; nil while it runs, or when nobody knows.
        package var ended: String?
        /// Whether its last word has come: then nothing of it is missing.
        package var complete: Bool
        /// Why its workload was never begun; nil when it was.
        package var failed: String?

        /// A run; the profile gives it its number.
        package init(container: String, run: String, name: String, image: String, command: [String], started: String) {
            number = 0
            (self.container, self.run, self.name) = (container, run, name)
            (self.image, self.command, self.started) = (image, command, started)
            complete = false
        }
    }

    /// Its name.
    package var name: String
    /// What it is for.
    package var state: State
    /// Such as `SCMP_ARCH_X86_64`.
    package var architecture: String
    /// What the workload may call, by name.
    package var calls: [String: Call] = [:]
    /// What was refused while it was watched, by name, with another convention in front where it is one.
    package var refused: [String: Call] = [:]
    /// What it called and was not taken up because it is dangerous.
    package var dangerous: [String: Call] = [:]
    /// What an operator has named, dangerous or not.
    package var allowed: [CallSelector] = []
    /// The capabilities that were named while it was watched.
    package var capabilities: [String] = []
    /// The runs, oldest first.
    package var runs: [Run] = []
    /// Up to here the engine's notes of what was learned have been merged.
    package var merged: Int64 = 0
    /// The engine's database that those numbers are of.
    package var database: String?
    /// When it was promoted.
    package var promoted: String?
    /// Tells it from others that had its name before; nil for one of before there were such.
    package var identity: String?

    /// An empty one that learns.
    ///
    /// - Throws: `invalidArgument` for a name that is none.
    package init(name: String) throws(ProfileError) {
        try Self.check(name: name)
        self.name = name
        state = .learned
        architecture = Self.nativeArchitecture
    }

    /// Whether it says anything.
    package var isEmpty: Bool { calls.isEmpty && allowed.isEmpty }

    /// Whether a program can be started under it.
    package var startsPrograms: Bool {
        ["execve", "execveat"].contains { name in calls[name] != nil || allowed.contains { $0.name == name } }
    }

    /// Runs whose last word has not come; those that never began have none.
    package var incompleteRuns: [Run] { runs.filter { !$0.complete && $0.failed == nil } }

    /// The last of its runs, when none has ever begun.
    package var failedRun: Run? { runs.allSatisfy { $0.failed != nil } ? runs.last : nil }

    /// Names are file names and words of a command line.
    ///
    /// - Throws: `invalidArgument` for anything else.
    package static func check(name: String) throws(ProfileError) {
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte) || (0x61...0x7a).contains(byte)
        }
        guard let first = name.utf8.first, isAlphanumeric(first), name.utf8.count <= 64,
            name.utf8.allSatisfy({ isAlphanumeric($0) || $0 == 0x5f || $0 == 0x2e || $0 == 0x2d }),
            !name.hasSuffix(".promoted")
        else { throw .invalidName(name) }
    }

    package static var nativeArchitecture: String {
        #if arch(x86_64)
        "SCMP_ARCH_X86_64"
        #elseif arch(arm64)
        "SCMP_ARCH_AARCH64"
        #else
        "unsupported"
        #endif
    }

    /// Takes calls up by name, dangerous or not: only an operator does that.
    package mutating func allow(_ selectors: [CallSelector]) {
        for selector in selectors where !allowed.contains(selector) {
            allowed.append(selector)
            guard let seen = dangerous[selector.name] else { continue }
            for (argument, use) in seen.classes where selector.matches(selector.name, argument) {
                calls[selector.name, default: Call()].add(use.count, run: nil, argument: argument)
                calls[selector.name]?.classes[argument]?.runs = use.runs
                dangerous[selector.name]?.classes[argument] = nil
            }
            if ArgumentClass(call: selector.name) == nil { calls[selector.name] = seen }
            if dangerous[selector.name]?.classes.isEmpty == true { dangerous[selector.name] = nil }
        }
        allowed.sort { $0.description < $1.description }
    }

    /// The profile that is enforced from now on.
    package func promoted(at time: String) -> WorkloadProfile {
        var profile = self
        profile.state = .promoted
        profile.promoted = time
        return profile
    }
}

extension WorkloadProfile.Call {
    /// Counts uses of one class.
    mutating func add(_ count: UInt64, run: Int?, argument: UInt64?) {
        use.add(count, run: run)
        if let argument { classes[argument, default: .init()].add(count, run: run) }
    }
}
