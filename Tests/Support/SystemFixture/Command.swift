package import Foundation

/// A program that ran to its end.
package struct Outcome: CustomStringConvertible {
    /// Exit code, or 128 and the number of the signal that ended it.
    package let status: Int32
    /// What it wrote to standard output.
    package let output: String
    /// What it wrote to standard error.
    package let errors: String

    /// The lines of standard output.
    package var lines: [String] { output.split(separator: "\n").map(String.init) }

    /// Standard output without white space at either end.
    package var text: String { output.trimmingCharacters(in: .whitespacesAndNewlines) }

    package init(status: Int32, output: String, errors: String) {
        self.status = status
        self.output = output
        self.errors = errors
    }

    package var description: String { "status \(status)\n\(output)\(errors)" }
}

/// How much longer than on an ordinary machine something may take: BERTH_TEST_PATIENCE, else 1.
package let patience = ProcessInfo.processInfo.environment["BERTH_TEST_PATIENCE"].flatMap(Double.init) ?? 1

/// A program that runs, with its output in files, so that nobody has to read it for it to go on.
package final class Command {
    /// A program that did not come to its end in time.
    package struct Overdue: Error, CustomStringConvertible {
        package let description: String

        package init(description: String) { self.description = description }
    }

    /// Seconds.
    private static let limit = 400.0

    private let process = Process()
    private let ended = DispatchSemaphore(value: 0)
    private let folder: URL
    private let name: String
    private let input = Pipe()

    /// Standard output so far.
    package var output: String { contents("out") }
    /// Standard error so far.
    package var errors: String { contents("err") }
    /// The process id.
    package var pid: Int32 { process.processIdentifier }
    /// Whether it still runs.
    package var isRunning: Bool { process.isRunning }

    /// Starts `program` with its output in `folder`.
    ///
    /// A name that is no path is looked up in PATH. Standard input is closed at once unless `keepsInput`.
    package init(
        _ program: String,
        _ arguments: [String],
        in folder: URL,
        environment: [String: String] = [:],
        keepsInput: Bool = false
    ) throws {
        self.folder = folder
        name = "\(URL(fileURLWithPath: program).lastPathComponent)-\(UUID().uuidString)"
        process.executableURL = URL(fileURLWithPath: program.contains("/") ? program : "/usr/bin/env")
        process.arguments = (program.contains("/") ? [] : [program]) + arguments
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        process.standardInput = input
        let outputs = try ["out", "err"].map { try Self.create(folder.appendingPathComponent("\(name).\($0)")) }
        // Closed here and now: a test process that starts thousands of programs must not collect descriptors.
        defer { for output in outputs { try? output.close() } }
        process.standardOutput = outputs[0]
        process.standardError = outputs[1]
        process.terminationHandler = { [ended] _ in ended.signal() }
        try process.run()
        if !keepsInput { closeInput() }
    }

    private static func create(_ file: URL) throws -> FileHandle {
        try Data().write(to: file)
        return try FileHandle(forWritingTo: file)
    }

    private func contents(_ stream: String) -> String {
        String(
            decoding: (try? Data(contentsOf: folder.appendingPathComponent("\(name).\(stream)"))) ?? Data(),
            as: UTF8.self
        )
    }

    /// Writes to its standard input.
    package func type(_ text: String) throws {
        try input.fileHandleForWriting.write(contentsOf: Data(text.utf8))
    }

    /// Ends its standard input.
    package func closeInput() {
        try? input.fileHandleForWriting.close()
    }

    /// Sends it a signal; it is our own child, so the number cannot be another's.
    package func send(_ signal: Int32) {
        kill(process.processIdentifier, signal)
    }

    /// Waits for its end, so many seconds of an ordinary machine at most.
    ///
    /// On a slow one not for longer than ``limit``: the suite's own limit would end the test without a word about who waits for what.
    @discardableResult
    package func finish(within ordinary: Double = 60) throws -> Outcome {
        let seconds = max(ordinary, min(ordinary * patience, Self.limit))
        guard ended.wait(timeout: .now() + seconds) == .success else {
            send(SIGKILL)
            throw Overdue(description: "\(name) did not end in \(seconds) s\n\(output)\(errors)")
        }
        ended.signal()
        closeInput()
        let status = process.terminationReason == .exit ? process.terminationStatus : 128 + process.terminationStatus
        return Outcome(status: status, output: output, errors: errors)
    }
}

/// Looks again and again until `condition` holds.
///
/// For what gives no event that a test could wait for. The time is that of an ordinary machine.
package func eventually(
    within ordinary: Double = 20,
    _ what: String,
    _ condition: () throws -> Bool
) throws {
    let seconds = ordinary * patience
    let deadline = Date().addingTimeInterval(seconds)
    while try !condition() {
        guard Date() < deadline else { throw Command.Overdue(description: "after \(seconds) s still not: \(what)") }
        usleep(5_000)
    }
}
