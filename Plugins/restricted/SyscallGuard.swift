import Kernel
import Sandbox
import Seccomp
import ShimKit

/// Answers for the filters of a container's processes, and counts what they ask about.
///
/// A call that is asked about is held by the kernel until it is answered here. That takes some microseconds and never waits for anybody, so
/// a process is held for a turn of the loop at most. A taken question is always answered before the loop goes on: there is nothing that a
/// frozen, dying or multiplying container could leave half done.
final class SyscallGuard: FilterGuard {
    /// The filter of a process and of all that it has started.
    final class Filter {
        let listener: SharedDescriptor
        let number: UInt32
        let execID: String
        /// The set-up, as long as it may ask.
        var setUp: Int32?
        /// Whether the program is being executed; before that calls are the set-up's, and not learned.
        var hasBegun: Bool
        /// Whether it may be that no program runs yet.
        var isStarting: Bool
        /// Whether it has processors of its own choice.
        let isBound: Bool
        var watch: BackendHost.Watch?

        init(
            _ listener: SharedDescriptor,
            number: UInt32,
            execID: String,
            setUp: Int32? = nil,
            hasBegun: Bool = true,
            isBound: Bool = false
        ) {
            self.isBound = isBound
            self.listener = listener
            self.number = number
            self.execID = execID
            self.setUp = setUp
            self.hasBegun = hasBegun
            isStarting = !hasBegun
        }
    }

    /// Most answers in one turn of the loop for one filter.
    private static let answersPerTurn = 16

    let settings: GuardSettings
    let program: SeccompProgram
    let ledger: UseLedger
    private let processor: SharedProcessor
    private let judge: SeccompJudge
    /// Whether a call whose question was taken can only be interrupted by death.
    private let waitsKillable = SeccompFilter.knows(SeccompFilter.waitsKillable)
    private(set) var filters: [RawDescriptor: Filter] = [:]
    var lastNumber: UInt32 = 0
    /// The exec session that is being started; empty for the init process.
    var startedExec = ""
    /// Whether its document names processors.
    var startedExecIsBound = false
    private(set) var host: BackendHost?
    let reports: UseReports
    private var lostFilters: [UInt32] = []

    /// Whether processes of the container can do nothing any more.
    var isBroken: Bool { !lostFilters.isEmpty && settings.mode == .learn }

    init(
        _ settings: GuardSettings,
        _ program: SeccompProgram,
        _ ledger: UseLedger,
        on processor: SharedProcessor
    ) {
        self.processor = processor
        self.settings = settings
        self.program = program
        self.ledger = ledger
        judge = SeccompJudge(program)
        reports = UseReports(settings, ledger)
    }

    /// What is loaded in the place of the program.
    var asking: SeccompProgram {
        program.asking(about: settings.asked, flags: waitsKillable ? SeccompFilter.waitsKillable : 0)
    }

    // Filters -----------------------------------------------------------------------------------------------------------

    var listeners: [RawDescriptor] { Array(filters.keys) }

    func took(_ listener: SharedDescriptor, setUp: Int32?) {
        lastNumber += 1
        add(
            Filter(
                listener,
                number: lastNumber,
                execID: startedExec,
                setUp: setUp,
                hasBegun: false,
                isBound: startedExecIsBound
            )
        )
    }

    /// A filter whose listener is lost.
    ///
    /// The kernel answers for it, with ENOSYS. A refused call is refused so, if not told. But where all calls are asked about a process cannot
    /// even end by itself.
    func lost(number: UInt32) {
        lostFilters.append(number)
    }

    /// A filter of a state.
    func restore(_ listener: SharedDescriptor, number: UInt32, execID: String) {
        add(Filter(listener, number: number, execID: execID))
    }

    private func add(_ filter: Filter) {
        SeccompNotification.wakeInTurn(filter.listener.raw)
        filters[filter.listener.raw] = filter
        watch(filter)
    }

    /// The program of the process that was started last runs, or never will.
    func began() {
        for filter in filters.values { (filter.setUp, filter.hasBegun, filter.isStarting) = (nil, true, false) }
    }

    /// The program was never executed: there is no workload of which something was learned.
    func failed() {
        if settings.mode == .learn { reports.forget() }
    }

