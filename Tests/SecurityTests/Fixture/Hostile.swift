import Foundation
import Kernel
import SystemFixture

/// The attacker's program, and processes that race with what is tested.
enum Hostile {
    private static let built: Result<String, any Error> = Result {
        let source = Binaries.repository.appendingPathComponent("Tests/Support/hostile/hostile.c").path
        // Beside the tests where they are built for a machine without a compiler.
        let made = Binaries.path("hostile")
        if File.exists(made), try File.status(made).modified >= File.status(source).modified { return made }
        let folder = SuiteFolder.url
        let program = folder.appendingPathComponent("hostile").path
        let options = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-static", "-no-pie"]
        let outcome = try Command("gcc", options + ["-o", program, source], in: folder).finish()
        guard outcome.status == 0 else { throw Command.Overdue(description: "hostile.c: \(outcome)") }
        return program
    }

    /// Path of the program, which is static.
    static func program() throws -> String { try built.get() }

    /// Exchanges two names as fast as it can while `body` runs, on the other processor.
    ///
    /// - Returns: what `body` gave, and how often they were exchanged.
    static func swapping<T>(_ one: String, _ other: String, in folder: URL, _ body: () throws -> T) throws -> (T, Int) {
        let swapper = try Command(try program(), ["swap", one, other], in: folder, keepsInput: true)
        try eventually("the swapper runs") { swapper.output.contains("swapping") }
        let result = try body()
        swapper.closeInput()
        let count = try swapper.finish().lines.last.flatMap { Int($0) } ?? 0
        return (result, count)
    }
}
