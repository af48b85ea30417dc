import Kernel
import OCISpec
import Seccomp
import ProbeSupport
import Testing

/// What a container is when nobody attacks.
@Suite struct ContainerTests {
    @Test func everyNamespaceIsItsOwn() throws {
        let box = try ContainerFixture()
        let kinds = ["mnt", "pid", "net", "ipc", "uts", "cgroup"]
        let outcome = try box.run(
            "for k in \(kinds.joined(separator: " ")); do echo $k $(readlink /proc/self/ns/$k); done; echo $$"
        )
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        for kind in kinds {
            let ours = String(decoding: try RootedDir("/proc/self/ns").readlink(kind), as: UTF8.self)
            #expect(outcome[kind]?.hasPrefix(kind) == true)
            #expect(outcome[kind] != ours)
        }
        #expect(outcome.lines.last == "1")
    }

    @Test(arguments: [0, 1, 7, 255])
    func theExitCodeIsThePrograms(_ code: UInt8) throws {
        #expect(try ContainerFixture().run("exit \(code)").status == .exited(code))
    }

    @Test func hostNameAndLoopbackAreThere() throws {
        let outcome = try ContainerFixture().run(
            "cat /proc/sys/kernel/hostname /sys/class/net/lo/flags; cat /proc/net/fib_trie"
        )
        #expect(outcome.lines.prefix(2) == ["box", "0x9"])
        #expect(outcome.output.contains("127.0.0.1"))
    }