    /// Nobody has the filter any more.
    private func drop(_ filter: Filter) {
        if let watch = filter.watch { host?.unwatch(watch) }
        filters[filter.listener.raw] = nil
    }

    /// Gives all filters up.
    func dropAll() {
        for filter in filters.values { drop(filter) }
    }

    // The loop ----------------------------------------------------------------------------------------------------------

    /// The shim's loop serves from now on, when nothing else of the shim waits.
    func attach(to host: BackendHost) {
        self.host = host
        reports.attach(to: host)
        if settings.mode == .learn { hurry(host) }
        resolvePending()
        for filter in filters.values { watch(filter) }
        for number in lostFilters { host.log("listener lost", ("filter", String(number))) }
    }

    /// Comes before all ordinary processes, so that a question is taken as soon as it is asked.
    ///
    /// Until then a signal interrupts the call, also one that never fails so, such as kill(2); afterwards only death does. Together with one
    /// processor for all (``SharedProcessor``) nobody of the container gets to signal in between. The shim's children get nothing of it.
    private func hurry(_ host: BackendHost) {
        var attributes = SchedulingAttributes(policy: .roundRobin)
        attributes.priority = 1
        attributes.flags = SchedulingAttributes.resetOnFork
        do throws(KernelError) { try attributes.apply() } catch {
            host.log("signals may interrupt any call while it is learned", ("error", error.description))
        }
    }

    private func watch(_ filter: Filter) {
        guard let host, filter.watch == nil else { return }
        let raw = filter.listener.raw
        do throws(KernelError) {
            filter.watch = try host.watch(raw, .readable) { [weak self] readiness in
                self?.serve(raw, readiness)
            }
        } catch {
            // Its processes are held in the next call that is asked about, until they are killed.
            host.log("filter is not served", ("error", error.description))
        }
    }

    private func serve(_ listener: RawDescriptor, _ readiness: Readiness) {
        guard readiness.contains(.readable) else {
            answer(listener, hasEnded: true)
            // What a successor would need is less now.
            host?.stateChanged()
            return
        }
        for _ in 0..<Self.answersPerTurn {
            // Not even for the first is the loop's word taken: a call of the shim may have waited since, and the guard have answered then.
            // Taking a question that is not there would wait for the next.
            guard let events = try? BorrowedDescriptor(listener).poll(for: .readable, timeout: .zero),
                events.contains(.readable)
            else { return }
            answer(listener, hasEnded: false)
        }
    }

    // Questions ---------------------------------------------------------------------------------------------------------

    func answer(_ listener: RawDescriptor, hasEnded: Bool) {
        guard let filter = filters[listener] else { return }
        guard !hasEnded else { return drop(filter) }
        do throws(KernelError) {
            guard let question = try ledger.take(from: listener) else { return }
            let decision = judgement(of: question, from: filter)
            if let key = decision.key { ledger.count(question, as: key, at: .now) }
            try carryOut(decision.answer, question, filter)
            if decision.key != nil { reports.soon() }
        } catch {
            host?.log("question not answered", ("error", error.description))
        }
        ledger.forget()
    }

    /// What becomes of a call, and as what it is counted; nil when it is not.
    private func judgement(
        of question: SeccompNotification,
        from filter: Filter
    ) -> (answer: SeccompDecision, key: UseKey?) {
        // Nobody inside can see the set-up, and what it does is ours.
        if let setUp = filter.setUp, question.pid == setUp { return (.allow, nil) }
        if filter.isStarting, SetUpCalls.contains(question) { return (.allow, nil) }
        let number = UInt32(bitPattern: question.call)
        let decision = judge.decide(
            architecture: question.architecture,
            number: number,
            arguments: question.arguments
        )
        let argument = ArgumentClass.of(
            architecture: question.architecture,
            number: number,
            arguments: question.arguments
        )
        let answer = settings.answer(decision) {
            Self.isDangerous(architecture: question.architecture, number: number, argument: argument)
        }
        var key = UseKey(
            architecture: question.architecture,
            number: question.call,
            argument: argument,
            answer: answer
        )
        if settings.mode == .learn {
            processor.hold(question.pid)
            if !filter.hasBegun {
                filter.hasBegun = Self.isExecution(question)
                if filter.hasBegun { gather(question.pid, filter) }
            } else if processor.isUnknown {
                gather(question.pid, filter)
            }
            return (answer, filter.hasBegun ? key : nil)
        }
        key.execID = filter.execID
        (key.pid, key.command) = Self.process(of: question.pid)
        return (answer, key)
    }

