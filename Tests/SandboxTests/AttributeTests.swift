import Kernel
import OCISpec
import ProbeSupport
import Sandbox
import Testing

/// Scheduling, priorities, limits, capabilities and the other facts of a process, as the kernel has them inside.
@Suite struct AttributeTests {
    /// Nice value, real-time priority and policy of the program.
    func scheduling(_ scheduler: RuntimeSpec.Scheduler) throws -> ContainerFixture.Outcome {
        let box = try ContainerFixture()
        box.spec.process?.scheduler = scheduler
        return try box.run("set -- $(cat /proc/self/stat); shift 18; echo $1; shift 21; echo $1 $2")
    }

    @Test(arguments: [
        (RuntimeSpec.Scheduler(policy: "SCHED_OTHER", nice: -7), ["-7", "0 0"]),
        (RuntimeSpec.Scheduler(policy: "SCHED_BATCH", nice: 12), ["12", "0 3"]),
        (RuntimeSpec.Scheduler(policy: "SCHED_IDLE"), ["0", "0 5"]),
        (RuntimeSpec.Scheduler(policy: "SCHED_FIFO", priority: 42), ["0", "42 1"]),
        (RuntimeSpec.Scheduler(policy: "SCHED_RR", priority: 1), ["0", "1 2"]),
        (RuntimeSpec.Scheduler(policy: "SCHED_FIFO", priority: 5, flags: ["SCHED_FLAG_RESET_ON_FORK"]), ["0", "0 0"]),
    ])
    func theSchedulerIsAsAskedFor(_ scheduler: RuntimeSpec.Scheduler, _ wanted: [String]) throws {
        // With the flag the shell's child, which is asked, starts anew.
        let outcome = try scheduling(scheduler)
        #expect(outcome.lines == wanted, "\(outcome.errors)")
    }

    @Test func aDeadlineIsGuaranteed() throws {
        let box = try ContainerFixture()
        box.spec.process?.scheduler = .init(
            policy: "SCHED_DEADLINE",
            runtime: 1_000_000,
            deadline: 20_000_000,
            period: 50_000_000
        )
        // A process with a deadline cannot fork: the program itself shows its numbers.
        box.spec.process?.args = ["/bin/cat", "/proc/self/stat"]
        let fields = try box.run().output.split(separator: " ")
        #expect(fields.count > 40 && fields[40] == "6")
    }

    @Test(arguments: [
        (RuntimeSpec.Scheduler(policy: "SCHED_ISO"), "process.scheduler.policy", "unsupported"),
        (RuntimeSpec.Scheduler(policy: "SCHED_FAST"), "process.scheduler.policy", "invalidArgument"),
        (RuntimeSpec.Scheduler(policy: "SCHED_OTHER", nice: 20), "process.scheduler.nice", "invalidArgument"),
        (RuntimeSpec.Scheduler(policy: "SCHED_OTHER", priority: 1), "process.scheduler.priority", "invalidArgument"),
        (RuntimeSpec.Scheduler(policy: "SCHED_FIFO"), "process.scheduler.priority", "invalidArgument"),
        (RuntimeSpec.Scheduler(policy: "SCHED_RR", priority: 100), "process.scheduler.priority", "invalidArgument"),
        (RuntimeSpec.Scheduler(policy: "SCHED_IDLE", flags: ["X"]), "process.scheduler.flags", "invalidArgument"),
        (RuntimeSpec.Scheduler(policy: "SCHED_OTHER", runtime: 1), "process.scheduler.runtime", "invalidArgument"),
        (
            RuntimeSpec.Scheduler(policy: "SCHED_DEADLINE", runtime: 5, deadline: 4), "process.scheduler",
            "invalidArgument"
        ),
    ])
    func aWrongSchedulerIsNamed(_ scheduler: RuntimeSpec.Scheduler, _ field: String, _ code: String) throws {
        let failure = try scheduling(scheduler).failure
        #expect(failure?.object == field)
        #expect(failure?.code == code)
    }

    @Test(arguments: [
        ("IOPRIO_CLASS_RT", 2, "realtime: prio 2"), ("IOPRIO_CLASS_BE", 7, "best-effort: prio 7"),
        ("IOPRIO_CLASS_IDLE", 0, "idle"),
    ])
    func theIOPriorityIsAsAskedFor(_ name: String, _ level: Int, _ wanted: String) throws {
        let box = try ContainerFixture()
        box.spec.process?.ioPriority = .init(ioClass: name, priority: level)
        let outcome = try box.run("ionice")
        #expect(outcome.lines.first?.hasPrefix(wanted) == true, "\(outcome.output) \(outcome.errors)")
    }

