import Foundation
import Kernel
import SystemFixture
import Testing

extension SecurityTests {
    /// Rows 13, 18 to 23, 25 to 29 through a manager: what a client, an image or a container makes it do to the host.
    @Suite struct DaemonHostTests {
        // 18 and 25: volumes that begin with what the image has ------------------------------------------------------

        @Test(arguments: [false, true])
        func aVolumeTakesNothingFromTheHost(_ isMagic: Bool) throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Host.makeCanary(daemon.canary)
                let canary = daemon.canary
                let up = "../../../../../../../../../.." + canary
                // A magic link is refused when the volume is mounted; all others lead somewhere inside.
                let volumes =
                    ["/absolute", "/relative", "/deep/link/inner", "/legal", "/plain"] + (isMagic ? ["/magic"] : [])
                let config = "{\"Volumes\":{\(volumes.map { "\"\($0)\":{}" }.joined(separator: ","))}}"
                try Images.load("attack", into: daemon, config: config) { root in
                    try root.symlink("absolute", to: canary)
                    try root.symlink("relative", to: up)
                    try root.mkdirAll("deep")
                    try root.symlink("deep/link", to: canary)
                    try root.symlink("magic", to: "/proc/1/root" + canary)
                    try root.mkdirAll("run/service")
                    try root.create("run/service/file", mode: 0o640).writeAll("legal\n")
                    try root.mkdirAll("var")
                    try root.symlink("legal", to: "/run/service")
                    // What is copied is a copy: links stay links, and nothing is read through them.
                    try root.mkdirAll("plain")
                    try root.symlink("plain/secret", to: canary + "/secret")
                    try root.symlink("plain/up", to: up + "/secret")
                    try root.symlink("plain/inner", to: canary + "/inner")
                    try root.create("plain/setuid", mode: 0o755).writeAll("x")
                    try root.chmod("plain/setuid", permissions: 0o4755)
                    try root.mknod("plain/pipe", .fifo, permissions: 0o600)
                }
                try daemon.guarded {
                    let secret = try File.readText(canary + "/secret")
                    try daemon.ok("create", "--name", "box", "attack", "sleep", "1000")
                    #expect(try daemon.berth("start", "box").status == (isMagic ? 1 : 0))
                    let data = try Command("grep", ["-rlF", secret, daemon.root.path], in: daemon.scratch).finish()
                    #expect(data.text == "", "the canary is in a volume: \(data)")
                    let list = try Command(
                        "find",
                        [daemon.root.path + "/volumes", "-name", "readable"],
                        in: daemon.scratch
                    )
                    #expect(try list.finish().text == "")
                    try daemon.ok("rm", "-f", "-v", "box")
                    if isMagic { return }
                    // The legal link is followed inside the image, and its content comes along.
                    let outcome = try daemon.script(
                        ["-v", "legal:/legal", "-v", "plain:/plain"],
                        "cat /legal/file; readlink /plain/secret; stat -c %a /plain/setuid"
                    )
                    #expect(outcome.lines == ["legal", canary + "/secret", "4755"], "\(outcome)")
                    // What a volume holds already is not written over, and what is there may be hostile by now.
                    try daemon.script(
                        ["-v", "plain:/plain"],
                        "rm -rf /plain/*; ln -s \(canary) /plain/setuid; echo mine > /plain/own"
                    ).requireSuccess()
                    let again = try daemon.script(["-v", "plain:/plain"], "cat /plain/own; ls /plain")
                    #expect(again.lines == ["mine", "own", "setuid"], "\(again)")
                }
            }
        }

        @Test(arguments: ["/../../../etc", "/..", "relative", "/proc", "/proc/sys", "/sys/fs/cgroup", "/", ""])
        func aVolumeOfAnImageInAnOddPlaceIsRefused(_ place: String) throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon, config: "{\"Volumes\":{\"\(place)\":{}}}")
                try daemon.guarded {
                    let outcome = try daemon.script("ls /etc/shadow")
                    #expect(outcome.status == 125, "\(outcome)")
                    #expect(try daemon.ok("ps", "-aq") == "")
                }
            }
        }

        // 13, 19, 22, 23: what a client asks for ---------------------------------------------------------------------

        @Test func requestsThatReachForTheHostAreRefused() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon) { root in
                    try root.symlink("link", to: "/proc")
                }
                try daemon.guarded {
                    let core = Host.harmless("kernel.core_pattern", "x")
                    let options: [[String]] = [
                        ["-v", "x:/proc"], ["-v", "x:/proc/asound"], ["-v", "x:/proc/sys"], ["-v", "x:/proc/../proc"],
                        ["-v", "x:/link/sys"], ["-v", "x:/link"], ["--tmpfs", "/proc/sys"], ["--tmpfs", "/link/sys"],
                        ["-v", "x:/sys"], ["-v", "../x:/y"], ["-v", "x/../../y:/y"], ["-v", "..:/y"],
                        ["--sysctl", "kernel.core_pattern=\(core)"],
                        ["--sysctl", "kernel.shm_rmid_forced=1+kernel.core_pattern=\(core)"],
                        ["--sysctl", "kernel.shm_rmid_forced=1\nkernel.core_pattern=\(core)"],
                        ["--sysctl", "net/../kernel/core_pattern=\(core)"],
                        ["--network", "host", "--sysctl", "net.ipv4.ip_default_ttl=77"],
                        [
                            "--ipc", "host", "--sysctl",
                            "kernel.shm_rmid_forced=\(Host.harmless("kernel.shm_rmid_forced", "0"))",
                        ],
                        ["--uts", "host", "--sysctl", "kernel.domainname=\(Host.harmless("kernel.domainname", "x"))"],
                        ["--hostname", "a\nb"], ["--domainname", "a\nb"],
                        ["--add-host", "a\n1.2.3.4 b:10.0.0.1"],
                        ["--add-host", "a:10.0.0.1\n1.2.3.4 b"], ["--dns", "10.0.0.1\nsearch x"],
                        ["--dns-search", "x\nnameserver 1.2.3.4"],
                        ["--dns-option", "x\nnameserver 1.2.3.4"], ["-w", "relative"],
                        ["-e", "HOME=/a\nroot2::0:0::/:/bin/sh"],

                    ]
                    for option in options {
                        let outcome = try daemon.client(["run", "--rm"] + option + ["attack", "true"]).finish()
                        #expect([125, 126].contains(outcome.status), "\(option): \(outcome)")
                    }
                    for json in [
                        #""Hostname":"a\u0000b""#, #""Env":["A=\u0000"]"#, #""Env":["A\u0000=1"]"#,
                        #""User":"0\u0000""#,
                        #""WorkingDir":"/a\u0000""#, #""HostConfig":{"ExtraHosts":["a\u0000:10.0.0.1"]}"#,
                        #""HostConfig":{"Dns":["1.1.1.1\u0000"]}"#, #""HostConfig":{"Binds":["x:/a\u0000"]}"#,
                        #""HostConfig":{"Sysctls":{"kernel.shm_rmid_forced":"1\u0000"}}"#,
                    ] {
                        #expect(
                            try daemon.post("containers/create", "{\"Image\":\"attack\",\(json)}") == "400",
                            "\(json)"
                        )
                    }
                    #expect(try daemon.ok("ps", "-aq") == "")
                }
            }
        }

        @Test func textsInGeneratedFilesAreLinesOfTheirOwn() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon)
                let options = [
                    "-e", "HOME=/a:root2::0:0::/:/bin/sh", "-e", "A=\\n", "--hostname", "box", "--add-host",
                    "a.test:10.0.0.9", "--dns", "10.0.0.53",
                ]
                let text =
                    "wc -l < /etc/passwd; wc -l < /etc/hosts; cat /etc/hostname; grep -c . /etc/resolv.conf; grep -c root2 /etc/passwd"
                let plain = try daemon.script(text).lines
                let result = try daemon.script(options, text)
                let outcome = result.lines
                try #require(plain.count == 5 && outcome.count == 5, "\(result)")
                #expect(outcome[0] == plain[0] && outcome[2] == "box" && outcome[4] == "0")
                #expect(Int(outcome[1]) == Int(plain[1]).map { $0 + 1 })
            }
        }

        @Test func annotationsAndLabelsAreData() throws {
            try Daemon.with(image: false) { (daemon) throws in
                let labels =
                    #"{"Labels":{"org.systemd.property.MemoryMax":"1","io.kubernetes.cri-o.UnifiedCgroup":"x","run.oci.hooks":"/x"}}"#
                try Images.load("attack", into: daemon, config: labels)
                // What the engine tells its backends is nobody else's to say.
                for text in ["landlock=off", "namespaces=none", "profile=p", "profile-mode=audit"] {
                    let words = ["run", "--rm", "--runtime", "restricted", "--annotation", "dev.berth.\(text)"]
                    let refused = try daemon.client(words + ["attack", "true"]).finish()
                    #expect(refused.status == 125 && refused.errors.contains("dev.berth."), "\(refused)")
                }
                try daemon.guarded {
                    let options = [
                        "-d", "--name", "box", "--memory", "64m", "--pids-limit", "50", "--annotation",
                        "org.systemd.property.MemoryMax=1",
                        "--annotation", "run.oci.seccomp_bpf_data=AAAA", "--annotation",
                        "io.kubernetes.cri-o.cgroup2-mount-hierarchy-rw=true",
                        "--label", "io.kubernetes.cri-o.Devices=/dev/sda",
                    ]
                    let run = ["run"] + options + ["attack", "sleep", "1000"]
                    #expect(try daemon.client(run).finish().status == 0)
                    try expectOwnCgroup(daemon, "box", try daemon.processID("box"))
                    #expect(try daemon.ok("exec", "box", "grep", "Seccomp:", "/proc/self/status") == "Seccomp:\t2")
                    #expect(
                        try daemon.ok("exec", "box", "sh", "-c", "touch /sys/fs/cgroup/x 2>/dev/null || echo closed")
                            == "closed"
                    )
                }
            }
        }

        // 20 and 21: cgroups ------------------------------------------------------------------------------------------

        /// The cgroups of a process, looked at from outside: all are the container's, or below it.
        func expectOwnCgroup(_ daemon: Daemon, _ container: String, _ pid: Int32) throws {
            let id = try daemon.field(".Id", container)
            let lines = try File.readText("/proc/\(pid)/cgroup").split(separator: "\n")
            let isUnified = lines.count == 1
            for line in lines {
                let fields = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
                // The unified hierarchy beside those of version 1 may have no controllers, and unattached ones no groups.
                let matters =
                    isUnified || ["memory", "pids", "cpu", "devices", "freezer"].contains { fields[1].contains($0) }
                if matters { #expect(fields[2].contains(id), "process \(pid): \(line)") }
            }
        }

        @Test func everyProcessIsInItsContainersCgroup() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon)
                for options in [[], ["--cgroupns", "host"], ["-u", "1000"], ["--privileged"]] {
                    let run = ["run", "-d", "--name", "box"] + options + ["attack", "sleep", "1000"]
                    #expect(try daemon.client(run).finish().status == 0, "\(options)")
                    let first = try daemon.processID("box")
                    try expectOwnCgroup(daemon, "box", first)
                    let exec = try daemon.client(["exec", "box", "sleep", "1001"])
                    var found: [Int32] = []
                    try eventually("the exec runs") {
                        found = try daemon.ok("top", "box").split(separator: "\n").filter { $0.contains("sleep 1001") }
                            .compactMap { Int32($0.split(separator: " ")[1]) }
                        return !found.isEmpty
                    }
                    for pid in found { try expectOwnCgroup(daemon, "box", pid) }
                    // Its view begins there, whatever was asked for.
                    let own = try RootedDir("/proc/\(first)/ns").readlink("cgroup")
                    #expect(try own != RootedDir("/proc/self/ns").readlink("cgroup"), "\(options)")
                    try daemon.ok("rm", "-f", "box")
                    _ = try exec.finish()
                }
            }
        }

        @Test(arguments: [
            [], ["--cgroupns", "host"], ["--cap-add", "ALL"], ["-u", "1000"], ["--security-opt", "seccomp=unconfined"],
        ])
        func noCgroupCanBeWritten(_ options: [String]) throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon)
                let text = """
                    mkdir /tmp/c 2>/dev/null
                    find /sys/fs/cgroup -name cgroup.procs -o -name release_agent -o -name notify_on_release -o -name tasks | while read f; do
                        (: >> $f) 2>/dev/null && echo "open $f"
                    done
                    touch /sys/fs/cgroup/x 2>/dev/null && echo created
                    mkdir /sys/fs/cgroup/memory/x /sys/fs/cgroup/x 2>/dev/null && echo made
                    unshare -UrmC sh -c 'mount -t cgroup -o memory none /tmp/c && (: >> /tmp/c/release_agent)' 2>/dev/null && echo agent
                    unshare -UrmC sh -c 'mount -t cgroup2 none /tmp/c && mkdir /tmp/c/x' 2>/dev/null && echo mounted
                    echo done
                    """
                if options.contains("ALL") || options.contains("seccomp=unconfined") {
                    // With every capability, or without the filter, mounts of its own are its right; the files of the
                    // mount that it was given stay closed.
                    let outcome = try daemon.script(
                        options,
                        text.split(separator: "\n").filter { !$0.contains("unshare") }.joined(separator: "\n")
                    )
                    #expect(outcome.lines == ["done"], "\(outcome)")
                } else {
                    let outcome = try daemon.script(options, text)
                    #expect(outcome.lines == ["done"], "\(outcome)")
                }
            }
        }

        // 26: files of the manager ------------------------------------------------------------------------------------

        @Test func anOrdinaryUserOfTheHostReachesNothing() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon) { root in
                    try root.mkdirAll("bin")
                    try root.create("bin/setuid", mode: 0o755).writeAll(try File.read("/bin/true", limit: 1 << 24))
                    try root.chmod("bin/setuid", permissions: 0o4755)
                }
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "box",
                    "-v",
                    "data:/data",
                    "attack",
                    "sh",
                    "-c",
                    "cp -p /bin/setuid /data/; cp -p /bin/setuid /own; sleep 1000"
                )
                func asNobody(_ words: [String]) throws -> Outcome {
                    let nobody = ["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]
                    return try Command("setpriv", nobody + words, in: daemon.scratch).finish()
                }
                // There is something to reach, and the path to it is open as far as the manager's own folders.
                let all = try Command("find", [daemon.root.path, "-name", "setuid"], in: daemon.scratch).finish().lines
                #expect(all.count >= 1)
                for file in all {
                    #expect(try asNobody(["test", "-e", file]).status == 1, "\(file)")
                    // setpriv itself still looks the path up as root: a shell does not.
                    #expect(try asNobody(["sh", "-c", "exec \"$0\"", file]).status != 0, "\(file)")
                }
                for folder in [daemon.root.path, daemon.state.path] {
                    // The socket's name may be seen; nothing below a folder may.
                    let names = try asNobody(["find", folder, "-mindepth", "1"]).lines
                    #expect(
                        names.filter { !$0.hasSuffix("/berth.sock") && File.exists($0 + "/.") }.allSatisfy { name in
                            (try? File.status(name))?.permissions == 0o700
                        },
                        "\(names)"
                    )
                    let readable = try asNobody(["find", folder, "-mindepth", "1", "-readable"]).lines
                    #expect(readable.isEmpty, "\(readable)")
                }
                for socket in ["shim.sock", "fd.sock"] {
                    let id = try daemon.field(".Id", "box")
                    let path = "\(daemon.state.path)/containers/\(id)/\(socket)"
                    #expect(File.exists(path))
                    #expect(try asNobody(["test", "-e", path]).status == 1)
                }
                #expect(
                    try asNobody(["curl", "-s", "-m", "2", "--unix-socket", daemon.socket, "http://x/_ping"]).status
                        == 7
                )
            }
        }

        // 28: sockets -------------------------------------------------------------------------------------------------

        @Test(arguments: [[], ["--privileged"]])
        func aContainerOnTheHostsNetworkReachesNoSocketOfOurs(_ options: [String]) throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon)
                let outcome = try daemon.script(options + ["--network", "host"], "hostile peers")
                #expect(!outcome.lines.contains { $0.hasPrefix("abstract ") && $0.contains("berth") }, "\(outcome)")
                #expect(!outcome.lines.contains { $0.hasPrefix("connected ") }, "\(outcome)")
                // It has seen them: the sockets of manager and shim are in the table of this network namespace.
                #expect(outcome.lines.filter { $0.hasPrefix("refused ") }.count >= 2, "\(outcome)")
            }
        }

        @Test func aShimTellsWhoMayTalkToIt() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon)
                // The worst case: the bundle's folder was bound into a container of root's.
                try daemon.ok("run", "-d", "--name", "victim", "attack", "sleep", "1000")
                let id = try daemon.field(".Id", "victim")
                let bundle = "\(daemon.state.path)/containers/\(id)"
                let log = bundle + "/shim.log"
                func refusals() throws -> Int {
                    try File.readText(log).split(separator: "\n").filter { $0.contains("connection refused") }.count
                }
                let before = try refusals()
                let options = ["-v", "\(bundle):/bundle", "--userns", "host"]
                let outcome = try daemon.script(options, "hostile talk /bundle/shim.sock /bundle/fd.sock")
                #expect(outcome.lines == ["closed /bundle/shim.sock", "closed /bundle/fd.sock"], "\(outcome)")
                try eventually("the shim has refused") { try refusals() > before }
                #expect(try daemon.ok("exec", "victim", "echo", "alive") == "alive")
            }
        }

        // 29: what is masked ------------------------------------------------------------------------------------------

        @Test func sensitiveFilesAreEmptyOrAbsent() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon)
                let files =
                    "/proc/kcore /proc/keys /proc/timer_list /proc/sched_debug /proc/interrupts /proc/latency_stats /proc/timer_stats"
                let folders =
                    "/proc/acpi /proc/scsi /proc/asound /sys/firmware /sys/devices/virtual/powercap /sys/devices/system/cpu/cpu0/thermal_throttle"
                let text = """
                    for f in \(files); do [ -e $f ] && [ -n "$(head -c 1 $f 2>/dev/null | tr '\\0' x)" ] && echo "open $f"; done
                    for d in \(folders); do [ -d $d ] && [ -n "$(ls -A $d)" ] && echo "open $d"; done
                    for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/irq/default_smp_affinity; do (: >> $f) 2>/dev/null && echo "writable $f"; done
                    echo done
                    """
                for options in [[], ["--cap-add", "ALL"], ["-u", "1000"]] {
                    let outcome = try daemon.script(options, text)
                    #expect(outcome.lines == ["done"], "\(options): \(outcome)")
                }
                try daemon.ok("run", "-d", "--name", "box", "attack", "sleep", "1000")
                #expect(try daemon.ok("exec", "box", "sh", "-c", text) == "done")
            }
        }
    }
}

extension Outcome {
    /// Fails when the program failed.
    func requireSuccess() throws {
        guard status == 0 else { throw Command.Overdue(description: "\(self)") }
    }
}