    private func gather(_ thread: Int32, _ filter: Filter) {
        guard !filter.isBound else { return }
        do throws(KernelError) { try processor.gather(thread) } catch {
            host?.log("signals may interrupt any call while it is learned", ("error", error.description))
        }
    }

    /// Whether a call is not made that nobody has named: also one whose arguments nobody can judge, or that nobody knows.
    private static func isDangerous(architecture: UInt32, number: UInt32, argument: UInt64?) -> Bool {
        number == clone3 || SyscallNames.name(architecture: architecture, number: number) == nil
            || DangerousCalls.contains(architecture: architecture, number: number, argument: argument)
    }

    /// The same on every architecture.
    private static let clone3: UInt32 = 435

    private static func isExecution(_ question: SeccompNotification) -> Bool {
        guard question.architecture == SyscallNames.native else { return false }
        let number = UInt32(bitPattern: question.call)
        return executions.contains(number)
    }

    private static let executions = ["execve", "execveat"].compactMap { SyscallNames.number(of: $0) }

    /// The process of a thread, and its name.
    ///
    /// One that is gone is told by the thread's number.
    private static func process(of thread: Int32) -> (pid: Int32, command: String) {
        guard let status = try? File.readText("/proc/\(thread)/status", limit: 4096) else { return (thread, "") }
        let line = status.split(separator: "\n").first { $0.hasPrefix("Tgid:") }
        let pid = line.flatMap { Int32($0.dropFirst(5).drop { $0 == "\t" || $0 == " " }) } ?? thread
        let command = (try? File.readText("/proc/\(pid)/comm", limit: 64)) ?? ""
        return (pid, String(command.prefix { $0 != "\n" }))
    }

    private func carryOut(
        _ decision: SeccompDecision,
        _ question: SeccompNotification,
        _ filter: Filter
    ) throws(KernelError) {
        let answer: SeccompNotification.Answer
        switch decision {
        case .allow where settings.mode == .learn && !filter.isBound:
            processor.letGo(question)
            answer = .proceed
        case .allow: answer = .proceed
        case .fail(0): answer = .value(0)
        case .fail(let number): answer = .failure(Errno(rawValue: number))
        case .kill:
            kill(question, filter)
            // The process does not come to see it.
            answer = .failure(.notPermitted)
        }
        do throws(KernelError) { try question.answer(answer, to: filter.listener.raw) } catch
            where error.errno == .noEntry
        {
            // It was killed. Where a signal interrupts too, the call is made anew and asked about again.
            if !waitsKillable, ledger.isPendingCounted { ledger.uncount() }
        }
    }

    /// Kills the process that asks, as long as it does.
    private func kill(_ question: SeccompNotification, _ filter: Filter) {
        let pid = Self.process(of: question.pid).pid
        // One that has gone meanwhile is what is wanted.
        guard let process = try? Pidfd(pid: pid), question.isPending(at: filter.listener.raw) else { return }
        _ = try? process.send(.kill)
    }

    /// Answers a question that a program has taken that died, unless it has answered it: nobody else could any more.
    private func resolvePending() {
        guard let question = ledger.pending else { return }
        let isCounted = ledger.isPendingCounted
        host?.log("question of a shim that died", ("call", String(question.call)), ("counted", String(isCounted)))
        for filter in filters.values where question.isPending(at: filter.listener.raw) {
            let decision = judgement(of: question, from: filter)
            if let key = decision.key, !isCounted { ledger.count(question, as: key, at: .now) }
            do throws(KernelError) { try carryOut(decision.answer, question, filter) } catch {
                host?.log("question not answered", ("error", error.description))
            }
        }
        ledger.forget()
        if ledger.hasNews { reports.soon() }
    }
}
