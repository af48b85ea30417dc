internal import FoundationEssentials
internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

/// A shim v2 program, called as containerd calls it.
public struct ShimProgram: Sendable {
    /// What tables of results call it.
    public var name: String
    /// Its executable.
    public var path: String
    /// A command that runs it, such as one that makes a mount namespace first: the executable and what follows come after it.
    public var prefix: [String] = []
    /// The OCI runtime that the shim drives (`binary_name` of runc's options); nil when it does not drive any.
    public var runtime: String?
    /// What the documents of its containers ask of a guard over system calls; nil for none.
    public var guarding: GuardDocument?
    /// Names of checks that it is known not to pass, each with the reason.
    public var exceptions: [String: String]
    /// Names of checks that it passes at some times and not at others, each with the reason; they are not tried on it.
    public var unsteady: [String: String] = [:]

    /// Names a program.
    public init(name: String, path: String, exceptions: [String: String] = [:]) {
        self.name = name
        self.path = path
        self.exceptions = exceptions
    }

    /// Options of Create.
    var createOptions: Google_Protobuf_Any? {
        runtime.map { name in Google_Protobuf_Any(packed: RuncOptions.with { $0.binaryName = name }) }
    }

    /// What a run of the program left.
    struct Output {
        var status: ExitStatus
        var bytes: [UInt8]
        var errors: [UInt8]
    }

    /// Runs `start` or `delete` in a bundle.
    ///
    /// - Parameters:
    ///   - action: the sub-command.
    ///   - flags: what stands before it.
    ///   - bundle: the working directory.
    ///   - environment: further `NAME=value` texts.
    /// - Returns: how it ended and what it wrote.
    /// - Throws: what the kernel refuses, and a program that does not end in time.
    func run(_ action: String, flags: [String], bundle: String, environment: [String]) throws -> Output {
        try run(flags + [action], bundle: bundle, environment: environment)
    }

    /// Runs the program with any arguments.
    func run(_ arguments: [String], bundle: String, environment: [String] = []) throws -> Output {
        let output = try Pipe()
        let errors = try Pipe()
        let directory = try File.open(bundle, .directory)
        let command = prefix + [path] + arguments
        var spawn = Spawn(
            arguments: command,
            environment: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "GOMAXPROCS=2"]
                + environment
        )
        spawn.descriptors = [1: output.writer.raw, 2: errors.writer.raw]
        spawn.directory = directory.raw
        let child = try spawn.start(command[0])
        let pid = child.pid
        let pidfd = child.sharedPidfd()
        // Our own writing ends go, so that the end of the output is seen.
        let (reader, errorReader) = (output.ends().reader, errors.ends().reader)
        let run = Run(readers: [reader, errorReader], pidfd: pidfd)
        do { return try run.finish() } catch {
            // All that it has started is in its group, but for what has left it.
            _ = try? Signals.send(.kill, toGroupOfChild: pid)
            _ = try? Pidfd.waitForEnd(pidfd.raw)
            throw ConformanceFailure("\(([path] + arguments.suffix(1)).joined(separator: " ")) \(error)")
        }
    }

    /// A run of the program that goes on.
    private struct Run {
        /// What it may write; a shim says one line.
        static let limit = 1 << 20

        let readers: [SharedDescriptor]
        let pidfd: SharedDescriptor
        var texts: [[UInt8]] = [[], []]

        init(readers: [SharedDescriptor], pidfd: SharedDescriptor) {
            (self.readers, self.pidfd) = (readers, pidfd)
        }

        /// Waits for its end and takes what it has written until then: a daemon that keeps the pipes open must not hold us up.
        func finish() throws -> Output {
            var run = self
            for reader in readers { try reader.setNonBlocking() }
            let deadline = Clock.monotonic.now + .seconds(20)
            while true {
                var set = PollSet()
                set.add(pidfd.raw, .readable)
                // An end that nobody writes to any more is always ready.
                for reader in readers where try reader.poll(for: .readable, timeout: .zero) != .hangUp {
                    set.add(reader.raw, .readable)
                }
                let left = deadline - Clock.monotonic.now
                guard left > .zero else { throw ConformanceFailure("did not end within 20 s\(run.words)") }
                _ = try set.wait(timeout: left)
                let status = try Pidfd.reapIfEnded(pidfd.raw)
                for (number, reader) in readers.enumerated() { run.texts[number] += try reader.available() }
                guard run.texts.allSatisfy({ $0.count < Self.limit }) else {
                    throw ConformanceFailure("wrote more than \(Self.limit >> 20) MiB\(run.words)")
                }
                if let status { return Output(status: status, bytes: run.texts[0], errors: run.texts[1]) }
            }
        }

        /// What it has said so far.
        private var words: String {
            let said = texts.filter { !$0.isEmpty }.map { "'\(Excerpt($0))'" }.joined(separator: " and ")
            return said.isEmpty ? "" : "; it said \(said)"
        }
    }
}

extension SharedDescriptor {
    /// What can be read without waiting.
    func available(limit: Int = 1 << 20) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < limit {
            do throws(KernelError) {
                let part = try read(upTo: 64 << 10)
                if part.isEmpty { break }
                bytes += part
            } catch {
                guard error.errno == .wouldBlock else { throw error }
                break
            }
        }
        return bytes
    }
}

/// Why a check did not pass.
public struct ConformanceFailure: Error, CustomStringConvertible, Sendable {
    /// What was seen.
    public let description: String

    /// Says what was seen.
    public init(_ description: String) {
        self.description = description
    }
}

/// Fails a check unless a condition holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(ConformanceFailure) {
    guard condition else { throw ConformanceFailure(message()) }
}

/// Fails a check unless two values are the same.
func requireEqual<T: Equatable>(_ seen: T, _ wanted: T, _ what: @autoclosure () -> String) throws(ConformanceFailure) {
    guard seen == wanted else { throw ConformanceFailure("\(what()): \(seen), not \(wanted)") }
}
