internal import ShimProtocol

extension Conformance {
    /// Something that a shim can do, shown by several checks.
    public struct Ability: Sendable {
        /// What a shim that lacks it owes.
        public enum Duty: Sendable, Equatable {
            /// It is no shim without it.
            case required
            /// It may say that it cannot: the call is answered Unimplemented.
            case optional
            /// It has it when its `-info` says this word.
            case claimed(String)
            /// The contract does not say it, and a manager is glad of it.
            case wanted
        }

        /// One word.
        public let name: String
        /// What it is, for people.
        public let title: String
        /// What a shim that lacks it owes.
        public let duty: Duty
        /// What shows it.
        public let checks: [Check]
        /// The word of `-info` by which a shim of ShimKit claims it; nil when there is none.
        let word: String?

        init(_ name: String, _ title: String, _ duty: Duty, word: String? = nil, _ checks: [Check]) {
            (self.name, self.title, self.duty, self.checks, self.word) = (name, title, duty, checks, word)
        }
    }

    /// Everything that `checks` and `succession` look at, each check once.
    public static let abilities: [Ability] = [
        Ability("life", "start to delete of a container", .required, rest(lifecycle, events + roots + signals)),
        Ability("root", "the root is mounted by the shim", .required, named(roots, in: lifecycle)),
        Ability("events", "events, each once and in order", .required, named(events, in: lifecycle)),
        Ability("signals", "signals, to one process and to all", .required, named(signals, in: lifecycle)),
        Ability("refusals", "what is wrong is refused, with its code", .required, failures),
        Ability("streams", "input and output are complete", .required, rest(streams, terminals)),
        Ability("exec", "further processes", .optional, word: "exec", rest(execs, [])),
        Ability("terminal", "terminals", .optional, word: "terminal", named(terminals, in: streams)),
        Ability("pause", "pause and resume", .optional, word: "pause", named(pauses, in: resources)),
        Ability("processes", "processes are listed", .optional, named(["processesAreListed"], in: resources)),
        Ability("metrics", "what a container uses", .optional, named(["numbersAreOfAKnownType"], in: resources)),
        Ability("limits", "limits are changed", .optional, word: "update", named(["limitIsChanged"], in: resources)),
        Ability("faults", "faults harm nobody else", .required, rest(faults, cleanUps + wantedCleanUps)),
        Ability("clean-up", "'delete' after the shim was killed", .required, named(cleanUps, in: faults)),
        Ability("empty-delete", "'delete' where nothing was made", .wanted, named(wantedCleanUps, in: faults)),
        Ability("upgrade", "another program goes on in place", .claimed("upgrade"), named(upgrades, in: succession)),
        Ability(
            "exec-group",
            "processes of an exec go with it",
            .claimed("exec-group"),
            named(execGroups, in: succession)
        ),
        Ability("adopt", "another shim goes on after a death", .claimed("adopt"), named(adoptions, in: succession)),
    ]

    private static let roots = ["rootIsBoundFromAMount", "rootIsAnOverlayFromAMount"]
    private static let events = ["eventsComeInOrder"]
    private static let signals = ["signalEndsAsNumberPlus128", "signalReachesItsHandler", "signalToAllProcesses"]
    private static let terminals = ["terminalHasItsSize", "terminalMergesTheOutputs", "execHasATerminal"]
    private static let pauses = ["pausedContainerStandsStill", "pausedContainerIsKilled"]
    private static let cleanUps = ["deleteCleansUpAfterAKilledShim"]
    private static let wantedCleanUps = ["deleteOfNothingSucceeds"]
    private static let execGroups = ["groupOfAnExecIsKilledAfterAnUpgrade"]
    private static let adoptions = [
        "adoptedContainerGoesOn", "adoptionFindsOutputThatNobodyHeld", "endWithoutAShimIsFound",
    ]
    private static let upgrades = succession.map(\.name).filter { !(execGroups + adoptions).contains($0) }

    private static func named(_ names: [String], in family: [Check]) -> [Check] {
        family.filter { names.contains($0.name) }
    }

    private static func rest(_ family: [Check], _ names: [String]) -> [Check] {
        family.filter { !names.contains($0.name) }
    }
}

extension Conformance {
    /// Tries the abilities of a program, one after the other.
    ///
    /// - Parameters:
    ///   - program: the shim.
    ///   - only: takes the checks whose names contain this; nil takes all.
    ///   - progress: called before each check with its name.
    /// - Returns: what came of it.
    public static func report(
        on program: ShimProgram,
        only: String? = nil,
        progress: (String) -> Void = { _ in }
    ) -> AbilityReport {
        let facts = program.facts()
        var report = AbilityReport(program: program, facts: facts)
        var silent = 0
        for ability in abilities {
            let checks = ability.checks.filter { check in only.map { check.name.contains($0) } ?? true }
            guard !checks.isEmpty else { continue }
            let results = checks.map { check -> Result in
                if case .claimed(let word) = ability.duty, !facts.words.contains(word) {
                    return Result(check: check.name, row: "", outcome: .notClaimed(Self.silence(word)), duration: .zero)
                }
                guard silent < Self.patience else {
                    let reason = "not tried: \(silent) checks one after the other got no answer in time"
                    return Result(check: check.name, row: "", outcome: .failed(reason), duration: .zero)
                }
                progress(check.name)
                let result = run(check, on: program)
                silent = result.isOverdue ? silent + 1 : 0
                return judged(result, ability, facts)
            }
            report.lines.append(AbilityReport.Line(ability: ability, results: results))
        }
        return report
    }

    /// Checks one after the other that may end by their deadline before the others are not tried any more.
    private static let patience = 3

    private static func silence(_ word: String) -> String { "its -info does not say '\(word)'" }

    /// A failure that the ability allows is no failure.
    private static func judged(_ result: Result, _ ability: Ability, _ facts: ProgramFacts) -> Result {
        guard case .failed(let reason) = result.outcome else { return result }
        var result = result
        switch ability.duty {
        case .wanted: result.outcome = .notClaimed("not in the contract; \(reason)")
        case .optional where result.isUnimplemented:
            if let word = ability.word, facts.words.contains(word) {
                result.outcome = .failed("its -info says '\(word)', and the call says: \(reason)")
            } else {
                result.outcome = .notClaimed(reason)
            }
        default: break
        }
        return result
    }
}