    @Test func aWrongIOPriorityIsNamed() throws {
        let box = try ContainerFixture()
        box.spec.process?.ioPriority = .init(ioClass: "IOPRIO_CLASS_NONE", priority: 1)
        #expect(try box.run("true").failure?.object == "process.ioPriority.class")
        box.spec.process?.ioPriority = .init(ioClass: "IOPRIO_CLASS_BE", priority: 8)
        #expect(try box.run("true").failure?.object == "process.ioPriority.priority")
    }

    @Test func anExecRunsOnItsProcessorsAndTheFirstProcessDoesNot() throws {
        let box = try ContainerFixture()
        let all = try File.readText("/sys/devices/system/cpu/online").filter { $0 != "\n" }
        box.spec.process?.execCPUAffinity = .init(initial: "0", final: "0")
        #expect(try box.run("grep Cpus_allowed_list /proc/self/status")["Cpus_allowed_list"] == all)

        let tests = ExecTests()
        var processes = [(nil, "0"), ("0", "0,1-1"), ("0", nil)].map { (initial: String?, final: String?) in
            var process = tests.script("grep Cpus_allowed_list /proc/self/status")
            process.execCPUAffinity = .init(initial: initial, final: final)
            return process
        }
        for list in ["1-0", "x", "0,,1", "99999", "0-"] {
            processes.append(processes[0])
            processes[processes.count - 1].execCPUAffinity = .init(final: list)
        }
        let outcome = try tests.exec(processes, in: ContainerFixture())
        #expect(outcome.lines.map { $0.split(separator: "\t").last } == ["0", "0-1", "0"], "\(outcome.errors)")
        let failures = outcome.errors.split(separator: "\n").filter { $0.contains("process.execCPUAffinity.final") }
        #expect(failures.count == 5, "\(outcome.errors)")
    }

    @Test func theExecutionDomainIsThatOfEveryProcess() throws {
        let box = try ContainerFixture()
        box.spec.linux?.personality = .init(domain: "LINUX32")
        #expect(try box.run("uname -m").lines == ["i686"])
        let tests = ExecTests()
        #expect(try tests.exec([tests.script("uname -m")], in: box).lines == ["i686"])
        let plain = try ContainerFixture()
        plain.spec.linux?.personality = .init(domain: "LINUX", flags: [])
        #expect(try plain.run("uname -m").lines == ["x86_64"])
        plain.spec.linux?.personality = .init(domain: "LINUX", flags: ["ADDR_NO_RANDOMIZE"])
        #expect(try plain.run("true").failure?.object == "linux.personality.flags")
        plain.spec.linux?.personality = .init(domain: "BSD")
        #expect(try plain.run("true").failure?.object == "linux.personality.domain")
    }

