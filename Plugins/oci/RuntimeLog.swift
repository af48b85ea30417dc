import FoundationEssentials
import Kernel
import ShimKit

/// What a runtime wrote into its log (`--log FILE --log-format json`) during one call.
struct RuntimeLog {
    /// A line; runtimes agree on these two members.
    private struct Line: Decodable {
        let level: String?
        let msg: String?
    }

    /// In the order of the file.
    private(set) var errors: [String] = []
    private(set) var warnings: [String] = []

    /// Reads the log and removes it, so that the next call begins a new one.
    ///
    /// - Parameters:
    ///   - path: Of the log; none is an empty one.
    ///   - limit: Most that is read.
    /// - Returns: What it said.
    static func take(_ path: String, limit: Int) -> RuntimeLog {
        var log = RuntimeLog()
        // A log that is absent or too long says nothing; the status of the call says that something is wrong.
        let text = (try? File.readText(path, limit: limit)) ?? ""
        _ = try? File.remove(path)
        for line in text.split(separator: "\n") { log.add(line) }
        return log
    }

    private mutating func add(_ text: Substring) {
        guard let line = try? JSONDecoder().decode(Line.self, from: Data(text.utf8)), let message = line.msg else {
            // Not every runtime keeps to the form that it was asked for.
            return errors.append(String(text))
        }
        switch line.level {
        case "error", "fatal", "panic": errors.append(message)
        case "warning", "warn": warnings.append(message)
        default: break
        }
    }

    /// The error of a call that failed: the last of the log, else what the runtime printed, else how it ended.
    func failure(_ stage: String, of program: String, _ status: ExitStatus, printed: [UInt8]) -> BackendError {
        let lines = String(decoding: printed, as: UTF8.self).split(separator: "\n")
        let reason =
            errors.last.map { String($0.prefix(4096)) } ?? lines.last.map(String.init)
            ?? "\(status) without a word in its log"
        let name = program.split(separator: "/").last.map(String.init) ?? program
        guard let errno = Self.missingProgram(reason) else {
            return .refused(stage: stage, operation: name, code: Self.code(reason), detail: reason)
        }
        // The stage by which every manager knows that it is the command that is wrong.
        return .refused(
            stage: "exec",
            operation: name,
            code: errno == .noEntry ? .notFound : .permissionDenied,
            detail: reason,
            errno: errno
        )
    }

    /// What is wrong with the program that was to be executed, where that is what the text is about.
    private static func missingProgram(_ reason: String) -> Errno? {
        let text = reason.lowercased()
        guard text.contains("exec") else { return nil }
        if text.hasSuffix("no such file or directory") || text.contains("executable file not found in $path")
            || text.hasSuffix("not found in $path")
        {
            return .noEntry
        }
        return text.hasSuffix("permission denied") || text.hasSuffix("is a directory") ? .accessDenied : nil
    }

    private static func code(_ reason: String) -> ErrorCode {
        let text = reason.lowercased()
        if text.contains("does not exist") { return .notFound }
        if text.contains("already exists") || text.contains("id already in use") { return .alreadyExists }
        return text.contains("not running") || text.contains("not paused") ? .failedPrecondition : .internal
    }

    /// Writes a line to the shim's own log.
    static func note(_ text: String) {
        // Nobody is left to be told when it is closed.
        try? BorrowedDescriptor.standardError.writeAll("\(text)\n")
    }
}
