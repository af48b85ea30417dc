import Kernel
import OCISpec

/// Where a command says what went wrong: standard error, and the file that its caller reads.
struct RuntimeLog: Sendable {
    private var file: String?
    private var isJSON = false
    private var isVerbose = false

    /// Standard error alone.
    init() {}

    /// Reads the global options.
    init(_ arguments: Arguments) throws(RuntimeError) {
        switch arguments.last("log-format") ?? "text" {
        case "text": break
        case "json": isJSON = true
        case let other: throw .usage("--log-format: '\(other)' is neither text nor json")
        }
        file = arguments.last("log")
        isVerbose = arguments.has("debug")
    }

    /// Says why the command failed.
    func error(_ error: RuntimeError) {
        let written = file.map { write(line("error", error.description), to: $0) } ?? false
        // Without a file the caller may still want to parse what it reads.
        let text = isJSON && file == nil ? line("error", error.description) : "berth-runtime: \(error)\n"
        // Whom nobody hears cannot say so either.
        try? BorrowedDescriptor.standardError.writeAll(text)
        if let file, !written {
            try? BorrowedDescriptor.standardError.writeAll("berth-runtime: cannot write '\(file)'\n")
        }
    }

    /// Says what could not be done although the command as a whole succeeded.
    func warning(_ text: String) {
        if let file { _ = write(line("warning", text), to: file) } else { write(line("warning", text)) }
    }

    /// Says what the command does, if that was asked for.
    func debug(_ text: String) {
        guard isVerbose else { return }
        if let file { _ = write(line("debug", text), to: file) } else { write(line("debug", text)) }
    }

    private func write(_ line: String) {
        // Nobody is left to be told when standard error is closed.
        try? BorrowedDescriptor.standardError.writeAll(line)
    }

    private func write(_ line: String, to file: String) -> Bool {
        do {
            try File.open(file, [.write, .create, .append], mode: 0o644).writeAll(line)
            return true
        } catch {
            return false
        }
    }

    private func line(_ level: String, _ text: String) -> String {
        let time = Timestamp.now.description
        guard isJSON else { return "time=\"\(time)\" level=\(level) msg=\(JSONValue.string(text).text())\n" }
        let members: [(key: String, value: JSONValue)] = [
            ("level", .string(level)), ("msg", .string(text)), ("time", .string(time)),
        ]
        return JSONValue.object(members).text() + "\n"
    }
}