    @Test(arguments: [
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_BIND", nodes: "0"), "bind:0"),
        (
            RuntimeSpec.MemoryPolicy(mode: "MPOL_INTERLEAVE", nodes: "0", flags: ["MPOL_F_STATIC_NODES"]),
            "interleave=static:0"
        ),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_PREFERRED", nodes: "0"), "prefer:0"),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_PREFERRED_MANY", nodes: "0"), "prefer (many):0"),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_LOCAL"), "local"),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_DEFAULT"), "default"),
    ])
    func theMemoryPolicyIsThatOfEveryProcess(_ policy: RuntimeSpec.MemoryPolicy, _ wanted: String) throws {
        let box = try ContainerFixture()
        box.spec.linux?.memoryPolicy = policy
        let first = try box.run("cat /proc/self/numa_maps")
        #expect(first.lines.first?.contains(" \(wanted) ") == true, "\(first.output.prefix(200)) \(first.errors)")
        let tests = ExecTests()
        let outcome = try tests.exec([tests.script("cat /proc/self/numa_maps")], in: box)
        #expect(outcome.lines.first?.contains(" \(wanted) ") == true, "\(outcome.errors)")
    }

    @Test(arguments: [
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_X"), "linux.memoryPolicy.mode"),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_BIND"), "linux.memoryPolicy.nodes"),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_BIND", nodes: "a"), "linux.memoryPolicy.nodes"),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_LOCAL", nodes: "0"), "linux.memoryPolicy.nodes"),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_BIND", nodes: "0", flags: ["F"]), "linux.memoryPolicy.flags"),
        (RuntimeSpec.MemoryPolicy(mode: "MPOL_BIND", nodes: "999"), "linux.memoryPolicy"),
    ])
    func aWrongMemoryPolicyIsNamed(_ policy: RuntimeSpec.MemoryPolicy, _ field: String) throws {
        let box = try ContainerFixture()
        box.spec.linux?.memoryPolicy = policy
        #expect(try box.run("true").failure?.object == field)
    }

    @Test func everyLimitIsExact() throws {
        let names = [
            "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING",
            "MSGQUEUE", "NICE", "RTPRIO", "RTTIME",
        ]
        let box = try ContainerFixture()
        var wanted: [[String]] = []
        box.spec.process?.rlimits = try names.enumerated().map { index, name in
            let resource = try #require(Rlimit.Resource(name: "RLIMIT_" + name))
            // What is not the machine's to lower for others: no hard limit rises, and the program can still run.
            let hard = min(try Rlimit.get(resource).hard, 1 << 40 + UInt64(index))
            let soft = hard == 0 ? 0 : hard - 1
            wanted.append([soft, hard].map { $0 == .max ? "unlimited" : String($0) })
            return .init(type: "RLIMIT_" + name, soft: soft, hard: hard)
        }
        box.spec.process?.args = ["/bin/cat", "/proc/self/limits"]
        let outcome = try box.run()
        // Columns of fixed width: 26 for the name, 21 for each value; the kernel's order is that of the numbers.
        let rows = outcome.lines.dropFirst().map { line in
            line.dropFirst(26).split(separator: " ").prefix(2).map(String.init)
        }
        #expect(Array(rows) == wanted, "\(outcome.errors)")
    }

    @Test func wrongLimitsAreNamed() throws {
        let box = try ContainerFixture()
        box.spec.process?.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 9, hard: 8)]
        var failure = try box.run("true").failure
        #expect(failure?.object == "process.rlimits" && failure?.code == "invalidArgument")
        box.spec.process?.rlimits = [.init(type: "RLIMIT_nofile", soft: 8, hard: 8)]
        failure = try box.run("true").failure
        #expect(failure?.object == "process.rlimits" && failure?.code == "invalidArgument")
    }

    @Test func capabilitiesThatNobodyCanGrantAreLeftOutWithAWarning() throws {
        let box = try ContainerFixture()
        let own = try Credentials.permittedCapabilities()
        let known = ["CAP_CHOWN", "CAP_KILL"]
        let lacking = CapabilitySet.allKnown.subtracting(own).names
        box.spec.process?.capabilities = .init(
            bounding: known + ["CAP_MAGIC"] + lacking,
            effective: known + ["CAP_NET_ADMIN"],
            inheritable: ["CAP_KILL"],
            permitted: known + lacking,
            ambient: known
        )
        let outcome = try box.run("grep Cap /proc/self/status")
        #expect(outcome["CapBnd"] == "0000000000000021", "\(outcome.errors)")
        #expect(outcome["CapPrm"] == "0000000000000021")
        #expect(outcome["CapEff"] == "0000000000000021")
        #expect(outcome["CapInh"] == "0000000000000020")
        #expect(outcome["CapAmb"] == "0000000000000020")
        let warnings = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("warning: ") }
        #expect(warnings.contains { $0.contains("bounding") && $0.contains("CAP_MAGIC") })
        #expect(warnings.contains { $0.contains("effective") && $0.contains("CAP_NET_ADMIN") })
        #expect(warnings.contains { $0.contains("ambient") && $0.contains("CAP_CHOWN") })
        #expect(warnings.count == 3 + 2 * lacking.count, "\(warnings)")
    }

    @Test func theScoreIsUntouchedWhenAbsent() throws {
        let own = try File.readText("/proc/self/oom_score_adj")
        let box = try ContainerFixture()
        #expect(try box.run("cat /proc/self/oom_score_adj").output == own)
        box.spec.process?.oomScoreAdj = 1001
        #expect(try box.run("true").failure?.object == "process.oomScoreAdj")
    }

    @Test func labelsWithoutTheirModuleAreRefused() throws {
        let box = try ContainerFixture()
        let modules = (try? File.readText("/sys/kernel/security/lsm")) ?? ""
        if !modules.contains("apparmor") {
            box.spec.process?.apparmorProfile = "box"
            let failure = try box.run("true").failure
            #expect(failure?.object == "process.apparmorProfile" && failure?.code == "unsupported")
            box.spec.process?.apparmorProfile = nil
        }
        if !modules.contains("selinux") {
            box.spec.process?.selinuxLabel = "system_u:system_r:container_t:s0"
            let failure = try box.run("true").failure
            #expect(failure?.object == "process.selinuxLabel" && failure?.code == "unsupported")
        }
    }

    @Test func aTerminalOfUnusualSizeIsAnError() throws {
        let box = try ContainerFixture()
        box.spec.process?.consoleSize = .init(height: 70000, width: 1)
        #expect(try box.run("true").status == .exited(0))
        box.options = ["--terminal"]
        box.spec.process?.terminal = true
        #expect(try box.run("true").failure?.object == "process.consoleSize")
    }
}
