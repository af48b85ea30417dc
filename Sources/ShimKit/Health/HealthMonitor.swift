import Kernel
import ShimModel
import ShimProtocol
import ShimStreams
import SwiftProtobuf

/// Looks after the health of a container, from each start to its end.
final class HealthMonitor {
    private let backend: any Backend
    private let loop: EventLoop
    /// The probe as an OCI Process document.
    private let document: [UInt8]
    /// Called with each result, and whether it has changed the status.
    private let onResult: (HealthState.Result, Bool) -> Void
    private(set) var state: HealthState
    private var timer: EventLoop.Timer?
    private var probe: HealthProbe?
    /// By the monotonic clock; nil while the container does not run.
    private var begin: Timestamp?

    init(
        _ check: ShimHealthCheck,
        backend: any Backend,
        loop: EventLoop,
        onResult: @escaping (HealthState.Result, Bool) -> Void
    ) {
        self.backend = backend
        self.loop = loop
        self.onResult = onResult
        document = Array(check.process)
        state = HealthState(HealthSettings(check))
    }

    /// The container runs.
    func began() {
        end()
        begin = Clock.monotonic.now
        state.began()
        plan()
    }

    /// What another program needs to go on.
    var saved: ShimHealthState {
        var saved = ShimHealthState()
        saved.report = state.report
        saved.begin = begin?.nanosecondsSinceEpoch ?? 0
        return saved
    }

    /// Goes on where another program has stopped; a probe that was under way is begun anew.
    func restore(_ saved: ShimHealthState, isPaused: Bool) {
        state.restore(saved.report)
        begin = saved.begin == 0 ? nil : Timestamp(monotonicNanoseconds: saved.begin)
        if begin != nil, !isPaused { plan() }
    }

    /// The container has ended.
    func end() {
        begin = nil
        suspend()
    }

    /// The container is frozen: nothing can be run in it, and nothing is wrong with that.
    func suspend() {
        if let timer { loop.cancel(timer) }
        timer = nil
        probe?.abandon()
        probe = nil
    }

    /// The container is thawed.
    func resume() {
        if begin != nil, timer == nil, probe == nil { plan() }
    }

    /// A child was reaped that may be the probe's process.
    func reaped(_ pid: Int32, _ status: ExitStatus) {
        probe?.reaped(pid, status)
    }

    private func plan() {
        guard let begin else { return }
        timer = loop.after(state.pause(age: Clock.monotonic.now - begin)) { [weak self] in
            self?.timer = nil
            self?.look()
        }
    }

    private func look() {
        guard let begin else { return }
        let (age, startedAt) = (Clock.monotonic.now - begin, Timestamp.now)
        let probe = HealthProbe(backend: backend, loop: loop) { [weak self] code, output in
            self?.ended(code, output, startedAt: startedAt, age: age)
        }
        self.probe = probe
        do throws(BackendError) {
            try probe.start(document, timeout: state.settings.timeout)
        } catch {
            ended(nil, Array(error.description.utf8), startedAt: startedAt, age: age)
        }
    }

    private func ended(_ code: Int32?, _ output: [UInt8], startedAt: Timestamp, age: Duration) {
        probe = nil
        guard begin != nil else { return }
        let took = Timestamp.now
        var text = output
        if code == nil, took - startedAt >= state.settings.timeout {
            text = Array("Health check exceeded timeout (\(state.settings.timeout)): ".utf8) + output
        }
        let result = HealthState.Result(
            startedAt: startedAt,
            endedAt: took,
            exitCode: code ?? -1,
            output: Array(text.prefix(HealthState.outputLimit))
        )
        let (kept, changed) = state.ended(result, age: age)
        onResult(kept, changed)
        plan()
    }
}

extension ShimServer {
    /// Makes the monitor that the container's creation asks for.
    func watchHealth(_ options: ShimCreateOptions?) {
        health?.end()
        guard let options, options.hasHealth, !options.health.process.isEmpty else {
            health = nil
            return
        }
        health = HealthMonitor(options.health, backend: backend, loop: loop) { [weak self] result, changed in
            guard let self else { return }
            if changed {
                perform([.publish(TaskEvent(.health(result), pid: table.initial?.pid ?? 0))])
            }
            answerHealthPolls()
        }
    }

    /// Takes the health over from another program.
    func restoreHealth(_ saved: ShimHealthState) {
        guard let creation, let request = try? TaskCreateRequest(serializedBytes: creation), request.hasOptions,
            let options = try? request.options.decode(ShimCreateOptions.self)
        else { return }
        watchHealth(options)
        health?.restore(saved, isPaused: table.activity == .paused)
    }

    /// The health follows what becomes of the container.
    func followHealth(_ event: TaskEvent) {
        switch event.kind {
        case .started: health?.began()
        case .paused: health?.suspend()
        case .resumed: health?.resume()
        case .exited where event.key == .initial: health?.end()
        default: break
        }
    }
}
