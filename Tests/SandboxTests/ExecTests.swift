import FoundationEssentials
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Further processes in a running container.
@Suite struct ExecTests {
    /// Runs processes in a sleeping container; the outcome's errors hold a line for each.
    func exec(_ processes: [RuntimeSpec.Process], in box: ContainerFixture) throws -> ContainerFixture.Outcome {
        box.spec.process?.args = ["/bin/sleep", "1000"]
        for (number, process) in processes.enumerated() {
            let path = box.scratch.path + "/exec\(number).json"
            try File.writeAtomically(path, Array(JSONEncoder().encode(process)), durable: false)
            box.options += ["--exec", path]
        }
        return try box.run()
    }

    func script(_ text: String) -> RuntimeSpec.Process {
        var process = ContainerFixture.plainSpec.process ?? .init()
        process.args = ["/bin/sh", "-c", text]
        return process
    }

    @Test func itSharesEveryNamespaceWithTheFirst() throws {
        let text = "for k in mnt pid net ipc uts cgroup; do readlink /proc/1/ns/$k; readlink /proc/self/ns/$k; done"
        let outcome = try exec([script(text)], in: ContainerFixture())
        #expect(outcome.lines.count == 12, "\(outcome.errors)")
        for pair in stride(from: 0, to: outcome.lines.count, by: 2) {
            #expect(outcome.lines[pair] == outcome.lines[pair + 1])
        }
    }

    @Test func itHasOnlyItsStreamsAndTheAskedCapabilities() throws {
        let text = "ls /proc/self/fd; grep Cap /proc/self/status; readlink /proc/self/cwd; umask"
        let outcome = try exec([script(text)], in: ContainerFixture())
        // 3 is the directory that ls reads.
        #expect(outcome.lines.prefix(4) == ["0", "1", "2", "3"], "\(outcome.errors)")
        #expect(outcome["CapInh"] == "0000000000000000")
        #expect(outcome["CapAmb"] == "0000000000000000")
        #expect(outcome["CapEff"] == "00000000000004e1")
        #expect(outcome.lines.suffix(2) == ["/", "0022"])
    }

    @Test func failuresNameTheirReason() throws {
        let names = ["nope", "/nope", "/etc/passwd", "/bin"]
        let processes = names.map { name in
            var process = script("")
            process.args = [name]
            return process
        }
        let outcome = try exec(processes, in: ContainerFixture())
        let lines = outcome.errors.split(separator: "\n")
        #expect(lines.count == 4)
        #expect(lines[0].contains(#""errno":2"#) && lines[0].contains("executable file not found in $PATH"))
        #expect(lines[1].contains(#""errno":2"#))
        #expect(lines[2].contains(#""errno":13"#))
        #expect(lines[3].contains(#""errno":13"#))
    }

    @Test func itMayRunAsAnotherUserWithATerminal() throws {
        var process = script("tty; stty size; id; grep CapEff /proc/self/status; echo ok > /dev/stderr")
        process.terminal = true
        process.consoleSize = .init(height: 7, width: 9)
        process.user = .init(username: "web")
        let outcome = try exec([process], in: ContainerFixture())
        let lines = outcome.output.split(whereSeparator: { $0 == "\r\n" || $0 == "\n" }).map(String.init)
        #expect(lines.prefix(2) == ["/dev/pts/0", "7 9"], "\(outcome.errors)")
        #expect(lines.contains("uid=33(web) gid=44(web) groups=26(tape),44(web)"))
        #expect(lines.contains("CapEff:\t0000000000000000"))
        #expect(lines.contains("ok"))
    }

    @Test func itIsInTheContainersCgroup() throws {
        let box = try ContainerFixture()
        let name = "berth-test-\(Random.hex(6))"
        box.options = ["--cgroup", "/" + name]
        box.spec.linux?.resources = .init(pids: .init(limit: 50))
        // Inside, the cgroup is the root of the view; a process outside of it would show a path with "..".
        let outcome = try exec([script("cat /proc/self/cgroup")], in: box)
        #expect(!outcome.lines.isEmpty, "\(outcome.errors)")
        #expect(outcome.lines.allSatisfy { $0.hasSuffix(":/") }, "\(outcome.output)")
        #expect(!File.exists("/sys/fs/cgroup/pids/" + name))
    }

