import HostBundle
import Kernel
import ShimKit

/// A process that becomes a runtime which does not see the hierarchy of cgroup version 2 beside those of version 1.
///
/// crun refuses every container on a host that has both. It runs in a mount namespace of its own; what is mounted on the host comes into it, and
/// nothing that is mounted there comes out, which counts for the runtime's hooks.
enum HiddenHierarchy {
    static let command = "runtime"
    /// Where hosts with both have version 2.
    private static let place = "/sys/fs/cgroup/unified"

    /// The arguments and namespaces of the process.
    ///
    /// - Parameters:
    ///   - path: Absolute path of the runtime.
    ///   - words: Its flags, command and arguments.
    /// - Returns: What is to be started, with this program as what runs.
    static func spawn(_ path: String, _ words: [String]) -> Spawn {
        var spawn = Spawn(
            arguments: [CommandLine.arguments.first ?? "shim", command, path] + words,
            environment: [HostProgram.path]
        )
        spawn.namespaces = .mount
        return spawn
    }

    /// The process itself.
    static func main() -> Never {
        let words = Array(CommandLine.arguments.dropFirst(2))
        do throws(KernelError) {
            try Mount.setPropagation("/", .slave, recursive: true)
            // Where there is none nothing has to be hidden.
            do throws(KernelError) { try Mount.unmount(place, [.detach, .noFollow]) } catch
                where [.noEntry, .invalid].contains(error.errno)
            {}
            try Exec.replace(
                words.first ?? "",
                arguments: ArgumentVector(words),
                environment: ArgumentVector([HostProgram.path])
            )
        } catch {
            // Who started it reads what is printed.
            try? BorrowedDescriptor.standardError.writeAll("\(error)\n")
        }
        Clone.exit(127)
    }
}
