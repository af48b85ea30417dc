import Foundation
import Kernel
import ShimKitTesting
import Testing

/// What `berth backend test` says, and that the READMEs say the same.
@Suite struct AbilityTests {
    private static let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    @Test func everyCheckShowsOneAbility() {
        let shown = Conformance.abilities.flatMap { $0.checks.map(\.name) }
        let all = (Conformance.checks + Conformance.succession).map(\.name)
        #expect(shown.sorted() == all.sorted())
        #expect(Conformance.abilities.allSatisfy { !$0.checks.isEmpty })
    }

    /// Rows of the tables in a README, by what stands in the comment above each.
    private static func tables(_ backend: String) throws -> [String: [[String]]] {
        let file = repository.appendingPathComponent("Plugins/\(backend)/README.md")
        var tables: [String: [[String]]] = [:]
        var mark: String?
        for line in try String(contentsOf: file, encoding: .utf8).components(separatedBy: "\n") {
            if line.hasPrefix("<!-- berth backend test ") {
                mark = String(line.dropFirst("<!-- berth backend test ".count).dropLast(" -->".count))
            } else if let key = mark, line.hasPrefix("|") {
                let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
                tables[key, default: []].append(cells)
            } else {
                mark = nil
            }
        }
        return tables.mapValues { Array($0.dropFirst(2)) }
    }

    /// What is not claimed, by what stands above the table; everything else is passed.
    private static let notClaimed: [String: [String: Set<String>]] = [
        "native": ["native": []],
        "restricted": ["restricted": []],
        "oci": [
            "oci --runtime runc": ["exec-group"], "oci --runtime crun": ["exec-group"],
            "oci --runtime berth-runtime": ["exec-group"],
        ],
        "foreign": [
            "foreign": ["exec-group"],
            "containerd-shim-runc-v2": ["empty-delete", "upgrade", "exec-group", "adopt"],
        ],
        "example": ["example": ["metrics", "limits", "upgrade", "exec-group", "adopt"]],
    ]

    /// The same checks are run on these programs by BackendTests; here is only what is written.
    @Test(arguments: notClaimed.keys.sorted())
    func tableOfTheReadmeIsOfThisSuite(_ backend: String) throws {
        let tables = try Self.tables(backend)
        let wanted = try #require(Self.notClaimed[backend])
        #expect(Set(tables.keys) == Set(wanted.keys), "tools/backend-tables writes them")
        for (key, rows) in tables {
            let seen = rows.map { $0.prefix(3).joined(separator: " | ") }
            let lines = Conformance.abilities.map { ability in
                let isClaimed = !(wanted[key]?.contains(ability.name) ?? false)
                let count = ability.checks.count
                return [ability.title, isClaimed ? "passed" : "not claimed", "\(isClaimed ? count : 0)/\(count)"]
                    .joined(separator: " | ")
            }
            #expect(seen == lines, "\(key): tools/backend-tables writes it anew")
        }
    }

    // The command ----------------------------------------------------------------------------------------------------------

    private func test(
        _ words: String...,
        in folder: URL? = nil
    ) throws -> (
        status: Int32, output: String, errors: String
    ) {
        try test(words, in: folder)
    }

    private func test(
        _ words: [String],
        in folder: URL? = nil
    ) throws -> (
        status: Int32, output: String, errors: String
    ) {
        let process = Process()
        if let folder { process.currentDirectoryURL = folder }
        process.executableURL = BackendTests.testProducts.appendingPathComponent("berth")
        process.arguments = ["backend", "test"] + words
        let (output, errors) = (Pipe(), Pipe())
        (process.standardOutput, process.standardError) = (output, errors)
        try process.run()
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        let other = try errors.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        return (
            process.terminationStatus, String(decoding: text, as: UTF8.self), String(decoding: other, as: UTF8.self)
        )
    }

    private struct Report: Decodable {
        struct Ability: Decodable {
            struct Check: Decodable {
                let name, result: String
                let reason: String?
            }

            let name, result: String
            let checks: [Check]
        }

        let version: String
        let capabilities: [String]
        let passed, failed, notClaimed: Int
        let abilities: [Ability]
    }