    @Test func aReplacedMultiplexerIsRefused() throws {
        let box = try ContainerFixture()
        box.spec.mounts?.removeAll { $0.destination == "/dev/pts" }
        box.spec.mounts?.append(.init(destination: "/dev/pts", type: "tmpfs", source: "tmpfs"))
        box.spec.linux?.devices = [.init(type: "c", path: "/dev/pts/ptmx", major: 1, minor: 3)]
        var process = script("tty")
        process.terminal = true
        #expect(try exec([process], in: box).failure?.stage == "console")
    }

    /// Nothing that copies a process.
    private func unclonable(_ action: RuntimeSpec.Seccomp.Action) -> RuntimeSpec.Seccomp {
        .init(
            defaultAction: .allow,
            syscalls: [.init(names: ["clone", "clone3", "fork", "vfork"], action: action)]
        )
    }

    @Test(arguments: [RuntimeSpec.Seccomp.Action.errno, .killProcess])
    func aFilterThatForbidsCloneHoldsForIt(_ action: RuntimeSpec.Seccomp.Action) throws {
        let box = try ContainerFixture()
        box.spec.linux?.seccomp = unclonable(action)
        var bound = script("")
        bound.args = ["/bin/grep", "-E", "^(Seccomp|NoNewPrivs|CapEff):", "/proc/self/status"]
        bound.noNewPrivileges = true
        var privileged = bound
        privileged.noNewPrivileges = false
        let capabilities = ["CAP_SYS_ADMIN"]
        privileged.capabilities = .init(bounding: capabilities, effective: capabilities, permitted: capabilities)
        let outcome = try exec([bound, privileged], in: box)
        let seccomp = outcome.lines.filter { $0.hasPrefix("Seccomp:") }
        #expect(seccomp == ["Seccomp:\t2", "Seccomp:\t2"], "\(outcome.errors)")
        #expect(outcome.lines.filter { $0.hasPrefix("NoNewPrivs") } == ["NoNewPrivs:\t1", "NoNewPrivs:\t0"])
        // Without either nothing could load the filter that late.
        var plain = bound
        plain.noNewPrivileges = false
        let another = try ContainerFixture()
        another.spec.linux?.seccomp = unclonable(action)
        let failure = try exec([plain], in: another).failure
        #expect(failure?.code == "unsupported" && failure?.object == "linux.seccomp")
    }

    @Test func aFilterThatKillsForClone3AloneDoesNotMatter() throws {
        let box = try ContainerFixture()
        box.spec.linux?.seccomp = .init(
            defaultAction: .allow,
            syscalls: [.init(names: ["clone3"], action: .killProcess)]
        )
        #expect(try exec([script("echo $((1+1))")], in: box).lines == ["2"])
    }

    @Test func itHasADeadlineOrASchedulingThatEndsWithForks() throws {
        var deadline = script("")
        deadline.args = ["/bin/cat", "/proc/self/stat"]
        deadline.scheduler = .init(
            policy: "SCHED_DEADLINE",
            runtime: 1_000_000,
            deadline: 20_000_000,
            period: 50_000_000
        )
        var reset = deadline
        reset.scheduler = .init(policy: "SCHED_FIFO", priority: 5, flags: ["SCHED_FLAG_RESET_ON_FORK"])
        var forked = script("cat /proc/self/stat; true")
        forked.scheduler = reset.scheduler
        let outcome = try exec([deadline, reset, forked], in: ContainerFixture())
        let policies = outcome.lines.map { $0.split(separator: " ").dropFirst(39).prefix(2).joined(separator: " ") }
        #expect(policies == ["0 6", "5 1", "0 0"], "\(outcome.errors)")
    }

    @Test func afterTheFirstProcessHasEndedThereIsNone() throws {
        let box = try ContainerFixture()
        let path = box.scratch.path + "/late.json"
        try File.writeAtomically(path, Array(JSONEncoder().encode(script("echo late"))), durable: false)
        box.spec.process?.args = ["/bin/true"]
        box.options = ["--after-end", "--exec", path]
        let outcome = try box.run()
        #expect(outcome.failure?.code == "failedPrecondition", "\(outcome.errors)")
        #expect(outcome.lines.isEmpty)
    }
}
