import FoundationEssentials
import Kernel
import OCISpec
import ShimKit
import ShimProtocol

/// A backend without isolation: processes of a container are plain children of the shim.
///
/// It exists to test ShimKit by itself. Only `process.args`, `process.env`, `process.cwd` and the streams count.
final class PlainBackend: Backend {
    static let information = BackendInformation(
        name: "plain",
        version: "0",
        capabilities: ["nothing"],
        optionNames: ["root"]
    )

    private let context: BackendContext
    private var children: [ContainerProcess] = []
    private var gate: SharedDescriptor?
    private var environment: [String] = []

    init(_ context: BackendContext) throws(BackendError) {
        self.context = context
    }

    func create(_ request: BackendCreateRequest) throws(BackendError) -> ContainerProcess {
        guard let process = try? JSONDecoder().decode(RuntimeSpec.self, from: Data(request.specification)).process
        else {
            throw .refused(stage: "spec", operation: "decode", code: .invalidArgument, detail: "no process")
        }
        let (child, gate) = try launch(process, request.streams)
        self.gate = gate
        environment = process.env ?? []
        return child
    }

    func start() throws(BackendError) {
        guard let gate else {
            throw .refused(stage: "start", operation: "release", code: .failedPrecondition, detail: "not created")
        }
        self.gate = nil
        try release(gate)
        try dieIfWanted()
    }

    /// A fault that a test asks for: with `DIE_AT_START=PATH` the shim ends here as soon as there is such a file.
    private func dieIfWanted() throws(BackendError) {
        guard let path = environment.first(where: { $0.hasPrefix("DIE_AT_START=") })?.dropFirst(13) else { return }
        do throws(KernelError) {
            while try !File.isThere(String(path)) { Clock.sleep(.milliseconds(5)) }
        } catch {
            throw .failed(stage: "start", error)
        }
        CurrentProcess.exit(9)
    }

    func exec(_ request: BackendExecRequest) throws(BackendError) -> ContainerProcess {
        guard let process = try? JSONDecoder().decode(RuntimeSpec.Process.self, from: Data(request.process)) else {
            throw .refused(stage: "spec", operation: "decode", code: .invalidArgument, detail: "no process")
        }
        let (child, gate) = try launch(process, request.streams)
        do throws(BackendError) {
            try release(gate)
        } catch {
            _ = try? child.pidfd.poll(for: .readable, timeout: .seconds(5))
            _ = try? Pidfd.reapIfEnded(child.pidfd.raw)
            throw error
        }
        return child
    }

    func killAll(signal: Signal) throws(BackendError) {
        for process in children {
            try kill(process, signal: signal)
        }
    }

    func pause() throws(BackendError) {
        try killAll(signal: .stop)
    }

    func resume() throws(BackendError) {
        try killAll(signal: .resume)
    }

    func update(resources: [UInt8]) throws(BackendError) {
        throw .refused(stage: "update", operation: "set limits", code: .unsupported, detail: "there are none")
    }

    func metrics() throws(BackendError) -> BackendMetrics {
        .version1(CgroupV1Metrics())
    }

    func processes() throws(BackendError) -> [Int32] {
        children.filter { (try? ProcessFacts($0.pid))?.state != "Z" }.map(\.pid)
    }

    func outOfMemory() -> OutOfMemory {
        OutOfMemory()
    }

    func delete() throws(BackendError) {
        try? File.writeAtomically(context.bundle + "/deleted", [], durable: false)
    }

    static func cleanUp(_ context: BackendContext) throws(BackendError) {}

    // Going on in another process ---------------------------------------------------------------------------------------

    static var isRestorable: Bool { true }

    /// All that there is to know is which processes there are, which ShimKit knows too.
    func state() throws(BackendError) -> [UInt8] {
        Array("plain".utf8)
    }

    var heldDescriptors: [String: SharedDescriptor] {
        gate.map { ["gate": $0] } ?? [:]
    }

    static func restore(
        _ context: BackendContext,
        state: [UInt8],
        descriptors: [String: SharedDescriptor],
        processes: [String: ContainerProcess]
    ) throws(BackendError) -> PlainBackend {
        guard state == Array("plain".utf8) else {
            throw .refused(stage: "upgrade", operation: "decode state", code: .invalidArgument, detail: "not ours")
        }
        // A fault that a test asks for, once.
        if (try? File.remove(context.bundle + "/fail-restore")) == true {
            throw .refused(stage: "upgrade", operation: "restore", code: .internal, detail: "as was asked for")
        }
        let backend = try PlainBackend(context)
        backend.children = Array(processes.values)
        backend.gate = descriptors["gate"]
        return backend
    }

    // Children ----------------------------------------------------------------------------------------------------------

    /// Makes a child that waits at a gate: a byte lets it run, and it answers with an errno or with its close-on-exec.
    private func launch(
        _ process: RuntimeSpec.Process,
        _ streams: ProcessStreams
    ) throws(BackendError) -> (ContainerProcess, SharedDescriptor) {
        do throws(KernelError) {
            let (ours, theirs) = try UnixSocket.pair()
            let arguments = try ArgumentVector(process.args ?? [])
            let environment = try ArgumentVector(process.env ?? [])
            var master: SharedDescriptor?
            var ends: [SharedDescriptor] = []
            switch streams {
            case .terminal:
                let (controller, terminal) = try Pty().ends()
                master = controller
                ends = [terminal, terminal, terminal]
            case .descriptors(let input, let output, let error):
                ends = [input, output, error]
            }
            guard let child = try Clone.fork() else {
                Self.become(process, arguments, environment, ends, gate: theirs, isTerminal: master != nil)
            }
            let pid = child.pid
            let made = ContainerProcess(pid: pid, pidfd: child.sharedPidfd(), terminal: master)
            children.removeAll { (try? $0.pidfd.poll(for: .readable, timeout: .zero)) != [] }
            children.append(made)
            return (made, ours)
        } catch {
            throw .failed(stage: "create", error)
        }
    }

    private func release(_ gate: SharedDescriptor) throws(BackendError) {
        let answer: [UInt8]
        do throws(KernelError) {
            try gate.writeAll([1])
            answer = try gate.read(upTo: 1)
        } catch {
            throw .failed(stage: "start", error)
        }
        if let number = answer.first {
            throw .failed(stage: "exec", operation: "execute", errno: Errno(rawValue: Int32(number)))
        }
    }

    /// The child: never returns.
    private static func become(
        _ process: RuntimeSpec.Process,
        _ arguments: ArgumentVector,
        _ environment: ArgumentVector,
        _ ends: [SharedDescriptor],
        gate: SharedDescriptor,
        isTerminal: Bool
    ) -> Never {
        do throws(KernelError) {
            _ = try gate.read(upTo: 1)
            try ProcessAttributes.startSession()
            Signals.resetAll()
            Signals.setMask(.none)
            for (number, end) in ends.enumerated() {
                try DescriptorTable.place(end.raw, at: Int32(number))
            }
            if isTerminal {
                try Pty.makeControllingTerminal(0)
            }
            try WorkingDirectory.change(to: process.cwd ?? "/")
            try Exec.replace(process.args?.first ?? "", arguments: arguments, environment: environment)
        } catch {
            try? gate.writeAll([UInt8(truncatingIfNeeded: error.errno.rawValue)])
            Clone.exit(255)
        }
    }
}