    @Test func whatIsNotClaimedIsNoFailure() throws {
        let outcome = try test("example", "--only", "numbersAreOfAKnownType", "--format", "json")
        #expect(outcome.status == 0, "\(outcome)")
        let report = try JSONDecoder().decode(Report.self, from: Data(outcome.output.utf8))
        #expect((report.passed, report.failed, report.notClaimed) == (0, 0, 1))
        let ability = try #require(report.abilities.first)
        #expect(ability.name == "metrics" && ability.result == "not claimed")
        #expect(ability.checks.first?.reason?.contains("cgroups") == true)
    }

    /// What is wrong with a program that is no shim is said once, before fifty checks fail for it.
    @Test(arguments: [
        ("exit 1", "start ended with exited(1)"), ("exit 0", "start printed nothing instead of its socket"),
        ("echo some words", "start printed 'some words' instead of its socket"),
        ("echo unix:///no/such/socket", "/no/such/socket"), ("exec yes", "wrote more than 1 MiB; it said 'y y y "),
        (#"printf '\033[2J\000\377'; head -c 5000 /dev/zero | tr '\0' x"#, #"printed '\u{1b}[2J\u{0}�xxx"#),
        (#"seq 5000 >&2; exit 3"#, "start ended with exited(3): 1 2 3 "),
    ])
    func whatIsNoShimIsSaidAtOnce(body: String, text: String) throws {
        let path = "/tmp/berth-no-shim-\(UUID().uuidString.prefix(8))"
        try Data("#!/bin/sh\n[ \"$1\" = -info ] && exit 1\n\(body)\n".utf8).write(to: URL(fileURLWithPath: path))
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        defer { try? FileManager.default.removeItem(atPath: path) }
        let outcome = try test(path, "--format", "json")
        #expect(outcome.status == 2 && outcome.output.isEmpty, "\(outcome)")
        #expect(
            outcome.errors.contains("'\(path)' is no shim v2 program") && outcome.errors.contains(text),
            "\(outcome)"
        )
        #expect(outcome.errors.count < 600 && outcome.errors.split(separator: "\n").count == 1, "\(outcome)")
        #expect(
            !outcome.errors.dropLast().unicodeScalars.contains { $0.value < 32 },
            "\(outcome)"
        )
    }

    /// A path of any form is a path, and leads to the program from where the caller is.
    @Test func aRelativePathIsAPath() throws {
        let name = "berth-shim-example"
        let outcome = try test("./\(name)", "--only", "numbersAreOfAKnownType", in: BackendTests.testProducts)
        #expect(outcome.status == 0 && outcome.output.contains("./\(name)"), "\(outcome)")
    }

    /// The page for authors says how long the example is; tools/check holds it below a hundred lines.
    @Test func theExampleIsAsLongAsIsSaid() throws {
        let folder = Self.repository.appendingPathComponent("Plugins/example")
        let count = try ["ExampleBackend.swift", "main.swift"].map { name in
            try String(contentsOf: folder.appendingPathComponent(name), encoding: .utf8).filter { $0 == "\n" }.count
        }.reduce(0, +)
        for page in ["docs/backends.md", "Plugins/example/README.md"] {
            let text = try String(contentsOf: Self.repository.appendingPathComponent(page), encoding: .utf8)
            #expect(text.contains("\(count) lines"), "\(page)")
        }
    }

    @Test(arguments: [
        (["/no/such/program"], "'/no/such/program' is no file: name a shim v2 program by its path"),
        (["/etc"], "is no file"),
        (["/etc/passwd"], "'/etc/passwd' is not executable"), (["./nothing/here"], "/nothing/here' is no file"),
        (["nobody-knows-it"], "no program in PATH: give the path"),
        (["nobody-knows-it"], "no backend beside berth (example,"),
        (["example", "--only", "nosuchcheck"], "no check's name contains 'nosuchcheck'; the checks are"),
        (["example", "--only", "nosuchcheck"], "wholeLifeOfAContainer"),
        (["example", "--only", ""], "--only wants a value"),
        ([""], "an empty text is no program"), (["example", "--runtime", ""], "--runtime wants a value"),
        (["native", "--format", "xml"], "table, json or markdown"), (["native", "example"], "Unexpected argument"),
        (["native", "--bogus"], "Unknown option"),
        (["native", "--runtime", "no-such"], "no-such"), (["oci", "--runtime", "/etc/passwd"], "is not executable"),
    ])
    func whatCannotBeTriedIsNamed(words: [String], text: String) throws {
        let outcome = try test(words)
        #expect(outcome.status == 2, "\(outcome)")
        #expect(outcome.errors.contains(text))
    }
}
