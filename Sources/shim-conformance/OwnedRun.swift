import Kernel
import ShimKitTesting

/// A run of the suite that owns whatever it starts and makes: however it ends, nothing of it stays.
///
/// It is four processes. The *front*, which the caller has started, waits, and passes on that it was asked to end. The *keeper*, in a
/// session of its own, where no key of a terminal reaches it, ends the run when the front asks for it or is gone, and removes what is left;
/// should the keeper be killed itself, the front does. The *first* process of new PID and mount namespaces reaps orphans: with it the
/// kernel ends every process of the run, whatever session and parent that has taken, and takes every mount away. The *suite* is
/// its child.
struct OwnedRun {
    /// Ways to be asked to end.
    private static let endings: [Signal] = [.hangUp, .interrupt, .quit, .terminate]
    /// Where containerd's shim and what it drives leave files that are named after nothing of ours.
    private static let shared = "/run/containerd"

    private let leftovers: Leftovers
    /// What was held back by the caller's will.
    private let mask: SignalSet

    /// Runs a suite, which ends this process.
    ///
    /// - Parameter suite: Called in a process of its own with its place; its result is the exit code.
    /// - Throws: What keeps it from being run; nothing is left then.
    static func run(_ suite: (ConformancePlace) -> Int32) throws(KernelError) -> Never {
        let mark = Random.hex(4)
        let place = ConformancePlace(directory: "/tmp/berth-conformance-\(mark)", mark: mark)
        let run = OwnedRun(leftovers: Leftovers(place), mask: Signals.block(.none))
        try File.makeDirectory(place.directory, mode: 0o711)
        let end: (code: Int32, cause: Signal?)
        do throws(KernelError) {
            end = try run.wait(suite)
        } catch {
            run.leftovers.remove()
            throw error
        }
        if let cause = end.cause {
            // Whoever has sent it sees that it was obeyed.
            Signals.setMask(run.mask)
            try Signals.send(cause, toChild: Credentials.processID)
        }
        CurrentProcess.exit(end.code)
    }

    // The front ---------------------------------------------------------------------------------------------------------

    private func wait(_ suite: (ConformancePlace) -> Int32) throws(KernelError) -> (code: Int32, cause: Signal?) {
        let signals = try SignalFd(SignalSet(Self.endings.filter { !Self.ignored.contains($0) }))
        let front = try Pidfd(pid: Credentials.processID)
        guard let keeper = try Clone.fork() else {
            let code = keep(front, suite)
            Clone.exit(code)
        }
        var cause: Signal?
        while true {
            if let status = try keeper.pidfd.reapIfEnded() {
                if case .signaled = status { leftovers.remove() }
                return (status.number, cause)
            }
            var set = PollSet()
            set.add(signals.raw, .readable)
            set.add(keeper.pidfd.raw, .readable)
            _ = try set.wait(timeout: nil)
            guard let signal = try signals.next() else { continue }
            cause = cause ?? signal.signal
            try keeper.pidfd.send(.terminate)
        }
    }

    /// What the caller does not want to be ended by, as after `nohup`.
    private static var ignored: Set<Signal> {
        let status = (try? File.readText("/proc/self/status")) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("SigIgn:") }
        let bits = line.flatMap { UInt64($0.drop { $0 != "\t" }.dropFirst(), radix: 16) } ?? 0
        return Set(endings.filter { bits & 1 << UInt64($0.rawValue - 1) != 0 })
    }

    // The keeper --------------------------------------------------------------------------------------------------------

    private func keep(_ front: borrowing Pidfd, _ suite: (ConformancePlace) -> Int32) -> Int32 {
        let code: Int32
        do throws(KernelError) { code = try watch(front, suite) } catch { code = Self.report(error) }
        leftovers.remove()
        return code
    }

    private func watch(
        _ front: borrowing Pidfd,
        _ suite: (ConformancePlace) -> Int32
    ) throws(KernelError) -> Int32 {
        try ProcessAttributes.startSession()
        let asked = try SignalFd(SignalSet(Self.endings))
        let keeper = try Pidfd(pid: Credentials.processID)
        let done = try EventFd()
        guard let first = try Clone.fork([.pid, .mount]) else {
            let code = begin(keeper, suite)
            // The kernel ends all the others now.
            done.signal()
            Clone.exit(code)
        }
        var isEnding = false
        while true {
            if let status = try first.pidfd.reapIfEnded() { return status.number }
            if isEnding { leftovers.thaw() }
            var set = PollSet()
            set.add(first.pidfd.raw, .readable)
            if !isEnding {
                set.add(front.raw, .readable)
                set.add(asked.raw, .readable)
                set.add(done.raw, .readable)
            }
            let ready = try set.wait(timeout: isEnding ? .milliseconds(20) : nil).map(\.descriptor)
            if isEnding { continue }
            isEnding = !ready.isEmpty
            if ready.contains(front.raw) || ready.contains(asked.raw) { try first.pidfd.send(.kill) }
        }
    }

    // The first process of the namespaces, and the suite ------------------------------------------------------------------

    private func begin(_ keeper: borrowing Pidfd, _ suite: (ConformancePlace) -> Int32) -> Int32 {
        do throws(KernelError) {
            try ProcessAttributes.setParentDeathSignal(.kill)
            guard try keeper.poll(for: .readable, timeout: .zero).isEmpty else { return Options.misuse }
            try mount()
            try useUpNumbers()
            let ends = try SignalFd(SignalSet([.child]))
            guard let child = try Clone.fork() else {
                Signals.setMask(mask)
                CurrentProcess.exit(suite(leftovers.place))
            }
            while true {
                while let end = Children.reapAny() { if end.pid == child.pid { return end.status.number } }
                _ = try ends.poll(for: .readable, timeout: nil)
                while try ends.next() != nil {}
            }
        } catch { return Self.report(error) }
    }

    /// Has the suite's number be none that is usual in a container: crun 1.8.1 signals by numbers of a joined PID namespace in its own.
    private func useUpNumbers() throws(KernelError) {
        for _ in 0..<64 {
            guard let child = try Clone.fork() else { Clone.exit(0) }
            _ = try child.pidfd.wait()
        }
    }

    /// Makes mounts of the run nobody else's, and shows its own processes in procfs.
    private func mount() throws(KernelError) {
        try Mount.setPropagation("/", .private, recursive: true)
        try FileSystemContext("proc").mount([.noSetID, .noDevices, .noExecute]).attach(toPath: "/proc")
        guard File.exists(Self.shared) else { return }
        let own = leftovers.place.directory + "/containerd"
        try File.makeDirectory(own, mode: 0o711)
        try DetachedMount(cloning: own).attach(toPath: Self.shared)
    }

    private static func report(_ error: KernelError) -> Int32 {
        // Without standard error nobody is there to be told.
        try? BorrowedDescriptor.standardError.writeAll("error: run in namespaces of its own: \(error)\n")
        return Options.misuse
    }
}
