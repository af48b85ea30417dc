import Kernel
import NativeContainer
import OCISpec

/// A command that could not do what was asked.
struct RuntimeError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The class of the error.
    let code: ErrorCode
    /// One line for people and for the programs that look for known words in it.
    let description: String

    /// A command line that cannot be understood.
    static func usage(_ reason: String) -> RuntimeError { RuntimeError(code: .invalidArgument, description: reason) }

    /// A container that nobody has created.
    ///
    /// The words are those that callers of such commands look for.
    static func notFound(_ id: String) -> RuntimeError {
        RuntimeError(code: .notFound, description: "container '\(id)' does not exist")
    }

    /// An id that is taken.
    static func exists(_ id: String) -> RuntimeError {
        RuntimeError(code: .alreadyExists, description: "container with id '\(id)' already exists")
    }

    /// A state that forbids the operation.
    static func forbidden(_ reason: String) -> RuntimeError {
        RuntimeError(code: .failedPrecondition, description: reason)
    }

    /// What this runtime does not do.
    static func unsupported(_ what: String) -> RuntimeError {
        RuntimeError(code: .unsupported, description: "\(what) is not supported")
    }

    /// A file that is not what it should be.
    static func malformed(_ file: String, _ reason: String) -> RuntimeError {
        RuntimeError(code: .invalidArgument, description: "read '\(file)': \(reason)")
    }

    init(code: ErrorCode, description: String) {
        self.code = code
        self.description = description
    }

    init(_ error: NativeError) { self.init(code: error.code, description: error.description) }

    init(_ error: KernelError) { self.init(code: error.code, description: error.description) }
}

/// Runs calls to the kernel.
@discardableResult
func kernel<Result: ~Copyable>(_ body: () throws(KernelError) -> Result) throws(RuntimeError) -> Result {
    do throws(KernelError) { return try body() } catch { throw RuntimeError(error) }
}

/// Runs an operation of a container.
func native<Result>(_ body: () throws(NativeError) -> Result) throws(RuntimeError) -> Result {
    do throws(NativeError) { return try body() } catch { throw RuntimeError(error) }
}

/// Reads a document that the command line names.
func document<Result>(
    _ file: String,
    _ body: () throws(DocumentError) -> Result
) throws(RuntimeError) -> Result {
    do throws(DocumentError) { return try body() } catch { throw .malformed(file, error.description) }
}
