internal import FoundationEssentials

/// What a shim program can and cannot do, ability by ability.
public struct AbilityReport: Sendable {
    /// How an ability came out.
    public enum Verdict: String, Sendable, Encodable {
        /// Every check that was tried holds.
        case passed
        /// At least one check does not hold.
        case failed
        /// The program does not claim it.
        case notClaimed = "not claimed"
        /// The kernel lacks what it is about.
        case impossible
    }

    /// One ability's outcome.
    public struct Line: Sendable {
        /// The ability.
        public let ability: Conformance.Ability
        /// Its checks.
        public let results: [Conformance.Result]

        /// How many checks hold.
        public var passed: Int { results.count { $0.outcome == .passed } }

        /// The worst of its checks.
        public var verdict: Verdict {
            if results.contains(where: { if case .failed = $0.outcome { true } else { false } }) { return .failed }
            if passed > 0 { return .passed }
            let isClaimed = results.contains { if case .impossible = $0.outcome { true } else { false } }
            return isClaimed ? .impossible : .notClaimed
        }

        /// Why it is not simply passed, in one line; empty when it is.
        public var reason: String {
            let reasons = results.compactMap(\.outcome.reason)
            return reasons.first.map(Excerpt.reason) ?? ""
        }
    }

    /// What tables call the program.
    public let name: String
    /// Its executable.
    public let path: String
    /// What it says of itself.
    public let facts: ProgramFacts
    /// The abilities.
    public internal(set) var lines: [Line] = []

    init(program: ShimProgram, facts: ProgramFacts) {
        (name, path, self.facts) = (program.name, program.path, facts)
    }

    /// Whether nothing has failed.
    public var isGood: Bool { lines.allSatisfy { $0.verdict != .failed } }

    private func count(_ verdict: Verdict) -> Int { lines.count { $0.verdict == verdict } }

    /// One sentence: how many abilities of each verdict.
    public var summary: String {
        var parts = ["\(count(.passed)) passed", "\(count(.failed)) failed", "\(count(.notClaimed)) not claimed"]
        if count(.impossible) > 0 { parts.append("\(count(.impossible)) impossible on this kernel") }
        return parts.joined(separator: ", ")
    }

    // As text ---------------------------------------------------------------------------------------------------------

    private var cells: [[String]] {
        lines.map { line in
            [
                line.ability.name, line.ability.title, line.verdict.rawValue, "\(line.passed)/\(line.results.count)",
                line.reason,
            ]
        }
    }

    /// A table for a terminal, and below it each check that failed.
    public var table: String {
        let rows = [["ABILITY", "", "RESULT", "CHECKS", "WHY"]] + cells
        let widths = (0..<4).map { column in rows.map { $0[column].count }.max() ?? 0 }
        var text = ["\(name): \(path)" + (facts.version.isEmpty ? "" : ", version \(facts.version)")]
        text += rows.map { row in
            let padded = zip(row, widths).map { $0 + String(repeating: " ", count: $1 - $0.count) }
            return String((padded + [row[4]]).joined(separator: "  ").reversed().drop { $0 == " " }.reversed())
        }
        for line in lines {
            for result in line.results {
                guard case .failed(let reason) = result.outcome else { continue }
                text.append("FAILED \(line.ability.name): \(result.check): \(Excerpt.reason(reason))")
            }
        }
        return (text + ["\(name): \(summary)"]).joined(separator: "\n")
    }

    /// A table for a README.
    public var markdown: String {
        let rows = lines.map { line in
            let reason = line.verdict == .passed && line.passed == line.results.count ? "" : line.reason
            let last = reason.replacing("|", with: "\\|").replacing(path, with: name)
            return
                "| \(line.ability.title) | \(line.verdict.rawValue) | \(line.passed)/\(line.results.count) | \(last) |"
        }
        return (["| ability | result | checks | why |", "|---|---|---|---|"] + rows).joined(separator: "\n")
    }

    private struct Document: Encodable {
        struct Ability: Encodable {
            let name, title: String
            let result: Verdict
            let checks: [Check]
        }

        struct Check: Encodable {
            let name, result: String
            let reason: String?
            let milliseconds: Int
        }

        let name, path, version: String
        let capabilities: [String]
        let passed, failed, notClaimed, impossible: Int
        let abilities: [Ability]
    }

    /// One object on one line.
    public var json: String {
        let abilities = lines.map { line in
            Document.Ability(
                name: line.ability.name,
                title: line.ability.title,
                result: line.verdict,
                checks: line.results.map { result in
                    Document.Check(
                        name: result.check,
                        result: result.outcome.word,
                        reason: result.outcome.reason,
                        milliseconds: Int((result.duration / .milliseconds(1)).rounded())
                    )
                }
            )
        }
        let document = Document(
            name: name,
            path: path,
            version: facts.version,
            capabilities: facts.words.sorted(),
            passed: count(.passed),
            failed: count(.failed),
            notClaimed: count(.notClaimed),
            impossible: count(.impossible),
            abilities: abilities
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts and numbers alone: there is nothing in it that has no form in JSON.
        return (try? encoder.encode(document)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }
}

extension Conformance.Outcome {
    /// One word for programs.
    var word: String {
        switch self {
        case .passed: "passed"
        case .failed: "failed"
        case .excepted: "excepted"
        case .impossible: "impossible"
        case .notClaimed: "not claimed"
        }
    }

    /// Why it did not pass; nil when it did.
    public var reason: String? {
        switch self {
        case .passed: nil
        case .failed(let reason), .excepted(let reason), .impossible(let reason), .notClaimed(let reason): reason
        }
    }
}