    @Test func theDefaultDevicesAreThere() throws {
        let outcome = try ContainerFixture().run(
            """
            for d in null zero full random urandom tty; do stat -c '%n %F %t:%T %a %u' /dev/$d; done
            for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; echo x > /dev/null && cat /dev/null
            """
        )
        let numbers = ["null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0"]
        for (name, number) in numbers {
            #expect(outcome["/dev/\(name) "] == "character special file \(number) 666 0")
        }
        #expect(
            outcome.lines.suffix(5)
                == ["/proc/self/fd", "/proc/self/fd/0", "/proc/self/fd/1", "/proc/self/fd/2", "pts/ptmx"]
        )
    }

    @Test func ownDevicesHaveTheirModeAndOwner() throws {
        let box = try ContainerFixture()
        box.spec.linux?.devices = [
            .init(type: "c", path: "/dev/sub/zero", major: 1, minor: 5, fileMode: 0o640, uid: 7, gid: 8),
            .init(type: "p", path: "/run/pipe"),
        ]
        let outcome = try box.run("stat -c '%n %F %t:%T %a %u %g' /dev/sub/zero /run/pipe")
        #expect(outcome["/dev/sub/zero "] == "character special file 1:5 640 7 8", "\(outcome.errors)")
        #expect(outcome["/run/pipe "] == "fifo 0:0 666 0 0")
    }

    /// In a `/dev` of its own and in the image's, where one of them is there already.
    @Test(arguments: [true, false])
    func defaultDevicesAreAsTheDocumentSays(_ ownsDevices: Bool) throws {
        let box = try ContainerFixture()
        if !ownsDevices {
            box.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            let root = try RootedDir(box.root)
            _ = try root.mkdirAll("/dev")
            try root.mknod("/dev/full", .characterDevice, permissions: 0o600, device: .init(major: 1, minor: 7))
        }
        box.spec.linux?.devices = [
            .init(type: "c", path: "/dev/zero", major: 1, minor: 5, fileMode: 0o640, uid: 7, gid: 8),
            .init(type: "c", path: "/dev/full", major: 1, minor: 7, fileMode: 0o604, uid: 9),
            .init(type: "c", path: "/dev/random", major: 1, minor: 9),
        ]
        let outcome = try box.run("cd /dev; stat -c '%n %t:%T %a %u %g' zero full random null")
        #expect(
            outcome.lines == ["zero 1:5 640 7 8", "full 1:7 604 9 0", "random 1:9 666 0 0", "null 1:3 666 0 0"],
            "\(outcome.errors)"
        )
    }

    @Test(arguments: ["/", "/.", "/tmp/.."])
    func theRootMayBeAReadOnlyPath(_ path: String) throws {
        let box = try ContainerFixture()
        box.spec.linux?.readonlyPaths? += [path]
        box.spec.mounts?.append(.init(destination: "/run", type: "tmpfs", source: "tmpfs"))
        let outcome = try box.run(
            """
            for d in / /tmp /run /dev; do echo x > $d/new || echo refused; done; echo x > /dev/null && echo written
            ls /.. | grep -c bin; cat /proc/keys
            """
        )
        #expect(outcome.lines == ["refused", "refused", "refused", "refused", "written", "1"], "\(outcome.errors)")
    }

    @Test func maskedAndReadOnlyPathsAreSo() throws {
        let outcome = try ContainerFixture().run(
            """
            cat /proc/keys /proc/timer_list; ls -A /proc/acpi /sys/firmware | grep -v : ; echo start
            echo 1 > /proc/sys/kernel/hostname || echo refused; echo h > /proc/sysrq-trigger || echo refused
            """
        )
        #expect(outcome.lines.filter { !$0.isEmpty } == ["start", "refused", "refused"], "\(outcome.errors)")
    }

    @Test func aReadOnlyRootIsReadOnlyAndItsMountsAreNot() throws {
        let box = try ContainerFixture()
        box.spec.root?.readonly = true
        let outcome = try box.run(
            "echo x > /tmp/x || echo refused; echo x > /dev/shm || echo y > /dev/file && echo done"
        )
        #expect(outcome.lines == ["refused", "done"], "\(outcome.errors)")
    }

    @Test func environmentAndWorkingDirectoryAreExact() throws {
        let box = try ContainerFixture()
        box.spec.process?.cwd = "/made/on/demand"
        box.spec.process?.env = ["A=1", "PATH=/bin"]
        box.spec.process?.args = ["cat", "/proc/self/environ"]
        #expect(try box.run().output == "A=1\0PATH=/bin\0HOME=/root\0")
        box.spec.process?.args = ["readlink", "/proc/self/cwd"]
        #expect(try box.run().lines == ["/made/on/demand"])
    }

    @Test func maskAndScoreAndLimitsAreSet() throws {
        let box = try ContainerFixture()
        box.spec.process?.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 100, hard: 200)]
        box.spec.process?.oomScoreAdj = 321
        let outcome = try box.run("umask; ulimit -Sn; ulimit -Hn; cat /proc/self/oom_score_adj")
        #expect(outcome.lines == ["0022", "100", "200", "321"], "\(outcome.errors)")
        box.spec.process?.user = .init(umask: 0o77)
        #expect(try box.run("umask").lines == ["0077"])
    }

    @Test func kernelParametersStayInTheContainer() throws {
        let box = try ContainerFixture()
        let path = "/proc/sys/net/ipv4/ip_default_ttl"
        let before = try File.readText(path)
        box.spec.linux?.sysctl = [
            "net.ipv4.ip_default_ttl": "77", "kernel.shm_rmid_forced": "1", "kernel.msgmax": "9000",
        ]
        let outcome = try box.run("cd /proc/sys; cat net/ipv4/ip_default_ttl kernel/shm_rmid_forced kernel/msgmax")
        #expect(outcome.lines == ["77", "1", "9000"], "\(outcome.errors)")
        #expect(try File.readText(path) == before)
    }

    @Test func aTerminalIsTheContainersOwn() throws {
        let box = try ContainerFixture()
        box.options = ["--terminal"]
        box.spec.process?.terminal = true
        box.spec.process?.consoleSize = .init(height: 41, width: 123)
        let outcome = try box.run(
            "tty; stty size; stat -c '%F %t' /dev/console; echo hello > /dev/console; ls /dev/pts"
        )
        let lines = outcome.output.split(whereSeparator: { $0 == "\r\n" || $0 == "\n" }).map(String.init)
        #expect(lines.prefix(3) == ["/dev/pts/0", "41 123", "character special file 88"], "\(outcome.errors)")
        #expect(lines.contains("hello"))
    }

    @Test func deviceRulesLeaveTheDefaultDevicesUsable() throws {
        let box = try ContainerFixture()
        box.options = ["--cgroup", "/berth-test-\(Random.hex(6))", "--terminal"]
        box.spec.process?.terminal = true
        box.spec.linux?.resources = .init(devices: [.init(allow: false, access: "rwm")])
        box.spec.linux?.devices = [.init(type: "c", path: "/dev/port", major: 1, minor: 4)]
        let outcome = try box.run(
            "tty; head -c 3 /dev/zero | wc -c; echo x > /dev/null && cat /dev/port || echo refused"
        )
        let lines = outcome.output.split(whereSeparator: { $0 == "\r\n" || $0 == "\n" }).map(String.init)
        #expect(lines.first == "/dev/pts/0", "\(outcome.errors)")
        #expect(lines.contains("3") && lines.last == "refused")
    }

    @Test func bindsAreWhatTheirOptionsSay() throws {
        let box = try ContainerFixture()
        try File.writeAtomically(box.scratch.path + "/file", Array("content".utf8), durable: false)
        box.spec.mounts? += [
            .init(destination: "/data/ro", type: "bind", source: box.canary, options: ["rbind", "ro"]),
            .init(destination: "/data/rw", source: box.scratch.path, options: ["bind", "nosuid", "noexec"]),
            .init(destination: "/etc/file", type: "bind", source: "../file", options: ["bind", "rro"]),
        ]
        let outcome = try box.run(
            """
            cat /etc/file; echo; echo x > /data/ro/x || echo refused; echo x > /etc/file || echo refused; echo x > /data/rw/new
            grep ' /data/rw ' /proc/mounts | grep -c 'rw,nosuid,noexec'; cat /data/ro/secret
            """
        )
        #expect(outcome.lines == ["content", "refused", "refused", "1", "host"], "\(outcome.errors)")
        #expect(File.exists(box.scratch.path + "/new"))
    }

    @Test func anAbsoluteLinkOfTheImageStaysUsable() throws {
        let box = try ContainerFixture()
        try RootedDir(box.root).mkdirAll("/var")
        try RootedDir(box.root).mkdirAll("/run")
        try box.link("/var/run", to: "/run")
        box.spec.mounts?.append(
            .init(destination: "/var/run/data", type: "tmpfs", source: "tmpfs", options: ["size=8k"])
        )
        let outcome = try box.run("grep -c ' /run/data tmpfs' /proc/mounts; readlink /var/run")
        #expect(outcome.lines == ["1", "/run"], "\(outcome.errors)")
    }

    @Test func anOverlayRootIsMountedOnlyInside() throws {
        let box = try ContainerFixture()
        for name in ["upper", "work"] { try File.makeDirectory(box.scratch.path + "/" + name) }
        let long = box.scratch.path + "/" + String(repeating: "l", count: 200)
        try File.makeDirectories(long)
        try File.makeDirectory(long + "/fromlayer")
        box.options = ["--overlay", "\(long),\(box.root):\(box.scratch.path)/upper:\(box.scratch.path)/work"]
        let outcome = try box.run("echo new > /created; ls -d /fromlayer; grep -c '^overlay / ' /proc/mounts")
        #expect(outcome.lines == ["/fromlayer", "1"], "\(outcome.errors)")
        #expect(File.exists(box.scratch.path + "/upper/created"))
        #expect(!File.exists(box.root + "/created"))
    }

    /// More than there is room for as one text of 255 bytes, which is what Linux before 6.5 takes.
    @Test(arguments: [40, 100], [false, true]) func anOverlayHasManyLayers(_ count: Int, _ isMapped: Bool) throws {
        let box = try ContainerFixture()
        for name in ["upper", "work"] { try File.makeDirectories(box.scratch.path + "/" + name, mode: 0o755) }
        let layers = try (0..<count).map { number in
            let layer = "\(box.scratch.path)/layers/\(number)"
            try File.makeDirectories(layer + "/number-\(number)", mode: 0o755)
            try File.makeDirectories(layer + "/all", mode: 0o755)
            try File.writeAtomically(layer + "/all/topmost", Array("\(number)\n".utf8), mode: 0o644, durable: false)
            return layer
        }
        let lower = (layers + [box.root]).joined(separator: ",")
        box.options = ["--overlay", "\(lower):\(box.scratch.path)/upper:\(box.scratch.path)/work"]
        if isMapped {
            box.options += ["--root-option", "idmap"]
            box.addUserNamespace()
        }
        let outcome = try box.run(
            "ls -d /number-* | wc -l; cat /all/topmost; echo new > /created; readlink /proc/self/cwd"
        )
        #expect(outcome.lines == ["\(count)", "0", "/"], "\(outcome.errors)")
        #expect(File.exists(box.scratch.path + "/upper/created"))
    }

    @Test(arguments: [("0", false), ("0", true), ("web", false), ("1000:1000", true)])
    func aFilterIsLoadedWithAndWithoutNoNewPrivileges(_ user: String, _ noNewPrivileges: Bool) throws {
        let box = try ContainerFixture()
        box.spec.process?.noNewPrivileges = noNewPrivileges
        box.spec.process?.user = .init(username: user)
        box.spec.linux?.seccomp = DefaultProfile.profile(capabilities: [])
        let outcome = try box.run(
            "grep -E '^(Seccomp|NoNewPrivs|CapEff|CapPrm):' /proc/self/status; unshare -n true || echo refused"
        )
        #expect(outcome["Seccomp"] == "2", "\(outcome.errors)")
        #expect(outcome["NoNewPrivs"] == (noNewPrivileges ? "1" : "0"))
        let capabilities = user == "0" ? "00000000000004e1" : "0000000000000000"
        #expect(outcome["CapEff"] == capabilities)
        #expect(outcome["CapPrm"] == capabilities)
        #expect(outcome.lines.last == "refused")
    }

    @Test func aLimitThatMayNotBeRaisedIsAnErrorWithItsName() throws {
        let box = try ContainerFixture()
        let limit = try Rlimit.get(.openFiles)
        let mayRaise = try Credentials.capabilities().effective.contains(CapabilitySet(name: "CAP_SYS_RESOURCE") ?? [])
        box.spec.process?.rlimits = [.init(type: "RLIMIT_NOFILE", soft: 1, hard: limit.hard + 1)]
        let outcome = try box.run("true")
        if !mayRaise {
            #expect(outcome.failure?.stage == "limits")
            #expect(outcome.failure?.object == "process.rlimits: RLIMIT_NOFILE")
        }
        box.spec.process?.rlimits = [
            .init(type: "RLIMIT_CPU", soft: 1, hard: 1), .init(type: "RLIMIT_CPU", soft: 2, hard: 2),
        ]
        #expect(try box.run("true").failure?.code == "invalidArgument")
        box.spec.process?.rlimits = [.init(type: "RLIMIT_WISDOM", soft: 1, hard: 1)]
        #expect(try box.run("true").failure?.code == "invalidArgument")
    }

    @Test func aCompiledFilterOfTheBundleWins() throws {
        let box = try ContainerFixture()
        let program = try SeccompCompiler.compile(
            .init(defaultAction: .allow, syscalls: [.init(names: ["mkdir"], action: .errno, errnoRet: 95)])
        )
        let path = box.bundle + "/" + SeccompFiles.bundleFileName
        try File.writeAtomically(path, program.encoded, durable: false)
        box.spec.linux?.seccomp = .init(defaultAction: .killProcess)
        let outcome = try box.run("ls -d /; mkdir /x")
        #expect(outcome.lines == ["/"])
        #expect(!File.exists(box.root + "/x"))
        // Open to others, or damaged, it is an error, never "no filter".
        try File.writeAtomically(path, program.encoded, mode: 0o644, durable: false)
        #expect(try box.run("true").failure?.stage == "seccomp")
        try File.writeAtomically(path, program.encoded.dropLast(), durable: false)
        #expect(try box.run("true").failure?.stage == "seccomp")
    }

    @Test func hooksRunInOrderWithTheStateAsInput() throws {
        let box = try ContainerFixture()
        let record = box.scratch.path + "/record"
        func hook(_ name: String, _ script: String = "") -> RuntimeSpec.Hook {
            let text = "echo \(name) $A $(cat) $(readlink /proc/self/ns/net) >> \(record); \(script)"
            return .init(path: "/bin/sh", args: ["sh", "-c", text], env: ["A=x", "PATH=/bin"], timeout: 20)
        }
        box.spec.annotations = ["k\"": "v\n"]
        box.spec.hooks = .init(
            prestart: [hook("prestart")],
            createRuntime: [hook("createRuntime"), hook("second")],
            createContainer: [hook("createContainer")],
            poststart: [hook("poststart")],
            poststop: [hook("poststop", "exit 3")]
        )
        let outcome = try box.run("readlink /proc/self/ns/net; exit 4")
        #expect(outcome.status == .exited(4), "\(outcome.errors)")
        // A failed hook after the end is a warning.
        #expect(outcome.failure?.stage == "hooks")
        let lines = try File.readText(record).split(separator: "\n").map { $0.split(separator: " ") }
        let names = ["prestart", "createRuntime", "second", "createContainer", "poststart", "poststop"]
        #expect(lines.map { String($0[0]) } == names)
        let statuses = ["creating", "creating", "creating", "creating", "running", "stopped"]
        for (line, status) in zip(lines, statuses) {
            #expect(line[1] == "x")
            #expect(line[2].contains(#""status":"\#(status)""#) && line[2].contains(#""k\"":"v\u000a""#))
        }
        let inside = outcome.lines.first ?? ""
        #expect(lines.map { $0[3] == inside } == [false, false, false, true, false, false])
    }

    @Test(arguments: ["exit 1", "kill -9 $$", "read x; sleep 60"])
    func aFailedHookKeepsTheContainerFromRunning(_ script: String) throws {
        let hook = RuntimeSpec.Hook(path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/bin"], timeout: 1)
        let variants: [RuntimeSpec.Hooks] = [
            .init(prestart: [hook]), .init(createContainer: [hook]), .init(poststart: [hook]),
        ]
        for hooks in variants {
            let box = try ContainerFixture()
            box.spec.hooks = hooks
            let outcome = try box.run("sleep 100")
            #expect(outcome.failure?.stage == "hooks")
            #expect(outcome.status == .exited(125))
        }
    }

    @Test func whatIsNotSupportedIsNamed() throws {
        let changes: [(inout RuntimeSpec) -> Void] = [
            { $0.linux?.namespaces?.removeAll { $0.type == .mount } },
            { $0.process?.selinuxLabel = "x" },
            { $0.linux?.mountLabel = "x" },
        ]
        for change in changes {
            let box = try ContainerFixture()
            change(&box.spec)
            #expect(try box.run("true").failure?.code == "unsupported")
        }
    }
}
