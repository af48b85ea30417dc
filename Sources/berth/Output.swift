import ArgumentParser
import Client
import Kernel

/// Both output streams of the command, and its end.
enum Output {
    /// Whether standard output is a terminal, so that a person reads it.
    static let isTerminal = BorrowedDescriptor.standardOutput.isTerminal

    /// Whether to use colour: on a terminal, unless NO_COLOR says otherwise.
    static let hasColour = isTerminal && (CurrentProcess.environment("NO_COLOR") ?? "").isEmpty

    /// Writes to standard output.
    static func write(_ text: String) {
        write(Array(text.utf8), to: .standardOutput)
    }

    /// Writes a line to standard output.
    static func line(_ text: String) {
        write(text + "\n")
    }

    /// Writes a line to standard error.
    static func note(_ text: String) {
        write(Array((text.hasSuffix("\n") ? text : text + "\n").utf8), to: .standardError)
    }

    /// Writes bytes as they are.
    static func write(_ bytes: [UInt8], to stream: BorrowedDescriptor) {
        do {
            try stream.writeAll(bytes)
        } catch  where error.errno == .brokenPipe {
            // Who read the output has seen enough: end as the signal would have ended it.
            CurrentProcess.exit(141)
        } catch {
            CurrentProcess.exit(125)
        }
    }

    /// Says what went wrong, and ends.
    static func fail(_ message: String, code: Int32) -> Never {
        let prefix = BorrowedDescriptor.standardError.isTerminal ? "\u{1b}[31merror:\u{1b}[0m " : "error: "
        note(prefix + message)
        finish(code)
    }

    /// Ends the command.
    static func finish(_ code: Int32) -> Never {
        CurrentProcess.exit(code)
    }
}

/// A command that could not do its work.
package struct Failure: Error {
    package let message: String
    package let code: Int32

    package init(_ message: String, code: Int32 = 1) {
        self.message = message
        self.code = code
    }

    /// The exit code for an error of the daemon outside of run, start -a and exec.
    static func code(of error: ClientError) -> Int32 {
        error.isUnreachable ? 125 : 1
    }

    /// The exit code of run, start -a and exec when the container's process could not be started.
    static func startCode(of error: ClientError) -> Int32 {
        let text = error.description.lowercased()
        guard !error.isUnreachable else { return 125 }
        if text.contains("executable file not found") || text.contains("no such file or directory") { return 127 }
        if text.contains("permission denied") || text.contains("is a directory") || text.contains("exec format error") {
            return 126
        }
        return 125
    }
}

/// Runs `body` for each name; one that fails is reported and does not keep the others from being done.
func forEach(_ names: [String], _ body: (String) throws -> Void) throws {
    var failed: Int32 = 0
    for name in names {
        do {
            try body(name)
        } catch let error as ClientError {
            if error.isUnreachable { throw error }
            Output.note("error: \(error)")
            failed = 1
        } catch let error as Failure {
            Output.note("error: \(error.message)")
            failed = error.code
        }
    }
    guard failed == 0 else { throw Failure("", code: failed).silent }
}

extension Failure {
    /// The end of a command that has said already what went wrong.
    var silent: ExitCode { ExitCode(code) }
}

extension [String] {
    /// What the parser leaves to commands that take other programs' arguments: a first word that is an option of theirs.
    func checkPassthrough(_ command: any ParsableCommand.Type) throws {
        guard let first, first.hasPrefix("-") else { return }
        if first == "--help" { throw CleanExit.helpRequest(command) }
        throw ValidationError("Unknown option '\(first)'")
    }
}
