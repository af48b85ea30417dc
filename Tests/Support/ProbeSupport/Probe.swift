public import Kernel

/// Runs `kernel-probe`, the helper process that changes ids, mounts, namespaces and descriptors so that the test process need not.
public struct Probe {
    /// What a finished probe left.
    public struct Result {
        /// How it ended.
        public let status: ExitStatus
        /// What it wrote to standard output.
        public let output: String

        /// The value of a line `key=value`; nil when there is none.
        public subscript(key: String) -> String? {
            for line in output.split(separator: "\n") where line.hasPrefix("\(key)=") {
                return String(line.dropFirst(key.utf8.count + 1))
            }
            return nil
        }
    }

    /// Where the build put the helper: beside the test runner.
    ///
    /// - Returns: its path.
    /// - Throws: `KernelError`.
    public static func path() throws -> String {
        let runner = try RootedDir("/proc").readlink("self/exe")
        let text = String(decoding: runner, as: UTF8.self)
        return text.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
            + "/kernel-probe"
    }

    /// Runs a scenario to its end.
    ///
    /// - Parameters:
    ///   - arguments: the scenario's name and arguments.
    ///   - change: adjusts how it is spawned.
    /// - Returns: its end and its output.
    /// - Throws: `KernelError` when it cannot be run.
    public static func run(_ arguments: String..., change: (inout Spawn) -> Void = { _ in }) throws -> Result {
        let program = try path()
        let pipe = try Pipe()
        var spawn = Spawn(arguments: ["kernel-probe"] + arguments, environment: ["PATH=/usr/bin:/bin"])
        spawn.descriptors = [1: pipe.writer.raw, 2: 2]
        change(&spawn)
        let child = try spawn.start(program)
        let (reader, _) = pipe.ends()
        let output = try reader.readToEnd(limit: 1 << 20)
        return Result(status: try child.pidfd.wait(), output: String(decoding: output, as: UTF8.self))
    }
}

/// A copy of a program that is about to be run.
public enum ProgramCopy {
    /// A copy that was not made.
    public struct Failure: Error {
        /// Where it was to be.
        public let path: String
        /// How `cp` ended.
        public let status: ExitStatus
    }

    /// Makes it in another process: a child that any other test starts meanwhile would have the file open for writing, as this process has, and
    /// the kernel runs no such file (`ETXTBSY`).
    ///
    /// - Throws: `KernelError` when `cp` cannot be run, ``Failure`` when it fails.
    public static func make(of program: String, at path: String) throws {
        let spawn = Spawn(arguments: ["cp", "-p", program, path], environment: ["PATH=/usr/bin:/bin"])
        let status = try spawn.start("/bin/cp").pidfd.wait()
        guard status == .exited(0) else { throw Failure(path: path, status: status) }
    }
}

/// A directory of a test's own, removed when the object goes.
public final class Scratch {
    /// Where it is.
    public let path: String

    /// Makes it.
    public init() throws {
        path = "/tmp/berth-test-\(Random.hex(8))"
        try File.makeDirectory(path)
    }

    deinit {
        // Left-overs of a failed removal are visible by their name.
        _ = try? File.removeTree(path)
    }
}
