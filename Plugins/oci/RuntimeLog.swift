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

    /// Reads what a runtime has written.
    init(_ bytes: [UInt8]) {
        for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n") { add(line) }
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

/// Where a runtime writes its log during one call: a pipe with a name, of which only the end is kept, however much is written.
struct RuntimeLogPipe: ~Copyable {
    /// Most that is kept.
    private static let limit = 256 << 10

    private let path: String
    private let reader: SharedDescriptor
    private var end: [UInt8] = []

    /// Readable when something was written.
    var raw: RawDescriptor { reader.raw }

    /// Makes the pipe, in place of one of a call that was cut off.
    init(bundle: String, name: String) throws(KernelError) {
        path = "\(bundle)/\(name)"
        _ = try File.remove(path)
        try RootedDir(bundle).mknod(name, .fifo, permissions: 0o600)
        // With both ends it is never closed, and no runtime waits for a reader.
        reader = SharedDescriptor(try File.open(path, [.readWrite, .nonBlocking]))
    }

    /// Takes a part of what is there; false when there is nothing.
    mutating func take() -> Bool {
        guard let bytes = try? reader.read(upTo: 64 << 10), !bytes.isEmpty else { return false }
        end += bytes
        if end.count > 2 * Self.limit { end.removeFirst(end.count - Self.limit) }
        return true
    }

    /// Takes the rest and removes the pipe: who still writes into it is told that nobody reads.
    ///
    /// - Returns: The end of what was written.
    consuming func finish() -> [UInt8] {
        // The bound is for somebody who goes on writing; a pipe holds less.
        for _ in 0..<64 where !take() { break }
        _ = try? File.remove(path)
        return end.suffix(Self.limit)
    }
}
