internal import Seccomp

/// What a shim has counted of one call.
package struct ObservedUse: Sendable, Equatable, Codable {
    /// AUDIT_ARCH_* of the call.
    package var architecture: UInt32
    /// Its number.
    package var number: UInt32
    /// The class of its arguments.
    package var argument: UInt64?
    /// How often.
    package var count: UInt64
    /// `allowed`, or what it was answered, such as `EPERM`.
    package var answer: String

    /// One count.
    package init(architecture: UInt32, number: UInt32, argument: UInt64?, count: UInt64, answer: String) {
        (self.architecture, self.number, self.argument) = (architecture, number, argument)
        (self.count, self.answer) = (count, answer)
    }

    /// What people call it.
    package var label: String { SyscallNames.label(architecture: architecture, number: number) }

    /// The name of its class.
    package var className: String? {
        guard let argument else { return nil }
        return ArgumentClass.kind(architecture: architecture, number: number)?.name(of: argument)
    }

    /// Whether it is libc's question for a call whose flags no filter sees, answered as every filter answers it: every program with
    /// threads asks it, and it says nothing.
    package var isExpected: Bool { answer == "ENOSYS" && label == "clone3" }

    /// The call as a filter of this machine can name it.
    var filterable: String? {
        guard SyscallNames.convention(architecture: architecture, number: number) == nil,
            let name = SyscallNames.name(architecture: architecture, number: number),
            SyscallNames.number(of: name) == number
        else { return nil }
        return name
    }
}

/// What was learned of one run since the report before.
package struct LearnedUses: Sendable, Equatable, Codable {
    /// The run; its number is the profile's.
    package var run: WorkloadProfile.Run
    /// Capabilities that were named for it.
    package var capabilities: [String]
    /// What an operator has named for it.
    package var allowed: [String]
    /// The counts.
    package var uses: [ObservedUse]

    /// What was learned of a run.
    package init(run: WorkloadProfile.Run, capabilities: [String], allowed: [String], uses: [ObservedUse]) {
        (self.run, self.capabilities, self.allowed, self.uses) = (run, capabilities, allowed, uses)
    }
}

extension WorkloadProfile {
    /// Adds what was learned; what is dangerous and not named goes apart.
    package mutating func merge(_ learned: LearnedUses) {
        let number = note(learned.run)
        // Words of a run that was checked when it was made; what this machine does not know has no effect.
        allow(learned.allowed.compactMap { text in try? CallSelector(parsing: text) })
        capabilities = Set(capabilities + learned.capabilities).sorted()
        guard runs.first(where: { $0.number == number })?.failed == nil else { return forget(run: number) }
        for use in learned.uses where !use.isExpected { add(use, run: number) }
    }

    private mutating func add(_ use: ObservedUse, run: Int) {
        guard use.answer == "allowed" else {
            refused[use.label, default: Call()].add(use.count, run: run, argument: use.argument)
            refused[use.label]?.answer = use.answer
            return
        }
        guard let name = use.filterable else {
            return dangerous[use.label, default: Call()].add(use.count, run: run, argument: use.argument)
        }
        let isNamed = allowed.contains { $0.matches(name, use.argument) }
        if !isNamed, DangerousCalls.reason(name: name, argument: use.argument) != nil {
            return dangerous[name, default: Call()].add(use.count, run: run, argument: use.argument)
        }
        calls[name, default: Call()].add(use.count, run: run, argument: use.argument)
        if use.argument == nil, ArgumentClass(call: name) != nil { calls[name]?.isWhole = true }
    }

    /// Takes back what nothing but one run has called: its workload was never begun, so what was counted is not the workload's.
    private mutating func forget(run number: Int) {
        func others(_ calls: [String: Call]) -> [String: Call] {
            calls.compactMapValues { call in
                guard call.use.runs != [number] else { return nil }
                var call = call
                call.classes = call.classes.filter { $0.value.runs != [number] }
                return call
            }
        }
        (calls, refused, dangerous) = (others(calls), others(refused), others(dangerous))
    }

    /// The number of a run, which is noted or brought up to date.
    private mutating func note(_ run: Run) -> Int {
        if let index = runs.firstIndex(where: { $0.container == run.container && $0.run == run.run }) {
            runs[index].failed = runs[index].failed ?? run.failed
            (runs[index].ended, runs[index].complete) = (run.ended, run.complete && runs[index].failed == nil)
            return runs[index].number
        }
        var run = run
        run.number = (runs.map(\.number).max() ?? 0) + 1
        runs.append(run)
        if runs.count > Self.maximumRuns { runs.removeFirst(runs.count - Self.maximumRuns) }
        return run.number
    }
}
