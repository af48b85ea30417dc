import FoundationEssentials
import Kernel

/// The program that runs in this process.
struct RunningProgram: Sendable {
    /// The program itself, whatever happens to its path.
    let descriptor: SharedDescriptor
    /// Where it was, and where the next version of it is expected.
    let path: String

    /// Opens it.
    static func current() throws -> RunningProgram {
        let link = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        let removed = " (deleted)"
        return RunningProgram(
            descriptor: SharedDescriptor(try File.open("/proc/self/exe", .path)),
            path: link.hasSuffix(removed) ? String(link.dropLast(removed.count)) : link
        )
    }

    /// Opens a program that may take over.
    ///
    /// - Throws: ``DaemonError`` when there is none.
    static func open(_ path: String) throws -> RunningProgram {
        guard Installation.isProgram(path) else {
            throw DaemonError.other("'\(path)' is no program that can be executed")
        }
        return RunningProgram(descriptor: SharedDescriptor(try File.open(path, .path)), path: path)
    }
}
