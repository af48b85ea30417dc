import HostBundle
import Kernel
import ShimKit
import ShimProtocol
import SwiftProtobuf

// Options, files and the shim's process.
extension ForeignBackend {
    /// The program when nothing else is said: containerd's own.
    private static let defaultShim = "containerd-shim-runc-v2"

    /// The program that a request asks for.
    static func program(
        _ request: BackendCreateRequest,
        _ context: BackendContext
    ) throws(BackendError) -> ForeignShim.Program {
        // Of a runtime that is missing a shim says the same as of a command that is.
        if let runtime = request.options["runtime"], !runtime.isEmpty {
            _ = try HostProgram.find(runtime, stage: "runtime")
        }
        return ForeignShim.Program(
            path: try HostProgram.find(request.options["shim"] ?? defaultShim, stage: "shim"),
            namespace: context.namespace,
            id: context.id,
            bundle: "\(context.bundle)/foreign/\(context.id)"
        )
    }

    /// runc's options, when any are set.
    static func options(_ request: BackendCreateRequest) -> Google_Protobuf_Any? {
        let (runtime, root) = (request.options["runtime"] ?? "", request.options["root"] ?? "")
        guard !runtime.isEmpty || !root.isEmpty || request.usesSystemdCgroup else { return nil }
        return Google_Protobuf_Any(
            packed: RuncOptions.with { options in
                (options.binaryName, options.root) = (runtime, root)
                options.systemdCgroup = request.usesSystemdCgroup
            }
        )
    }

    /// Makes the foreign shim's bundle.
    func prepare(_ bundle: String) throws(BackendError) {
        do throws(KernelError) {
            _ = try File.removeTree(bundle)
            try File.makeDirectories("\(bundle)/rootfs", mode: 0o711)
        } catch {
            throw .failed(stage: "bundle", error)
        }
    }

    static func write(_ bytes: [UInt8], to path: String) throws(BackendError) {
        do throws(KernelError) {
            try File.writeAtomically(path, bytes, durable: false)
        } catch {
            throw .failed(stage: "bundle", error)
        }
    }

    func existing(_ operation: String) throws(BackendError) -> ForeignShim {
        if let shim { return shim }
        throw .refused(
            stage: operation,
            operation: operation,
            code: .failedPrecondition,
            detail: "there is no container"
        )
    }

    static func note(_ lines: [String]) {
        // Nobody is left to be told when the log is closed.
        for line in lines { try? BorrowedDescriptor.standardError.writeAll("\(line)\n") }
    }
}

/// The streams of a process as paths that a foreign shim can open: those of our own descriptors in procfs.
struct StreamPaths {
    var input = ""
    var output = ""
    var error = ""
    /// In place of a terminal's master, when there is a terminal.
    var terminal: SharedDescriptor?
    /// Kept until the foreign shim has opened it.
    var inputEnd: SharedDescriptor?
    private var kept: [SharedDescriptor] = []

    init(_ streams: ProcessStreams) throws(BackendError) {
        switch streams {
        case .terminal:
            do throws(KernelError) {
                let ends = try TerminalBridge.start()
                (terminal, inputEnd, kept) = (ends.terminal, ends.input, [ends.output])
                (input, output) = (Self.path(ends.input), Self.path(ends.output))
            } catch {
                throw .failed(stage: "console", error)
            }
        case .descriptors(let input, let output, let error):
            (inputEnd, kept) = (input, [output, error])
            // A device is no pipe: without input there is no path.
            self.input = (try? input.status().kind) == .fifo ? Self.path(input) : ""
            (self.output, self.error) = (Self.path(output), Self.path(error))
        }
    }

    private static func path(_ descriptor: SharedDescriptor) -> String {
        "/proc/\(Credentials.processID)/fd/\(descriptor.raw)"
    }
}
