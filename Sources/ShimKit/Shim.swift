import Kernel

/// The program that a shim is.
public enum Shim {
    /// Runs a shim with this backend; the whole of an author's `main.swift`.
    ///
    /// - Parameter backend: How the container is isolated.
    public static func main<B: Backend>(_ backend: B.Type) -> Never {
        // Whoever is spoken to may have gone: that is an error of the call, in every command.
        Signals.ignore(.pipe)
        let arguments: ShimArguments
        do throws(UsageError) {
            arguments = try ShimArguments(Array(CommandLine.arguments.dropFirst()))
        } catch {
            fail("\(B.information.name): \(error)", code: 2)
        }
        do throws(ShimFault) {
            try run(arguments, backend)
        } catch {
            fail(error.description, code: error.exitCode)
        }
        Clone.exit(0)
    }

    private static func run<B: Backend>(_ arguments: ShimArguments, _ backend: B.Type) throws(ShimFault) {
        switch arguments.action {
        case .version:
            try print("\(CommandLine.arguments.first ?? ""):\n  Version:  \(B.information.version)\n")
        case .info:
            try InfoCommand.run(B.self)
        case .checkState:
            try CheckStateCommand.run(B.information)
        case .start:
            try StartCommand(arguments).run()
        case .delete:
            try DeleteCommand(arguments).run(backend)
        case .serve, .daemon:
            try Daemon(arguments).run(backend)
        }
    }

    private static func print(_ text: String) throws(ShimFault) {
        do throws(KernelError) {
            try BorrowedDescriptor.standardOutput.writeAll(text)
        } catch {
            throw ShimFault("write output", error)
        }
    }

    private static func fail(_ message: String, code: Int32) -> Never {
        // Nobody is left to hear of an error here.
        try? BorrowedDescriptor.standardError.writeAll(message + "\n")
        Clone.exit(code)
    }
}

/// Why a shim or one of its commands gave up.
struct ShimFault: Error, CustomStringConvertible {
    let description: String
    /// What the process ends with.
    let exitCode: Int32

    init(_ step: String, _ error: some Error) {
        self.init("\(step): \(error)")
    }

    init(_ description: String, exitCode: Int32 = 1) {
        self.description = description
        self.exitCode = exitCode
    }

    /// Another shim is there: the number of gRPC's FailedPrecondition.
    static let failedPrecondition: Int32 = 9
}
