internal import Kernel

/// How the set-up of an additional process goes on as a process inside, which is visible there from its first moment.
///
/// A process of the container with CAP_SYS_PTRACE over the host's user namespace may look into it before it has become the program. So it
/// has nothing that is not the container's: of the shim's memory, which the set-up has a copy of, it gets none, and the only descriptor
/// besides its streams is the socket over which it reports that its program cannot run.
struct ExecHandOver {
    let plan: ProcessPlan
    let channel: HandshakeEnd
    let hasTerminal: Bool

    /// Whether the process inside loads the filter, see `ExecCloning`.
    var loadsFilter: Bool {
        guard !plan.filter.isEmpty, case .beforeFilter = plan.cloning else { return false }
        return true
    }

    /// Writes down what the process inside does, and keeps everything else from it.
    ///
    /// Before the filter, which may forbid the calls that this takes.
    func prepare(_ environment: ArgumentVector) throws(SandboxError) -> PreparedHandOver {
        try step(.clone) { () throws(KernelError) in
            let memory = loadsFilter && plan.listener != nil ? try ListenerHandover() : nil
            let filter = LastSteps.Filter(
                program: plan.filter,
                flags: plan.filterFlags,
                listener: memory.map { ($0, HandshakeMessage.filterNext.bytes[0]) }
            )
            let steps = try LastSteps(
                candidates: plan.candidates,
                arguments: plan.arguments,
                environment: environment,
                channel: channel.socket,
                // The parent sets what could not be handed on, and hands the filter's listener to who answers.
                waitingFor: plan.waitsForParent ? HandshakeMessage.proceed.bytes[0] : nil,
                hasTerminal: hasTerminal,
                filter: loadsFilter ? filter : nil,
                failures: failures
            )
            try steps.forget()
            return PreparedHandOver(steps: steps, kept: [channel.socket] + (memory.map { [$0.memory.raw] } ?? []))
        }
    }

    private var failures: LastSteps.Failures {
        LastSteps.Failures(
            console: HandshakeMessage.failure(.console, "set controlling terminal"),
            filter: HandshakeMessage.failure(.seccomp, "load seccomp filter"),
            execution: HandshakeMessage.failure(.exec, "execute", plan.program),
            missing: HandshakeMessage.failed(plan.noProgram(nil)).bytes,
            denied: HandshakeMessage.failed(plan.noProgram(.accessDenied)).bytes
        )
    }

    /// Makes the process inside and ends.
    func run(_ prepared: PreparedHandOver) throws(SandboxError) -> Never {
        try step(.clone) { () throws(KernelError) in
            var next = 3 + RawDescriptor(clamping: plan.preservedDescriptors)
            for number in prepared.kept.sorted() where number >= next {
                if number > next { try DescriptorTable.close(from: UInt32(next), through: UInt32(number - 1)) }
                next = number + 1
            }
            try DescriptorTable.close(from: UInt32(next))
        }
        let child: Child
        do throws(KernelError) { child = try prepared.steps.clone(older: plan.cloning == .older) } catch
            where error.errno == .noMemory
        {
            // The namespace takes no more processes when its first has ended.
            throw RunningContainer.ended
        } catch {
            throw .failed(.clone, error)
        }
        ChildReport.handOver(child, channel)
    }
}

/// A process inside that is ready to be made.
struct PreparedHandOver {
    let steps: LastSteps
    /// The descriptors that it needs besides those of the program.
    let kept: [RawDescriptor]
}
