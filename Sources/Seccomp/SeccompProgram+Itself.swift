extension SeccompProgram {
    /// The program for a workload that shares all namespaces with the host: it has nothing to do with processes other than itself, nor with
    /// what processes share by numbers and names of the whole system.
    ///
    /// Who has the same user could otherwise change limits, priorities and processors of the host's own processes. Such calls fail with EPERM
    /// where they name another than the caller; System V IPC and message queues are unknown (ENOSYS), as are calls of other
    /// conventions than the machine's own, whose numbers are others. Everything else is for the program to decide.
    ///
    /// - Returns: The program; nil when it would be longer than the kernel takes.
    public func confinedToItself() -> SeccompProgram? {
        let prefix = Self.itself
        guard count + prefix.count / 8 <= Self.maximumInstructions else { return nil }
        return SeccompProgram(flags: flags, checked: prefix + instructions)
    }

    /// What goes before a program; short, so that no jump of it needs a detour.
    private static var itself: [UInt8] {
        var assembler = BPFAssembler()
        // The program that follows takes the place of this verdict, the last instruction.
        let rest = assembler.result(Verdict.allow)
        let refusal = assembler.result(Verdict.errno(1))
        let absence = assembler.result(Verdict.errno(38))
        // Processes and users are numbers of 32 bits, the low half of a register.
        let own = assembler.load(16, then: assembler.jump(.equal, 0, yes: rest, no: refusal))
        let ownSecond = assembler.load(24, then: assembler.jump(.equal, 0, yes: rest, no: refusal))
        // PRIO_USER and IOPRIO_WHO_USER: all processes of the caller's user.
        let priority = assembler.load(16, then: assembler.jump(.equal, 2, yes: refusal, no: ownSecond))
        let ioPriority = assembler.load(16, then: assembler.jump(.equal, 3, yes: refusal, no: ownSecond))
        var chain = rest
        let targets =
            shared.map { ($0, absence) } + ofProcesses.map { ($0, own) } + [
                ("setpriority", priority), ("ioprio_set", ioPriority),
            ]
        for (name, target) in targets {
            // What this machine has not got nobody calls.
            guard let number = SyscallNames.number(of: name) else { continue }
            chain = assembler.jump(.equal, number, yes: target, no: chain)
        }
        // The bit of the x32 convention, in numbers that no other convention has.
        chain = assembler.jump(.greaterOrEqual, ProfileMeaning.x32Bit, yes: absence, no: chain)
        let number = assembler.load(0, then: chain)
        _ = assembler.load(4, then: assembler.jump(.equal, SyscallNames.native, yes: number, no: absence))
        return assembler.bytes.dropLast(8)
    }

    /// Calls about objects of the whole system, which belong to users and not to processes.
    private static let shared = [
        "shmget", "shmat", "shmctl", "shmdt", "msgget", "msgsnd", "msgrcv", "msgctl", "semget", "semop", "semtimedop",
        "semctl", "mq_open", "mq_unlink",
    ]

    /// Calls whose first argument is a process; 0 is the caller.
    private static let ofProcesses = [
        "prlimit64", "sched_setaffinity", "sched_setparam", "sched_setscheduler", "sched_setattr",
    ]
}
