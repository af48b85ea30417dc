import HostBundle
import Kernel
import OCISpec
import ShimKit

/// A container that is a directory: its processes have another root, and share all else with the host.
final class ExampleBackend: Backend {
    static let information = BackendInformation(name: "example", version: "1", mountTypes: ["overlay", "bind"])
    private let root: BundleRoot
    private var gate: SharedDescriptor?

    init(_ context: BackendContext) throws(BackendError) { root = BundleRoot(bundle: context.bundle) }

    func create(_ request: BackendCreateRequest) throws(BackendError) -> ContainerProcess {
        try root.refuseMounts(of: request.specification)
        try root.mount(request.rootMounts)
        do throws(BackendError) {
            let (child, gate) = try launch(root.process(ofSpecification: request.specification), request.streams)
            self.gate = gate
            return child
        } catch {
            root.unmount()
            throw error
        }
    }

    func start() throws(BackendError) { if let gate { try open(gate) } }

    func exec(_ request: BackendExecRequest) throws(BackendError) -> ContainerProcess {
        let (child, gate) = try launch(root.process(request.process), request.streams)
        try open(gate)
        return child
    }

    func killAll(signal: Signal) throws(BackendError) {
        // What a process leaves becomes the shim's child, and a child's number is its own until the shim has reaped it.
        for pid in try processes() { try? Signals.send(signal, toChild: pid) }
    }

    func pause() throws(BackendError) { try killAll(signal: .stop) }
    func resume() throws(BackendError) { try killAll(signal: .resume) }
    func update(resources: [UInt8]) throws(BackendError) { throw Self.unsupported("set limits") }
    func metrics() throws(BackendError) -> BackendMetrics { throw Self.unsupported("read metrics") }
    func processes() throws(BackendError) -> [Int32] { (try? ProcessFacts.children(of: Credentials.processID)) ?? [] }
    func outOfMemory() -> OutOfMemory { OutOfMemory() }
    func delete() throws(BackendError) { root.unmount() }
    static func cleanUp(_ context: BackendContext) throws(BackendError) { BundleRoot(bundle: context.bundle).unmount() }

    private static func unsupported(_ operation: String) -> BackendError {
        .refused(stage: "cgroup", operation: operation, code: .unsupported, detail: "this backend has no cgroups")
    }

    /// Makes a child that waits for a byte, and answers with an errno if its program cannot be executed.
    private func launch(
        _ process: RuntimeSpec.Process,
        _ streams: ProcessStreams
    ) throws(BackendError) -> (ContainerProcess, SharedDescriptor) {
        do throws(KernelError) {
            let (ours, theirs) = try UnixSocket.pair()
            let (words, environment) = (try ArgumentVector(process.args ?? []), try ArgumentVector(process.env ?? []))
            let ends = try ProcessEnds(streams)
            if let child = try Clone.fork() {
                return (ContainerProcess(pid: child.pid, pidfd: child.sharedPidfd(), terminal: ends.master), ours)
            }
            do throws(KernelError) {
                // With the shim's end closed here too, its death before the start is the end of the gate.
                try DescriptorTable.close(from: UInt32(ours.raw), through: UInt32(ours.raw))
                guard try !theirs.read(upTo: 1).isEmpty else { Clone.exit(255) }
                try ProcessAttributes.startSession()
                Signals.resetAll()
                Signals.setMask(.none)
                try ends.place()
                let place = SharedDescriptor(try File.open("\(root.bundle)/rootfs", [.path, .directory]))
                try withExtendedLifetime(place) { () throws(KernelError) in try Mount.changeRoot(to: place.raw) }
                try WorkingDirectory.change(to: process.cwd ?? "/")
                try Credentials.setSupplementaryGroups(process.user?.additionalGids ?? [])
                try Credentials.setGroup(process.user?.gid ?? 0)
                try Credentials.setUser(process.user?.uid ?? 0)
                // Last, for another user takes it back; a shim that has gone before has closed its end of the gate.
                try ProcessAttributes.setParentDeathSignal(.kill)
                guard try theirs.poll(for: .readable, timeout: .zero).isEmpty else { Clone.exit(255) }
                try Exec.replace(process.args?.first ?? "", arguments: words, environment: environment)
            } catch { try? theirs.writeAll([UInt8(truncatingIfNeeded: error.errno.rawValue)]) }
            Clone.exit(255)
        } catch { throw .failed(stage: "create", error) }
    }

    private func open(_ gate: SharedDescriptor) throws(BackendError) {
        let answer: [UInt8]
        do throws(KernelError) {
            try gate.writeAll([1])
            answer = try gate.read(upTo: 1)
        } catch { throw .failed(stage: "start", error) }
        guard let number = answer.first else { return }
        throw .failed(stage: "exec", operation: "execute", errno: Errno(rawValue: Int32(number)))
    }
}
