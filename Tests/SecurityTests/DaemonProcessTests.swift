import Foundation
import Kernel
import SystemFixture
import Testing

extension SecurityTests {
    /// Rows 1, 4, 5, 6, 8, 10 and 11 through a manager and its shims.
    @Suite struct DaemonProcessTests {
        /// Hashes of everything that is ours and executable.
        func programs() throws -> [String: Int] {
            var found: [String: Int] = [:]
            for name in ["berthd", "berth", "berth-shim-native"] {
                found[name] = try File.read(Binaries.path(name), limit: 1 << 30).hashValue
            }
            return found
        }

        // 1: the program that enters the container -------------------------------------------------------------------

        @Test(arguments: [[], ["--cap-add", "SYS_PTRACE"]])
        func programsOfBerthCannotBeWritten(_ options: [String]) throws {
            let before = try programs()
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon) { root in
                    try root.symlink("entry", to: "/proc/self/exe")
                    try root.symlink("other", to: "/proc/1/exe")
                }
                try daemon.guarded {
                    let run = ["run", "-d", "--name", "hunter"] + options + ["attack", "hostile", "overwrite", "/end"]
                    #expect(try daemon.client(run).finish().status == 0)
                    // One after the other from one shell; each makes a process that enters the container.
                    let loop = "for n in $(seq 250); do \"$@\" exec hunter true || echo failed; done"
                    let words = ["-c", loop, "sh", Binaries.path("berth"), "--host", "unix://\(daemon.socket)"]
                    let execs = try Command("sh", words, in: daemon.scratch).finish(within: 120)
                    #expect(execs.text == "", "\(execs)")
                    for place in ["/entry", "/other", "/proc/self/exe"] {
                        // Whatever becomes of it, it is not a program of ours with a way to change itself.
                        _ = try daemon.berth("exec", "hunter", place, "-c", "true", within: 20)
                        _ = try daemon.client(["run", "--rm"] + options + ["attack", place]).finish(within: 20)
                    }
                    // Not even root of the host can write to it where the shim runs from. The kernel's own refusal of a
                    // program that is executed would come after that of a read-only mount.
                    let shim = try daemon.shim("hunter")
                    let refusal = #expect(throws: KernelError.self) {
                        _ = try File.open("/proc/\(shim)/exe", [.write, .truncate])
                    }
                    #expect(refusal?.errno == .readOnly)
                    try daemon.ok("exec", "hunter", "touch", "/end")
                    try daemon.ok("wait", "hunter")
                    let tally = try daemon.ok("logs", "hunter")
                    print("row 1 \(options): 250 execs, \(tally.split(separator: "\n").last ?? "")")
                    #expect(tally.contains("foreign=0") && !tally.contains("seen=0 "), "\(tally)")
                }
            }
            #expect(try programs() == before)
        }

        // 4: capability sets ------------------------------------------------------------------------------------------

        @Test func nothingIsInheritableOrAmbient() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon)
                let status = ["grep", "-E", "^(Cap|NoNewPrivs|Seccomp:)", "/proc/self/status"]
                func check(_ text: String, isRoot: Bool, _ what: String) {
                    var values: [String: String] = [:]
                    for line in text.split(separator: "\n") {
                        let parts = line.split(separator: ":")
                        if parts.count == 2 { values[String(parts[0])] = parts[1].trimmingCharacters(in: .whitespaces) }
                    }
                    let none = "0000000000000000"
                    #expect(values["CapInh"] == none && values["CapAmb"] == none, "\(what): \(text)")
                    #expect(values["CapPrm"] == (isRoot ? values["CapBnd"] : none), "\(what): \(text)")
                    #expect(values["CapEff"] == values["CapPrm"] && values["Seccomp"] == "2", "\(what): \(text)")
                }
                for options in [[], ["--cap-add", "NET_ADMIN"], ["--cap-drop", "ALL"], ["--cap-add", "ALL"]] {
                    let run = ["run", "--rm"] + options
                    check(try daemon.client(run + ["attack"] + status).finish().text, isRoot: true, "run \(options)")
                    let user = run + ["-u", "1000", "attack"]
                    check(try daemon.client(user + status).finish().text, isRoot: false, "run -u \(options)")
                    try daemon.client(["run", "-d", "--name", "box"] + options + ["attack", "sleep", "1000"]).finish()
                    let exec = try daemon.client(["exec", "box"] + status).finish().text
                    check(exec, isRoot: true, "exec \(options)")
                    let other = try daemon.client(["exec", "-u", "1000:7", "box"] + status).finish().text
                    check(other, isRoot: false, "exec -u \(options)")
                    try daemon.ok("rm", "-f", "box")
                }
            }
        }

        // 5 and 6: users ----------------------------------------------------------------------------------------------

        @Test func usersAreExactOrRefused() throws {
            try Daemon.with(image: false) { (daemon) throws in
                let refused = IdentityTests.table.filter { $0.ids == nil }.map(\.text)
                let odd = refused.filter { !$0.contains(":") && !$0.contains("\n") && $0 != "nobody-there" }
                try Images.load("attack", into: daemon) { root in
                    let entries = odd.map { "\($0):x:0:0::/:\n" } + ["web:x:33:44::/:\n", "root:x:0:0::/:\n"]
                    try root.mkdirAll("etc")
                    try root.create("etc/passwd", mode: 0o644).writeAll(entries.joined())
                }
                try daemon.ok("run", "-d", "--name", "box", "attack", "sleep", "1000")
                for (text, ids) in [("1", "1 0"), ("1:1", "1 1"), ("0001", "1 0"), ("web", "33 44"), ("33:7", "33 7")] {
                    let run = try daemon.script(["-u", text], "echo $(id -u) $(id -g)")
                    #expect(run.text == ids, "\(text): \(run)")
                    let exec = try daemon.berth("exec", "-u", text, "box", "sh", "-c", "echo $(id -u) $(id -g)")
                    #expect(exec.text == ids, "\(text): \(exec)")
                }
                for text in refused where !text.isEmpty {
                    let run = try daemon.client(["run", "--rm", "--user=\(text)", "attack", "id"]).finish()
                    #expect(run.status != 0 && run.output.isEmpty, "\(text.debugDescription): \(run)")
                    let exec = try daemon.client(["exec", "--user=\(text)", "box", "id"]).finish()
                    #expect(exec.status != 0 && !exec.output.contains("uid="), "\(text.debugDescription): \(exec)")
                }
            }
        }

        @Test(arguments: ["4294967296", "-1", "0x0", "1:", "1000 "])
        func aUserOfAnImageIsExactOrRefused(_ user: String) throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon, config: "{\"User\":\"\(user)\"}") { root in
                    try root.mkdirAll("etc")
                    try root.create("etc/passwd", mode: 0o644).writeAll("\(user):x:0:0::/:\nroot:x:0:0::/:\n")
                }
                let outcome = try daemon.script("id -u")
                #expect(outcome.status != 0 && outcome.output.isEmpty, "\(outcome)")
            }
        }

        // 8: programs and libraries of the image ----------------------------------------------------------------------

        @Test func nothingOfTheImageRunsForTheManager() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon, config: #"{"Volumes":{"/data":{}}}"#) { root in
                    // Each of these says that it was used; none is asked for below.
                    let trap = "#!/bin/sh\necho \"$0 $@\" >> /tmp/used\n"
                    try root.mkdirAll("usr/bin")
                    try root.mkdirAll("lib/x86_64-linux-gnu")
                    try root.mkdirAll("etc")
                    for name in [
                        "xz", "unpigz", "pigz", "gzip", "zstd", "nsenter", "ps", "tar", "getent", "mount", "unshare",
                    ] {
                        try root.create("usr/bin/\(name)", mode: 0o755).writeAll(trap)
                    }
                    for name in ["libnss_files.so.2", "libnss_compat.so.2", "evil.so"] {
                        try root.create("lib/x86_64-linux-gnu/\(name)", mode: 0o755).writeAll("not a library")
                    }
                    try root.create("etc/ld.so.preload", mode: 0o644).writeAll("/lib/x86_64-linux-gnu/evil.so\n")
                    try root.create("etc/nsswitch.conf", mode: 0o644).writeAll("passwd: files\ngroup: files\n")
                    try root.mkdirAll("data")
                    try root.create("data/file", mode: 0o644).writeAll("x")
                }
                try daemon.guarded {
                    let path = "PATH=/usr/bin:/bin"
                    try daemon.ok("run", "-d", "--name", "box", "-e", path, "attack", "/bin/sleep", "1000")
                    try daemon.ok("top", "box")
                    try daemon.ok("stats", "--no-stream", "box")
                    try daemon.ok("exec", "-u", "app", "box", "/bin/true")
                    try daemon.ok("exec", "box", "/bin/true")
                    try daemon.ok("logs", "box")
                    try daemon.ok("inspect", "box")
                    try daemon.ok("pause", "box")
                    try daemon.ok("unpause", "box")
                    for request in [
                        "containers/box/archive?path=/etc", "containers/box/export", "containers/box/changes",
                    ] {
                        let words = [
                            "-s", "-o", "/dev/null", "--unix-socket", daemon.socket, "http://berth/v1.51/\(request)",
                        ]
                        _ = try Command("curl", words, in: daemon.scratch).finish()
                    }
                    #expect(try daemon.berth("exec", "box", "/bin/test", "-e", "/tmp/used").status == 1)
                    // The trap works: who asks for one of these gets it.
                    try daemon.ok("exec", "box", "/bin/sh", "-c", "/usr/bin/ps")
                    #expect(try daemon.ok("exec", "box", "/bin/cat", "/tmp/used") == "/usr/bin/ps")
                }
            }
        }

        // 10: numbers of processes that are used again ----------------------------------------------------------------

        @Test func noBystanderIsSignalled() throws {
            let folder = URL(fileURLWithPath: "/tmp/berth-test-\(UUID().uuidString.prefix(8))")
            try File.makeDirectories(folder.path, mode: 0o755)
            defer { _ = try? File.removeTree(folder.path) }
            // In a process namespace of its own, where numbers are few since Linux 6.14; before, the limit is the machine's.
            let release = try File.readText("/proc/sys/kernel/osrelease").split(separator: ".").prefix(2).compactMap {
                Int($0)
            }
            let isLimited = release.count == 2 && (release[0], release[1]) >= (6, 14)
            let script = """
                \(isLimited ? "echo 500 > /proc/sys/kernel/pid_max" : ":")
                hostile=$1; berth="$2 --host unix://$4/state/berth.sock"
                $3 --root $4/root --state $4/state & daemon=$!
                until $berth version >/dev/null 2>&1; do sleep 0.02; done
                $berth load -i $5 >/dev/null
                $hostile churn 20 > $4/churn & churn=$!
                count=0
                while kill -0 $churn 2>/dev/null; do
                    id=$($berth run -d berth/default sleep 1000)
                    $berth exec $id true
                    $berth exec $id sleep 100 & exec=$!
                    $berth kill --signal TERM $id >/dev/null
                    $berth stop -t 0 $id >/dev/null; $berth rm -f $id >/dev/null
                    wait $exec
                    count=$((count + 1))
                done
                wait $churn
                kill $daemon; wait $daemon
                cat $4/churn
                echo count=$count
                """
            let words = [
                "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "bash", "-c", script, "churn",
                try Hostile.program(), Binaries.path("berth"), Binaries.path("berthd"), folder.path,
                try DefaultImage.archive(),
            ]
            let outcome = try Command("unshare", words, in: folder).finish(within: 90)
            func value(_ name: String) -> Int {
                outcome.output.split(whereSeparator: { $0.isWhitespace }).first { $0.hasPrefix(name + "=") }
                    .flatMap { Int($0.dropFirst(name.count + 1)) } ?? -1
            }
            print(
                "row 10: \(value("count")) containers stopped, \(value("made")) bystanders, \(value("signalled")) signalled"
            )
            #expect(value("signalled") == 0 && value("count") > 10, "\(outcome)")
            // Every number has been used many times.
            #expect(value("made") > 5000 && outcome.status == 0, "\(outcome)")
        }

        // 11 and 26: masks of the manager -----------------------------------------------------------------------------

        @Test(arguments: ["0000", "0777"])
        func theMaskOfTheManagerIsItsOwn(_ mask: String) throws {
            try Daemon.with(umask: mask) { (daemon) throws in
                let text = "grep Umask /proc/self/status; touch /tmp/f; stat -c %a /tmp/f"
                let run = [
                    "run", "-d", "--name", "box", "-v", "volume:/data", "berth/default", "sh", "-c",
                    text + "; sleep 1000",
                ]
                #expect(try daemon.client(run).finish().status == 0)
                try eventually("output") { try daemon.ok("logs", "box").contains("644") }
                #expect(try daemon.ok("logs", "box") == "Umask:\t0022\n644")
                #expect(try daemon.ok("exec", "box", "sh", "-c", text) == "Umask:\t0022\n644")
                // Whatever could be written by others, and whatever of the state could be read.
                let all = ["find", daemon.root.path, daemon.state.path]
                let writable =
                    all + ["-perm", "/022", "!", "-type", "l", "!", "-path", "*/fs/*", "!", "-path", "*/upper*"]
                let found = try Command("env", writable, in: daemon.scratch).finish().lines
                #expect(found.allSatisfy { $0.hasSuffix("/berth.sock") }, "\(found)")
                let secrets =
                    all + [
                        "-perm", "/077", "(", "-name", "token", "-o", "-name", "*.db", "-o", "-name", "journal", "-o",
                        "-name", "config.json", "-o", "-name", "*.sock", ")",
                    ]
                let open = try Command("env", secrets, in: daemon.scratch).finish().lines
                #expect(open.allSatisfy { $0.hasSuffix("/berth.sock") }, "\(open)")
            }
        }
    }
}
