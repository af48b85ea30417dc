import Kernel
import ShimModel
import ShimStreams

/// One look at a container's health: a process in it, its output, and the time that it has.
final class HealthProbe {
    /// What became of it: its exit code, or nil when it was given up, and what it wrote.
    typealias Completion = (_ exitCode: Int32?, _ output: [UInt8]) -> Void

    private let backend: any Backend
    private let loop: EventLoop
    private let completion: Completion
    private var process: ContainerProcess?
    private var output: SharedDescriptor?
    private var bytes: [UInt8] = []
    private var watches: [EventLoop.Watch] = []
    private var timer: EventLoop.Timer?
    private var isOverdue = false

    init(backend: any Backend, loop: EventLoop, completion: @escaping Completion) {
        self.backend = backend
        self.loop = loop
        self.completion = completion
    }

    /// Starts it.
    ///
    /// - Throws: Why there is no process. `completion` is not called then.
    func start(_ document: [UInt8], timeout: Duration) throws(BackendError) {
        do throws(KernelError) {
            let (reader, writer) = try Pipe().ends()
            try reader.setNonBlocking()
            let null = SharedDescriptor(try File.open("/dev/null", .read))
            let streams = ProcessStreams.descriptors(input: null, output: writer, error: writer)
            // Another's shim may still have the one before, which was abandoned, also by this shim's predecessor.
            let id = "health-\(Clock.monotonic.now.nanosecondsSinceEpoch)"
            try run(BackendExecRequest(id: id, process: document, streams: streams), reader)
        } catch {
            throw .failed(stage: "stdio", error)
        }
        timer = loop.after(timeout) { [weak self] in self?.overdue() }
    }

    private func run(_ request: BackendExecRequest, _ reader: SharedDescriptor) throws(KernelError) {
        do throws(BackendError) {
            process = try backend.exec(request)
        } catch {
            // What cannot be run has failed like what ends with an error.
            return fail(error)
        }
        output = reader
        guard let process else { return }
        watches = [
            try loop.watch(reader.raw, .readable) { [weak self] _ in self?.read() },
            try loop.watch(process.pidfd.raw, .readable) { [weak self] _ in self?.reap() },
        ]
    }

    private func fail(_ error: BackendError) {
        loop.soon { [self] in finish(nil, Array(error.description.utf8)) }
    }

    private func overdue() {
        guard let process else { return }
        isOverdue = true
        do throws(BackendError) {
            // Also what it has started in sessions of its own.
            try backend.killAll(process, signal: .kill)
        } catch {
            ShimLog.write("kill of a probe failed", ("error", error.description))
        }
    }

    private func read() {
        guard let output else { return }
        while let chunk = try? output.read(upTo: 4096) {
            bytes += chunk.prefix(HealthState.outputLimit - bytes.count)
            guard !chunk.isEmpty else { return unwatchOutput() }
        }
    }

    /// Everybody who could write has gone.
    private func unwatchOutput() {
        guard !watches.isEmpty else { return }
        loop.unwatch(watches.removeFirst())
        output = nil
    }

    private func reap() {
        guard let process else { return }
        // One that somebody else reaps; it is asked for until it is known there.
        if let status = backend.exitStatus(of: process) { return ended(status) }
        do throws(KernelError) {
            guard let status = try Pidfd.reapIfEnded(process.pidfd.raw) else { return }
            ended(status)
        } catch {
            finish(nil, Array("reap the probe: \(error)".utf8))
        }
    }

    /// A child was reaped that may be this one's process.
    func reaped(_ pid: Int32, _ status: ExitStatus) {
        if pid == process?.pid { ended(status) }
    }

    private func ended(_ status: ExitStatus) {
        read()
        // Who passes its output on has done so when it lets go of it.
        letGo()
        read()
        let code: Int32 =
            switch status {
            case .exited(let code): Int32(code)
            case .signaled(let signal, _): 128 + signal
            }
        finish(isOverdue ? nil : code, bytes)
    }

    private func finish(_ code: Int32?, _ output: [UInt8]) {
        letGo()
        abandon()
        completion(code, output)
    }

    private func letGo() {
        guard let process else { return }
        self.process = nil
        backend.ended(process)
    }

    /// Lets go of it without a result: its container has ended, and the process with it.
    func abandon() {
        for watch in watches { loop.unwatch(watch) }
        if let timer { loop.cancel(timer) }
        (watches, timer, output, process) = ([], nil, nil, nil)
    }
}
