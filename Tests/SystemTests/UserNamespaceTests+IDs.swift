import Foundation
import SystemFixture
import Testing

/// Who gets a user namespace, and which ids; and what becomes of them.
extension SystemTests.UserNamespaceTests {
    // Modes -----------------------------------------------------------------------------------------------------

    @Test func whatImpliesHostSaysSo() throws {
        try Daemon.with { (daemon) throws in
            let cases = [
                ["--userns=host"], ["--privileged"], ["--network", "host"], ["--pid", "host"], ["--ipc", "host"],
            ]
            for (index, options) in cases.enumerated() {
                let name = "c\(index)"
                let command = ["run", "-d", "--name", name] + options + ["berth/default", "sleep", "1000"]
                let outcome = try daemon.client(command).finish()
                try #require(outcome.status == 0, "\(outcome)")
                #expect(try hostUser(name, daemon) == 0)
                #expect(try mode(name, daemon) == "host")
                let reason = try daemon.field(".Berth.UserNamespace.Reason", name)
                #expect(index == 0 || reason.contains(options[0]), "\(reason)")
                if index > 0 {
                    let both = ["create", "--userns=auto"] + options + ["berth/default", "true"]
                    let refused = try daemon.client(both).finish()
                    #expect(refused.status == 125 && refused.errors.contains(options[0]), "\(refused)")
                }
            }
            #expect(try daemon.field(".HostConfig.UsernsMode", "c0") == "host")
            #expect(
                try daemon.berth("create", "--userns=elsewhere", "berth/default", "true").errors.contains(
                    "auto:size=N"
                )
            )
        }
    }

    @Test func joiningSharesTheUserNamespace() throws {
        try Daemon.with { (daemon) throws in
            try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
            try daemon.ok(
                "run",
                "-d",
                "--name",
                "two",
                "--network",
                "container:one",
                "--pid",
                "container:one",
                "berth/default",
                "sleep",
                "1000"
            )
            #expect(try mode("two", daemon) == "shared")
            #expect(try range("one", daemon) == range("two", daemon))
            func link(_ name: String, _ kind: String) throws -> String {
                let pid = try daemon.field(".State.Pid", name)
                return try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/ns/\(kind)")
            }
            for kind in ["user", "net", "pid"] { #expect(try link("one", kind) == link("two", kind)) }
            #expect(try link("one", "mnt") != link("two", "mnt"))
            #expect(try daemon.ok("exec", "two", "sh", "-c", "touch /x && stat -c %u /x /etc/hosts") == "0\n0")
            // The one that had the ids first goes; they stay with the other.
            let held = try range("one", daemon).first
            try daemon.ok("rm", "-f", "one")
            try daemon.ok("run", "-d", "--name", "three", "berth/default", "sleep", "1000")
            #expect(try range("three", daemon).first != held)
            try daemon.ok("run", "-d", "--name", "plain", "--userns=host", "berth/default", "sleep", "1000")
            try daemon.ok(
                "run",
                "-d",
                "--name",
                "four",
                "--network",
                "container:plain",
                "berth/default",
                "sleep",
                "1000"
            )
            #expect(try mode("four", daemon) == "host")
        }
    }

    // Ids -------------------------------------------------------------------------------------------------------

    @Test func aRangeStaysWithItsContainer() throws {
        try Daemon.with { (daemon) throws in
            try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
            let first = try range("one", daemon).first
            try daemon.ok("restart", "-t", "0", "one")
            #expect(try hostUser("one", daemon) == first)
            try daemon.crash()
            try daemon.start()
            #expect(try range("one", daemon).first == first)
            try daemon.ok("restart", "-t", "0", "one")
            #expect(try hostUser("one", daemon) == first)
            try daemon.ok("run", "-d", "--name", "two", "berth/default", "sleep", "1000")
            #expect(try range("two", daemon).first != first)
        }
    }

    /// A row of the version before has no ids, and is what it was: without a user namespace.
    @Test func aContainerOfTheVersionBeforeStaysWhatItWas() throws {
        try Daemon.with { (daemon) throws in
            try daemon.ok("run", "-d", "--name", "old", "berth/default", "sleep", "1000")
            try daemon.ok("stop", "-t", "0", "old")
            try daemon.stop()
            try sql(
                """
                UPDATE containers SET plan = json_remove(plan, '$.userNamespace'), plan_check = NULL,
                    configuration = json_remove(configuration, '$.userNamespace');
                DELETE FROM id_range_holders; DELETE FROM id_ranges;
                """,
                daemon
            )
            try daemon.start()
            #expect(try mode("old", daemon) == "host")
            #expect(try daemon.field(".Berth.UserNamespace.Reason", "old") != "")
            try daemon.ok("start", "old")
            #expect(try hostUser("old", daemon) == 0)
            try daemon.ok("run", "-d", "--name", "new", "berth/default", "sleep", "1000")
            #expect(try hostUser("new", daemon) == range("new", daemon).first)
            // One that joins it has none either.
            try daemon.ok(
                "run",
                "-d",
                "--name",
                "joins",
                "--network",
                "container:old",
                "berth/default",
                "sleep",
                "9"
            )
            #expect(try mode("joins", daemon) == "host")
        }
    }

    /// Ids of a container that is gone but for its cgroup, which has a process in it.
    @Test func idsThatALeftoverHoldsAreNobodys() throws {
        try Daemon.with(image: false) { (daemon) throws in
            let file = daemon.scratch.appendingPathComponent("berthd.toml")
            try "userns-pool = [\"1048576:131072\"]\n".write(to: file, atomically: true, encoding: .utf8)
            try daemon.stop()
            let gone = String(repeating: "ab", count: 32)
            try sql(
                """
                INSERT INTO id_ranges VALUES (1048576, 65536);
                INSERT INTO id_range_holders VALUES ('\(gone)', 1048576, '/berth/\(gone)');
                """,
                daemon
            )
            let group = try #require(
                ["/sys/fs/cgroup/cgroup.procs", "/sys/fs/cgroup/memory/cgroup.procs"].first {
                    FileManager.default.fileExists(atPath: $0)
                }
            )
            let directory = (group as NSString).deletingLastPathComponent + "/berth/\(gone)"
            let inside = try Command(
                "sh",
                ["-euc", "mkdir -p \(directory); echo $$ > \(directory)/cgroup.procs; echo in; exec sleep 1000"],
                in: daemon.scratch
            )
            defer { inside.send(SIGKILL) }
            try eventually("it is in the group") { inside.output == "in\n" }
            try daemon.start(["--config", file.path])
            try daemon.ok("load", "-i", try DefaultImage.archive())
            // The process is ended with its group, and then the ids are free.
            #expect(try inside.finish().status == 128 + SIGKILL)
            try eventually("the group is gone") { !FileManager.default.fileExists(atPath: directory) }
            try eventually("both ranges are free") {
                let made = try daemon.berth("create", "berth/default", "true").status == 0
                let lines = try daemon.ok("ps", "-aq").split(separator: "\n")
                return made && lines.count == 2
            }
        }
    }

    /// Changes the database of a manager that does not run.
    private func sql(_ text: String, _ daemon: Daemon) throws {
        let script =
            "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.executescript(sys.argv[2]); db.commit()"
        let file = daemon.root.appendingPathComponent("berth.db").path
        let outcome = try Command("python3", ["-c", script, file, text], in: daemon.scratch).finish()
        try #require(outcome.status == 0, "\(outcome)")
    }

    @Test func anEmptyPoolIsAnErrorThatSaysWhatToChange() throws {
        try Daemon.with(image: false) { (daemon) throws in
            let file = daemon.scratch.appendingPathComponent("berthd.toml")
            try "userns-pool = [\"1048576:131072\"]\n".write(to: file, atomically: true, encoding: .utf8)
            try daemon.stop()
            try daemon.start(["--config", file.path])
            try daemon.ok("load", "-i", try DefaultImage.archive())
            for name in ["one", "two"] { try daemon.ok("create", "--name", name, "berth/default", "true") }
            #expect(try Set(["one", "two"].map { try range($0, daemon).first }) == [1_048_576, 1_114_112])
            let refused = try daemon.berth("create", "--name", "three", "berth/default", "true")
            #expect(refused.status == 125 && refused.errors.contains("userns-pool"), "\(refused)")
            #expect(try daemon.ok("create", "--userns=host", "--name", "three", "berth/default", "true") != "")
            let freed = try range("one", daemon).first
            try daemon.ok("rm", "one")
            try daemon.ok("create", "--name", "four", "berth/default", "true")
            #expect(try range("four", daemon).first == freed)
        }
    }

    @Test func configurationTurnsItOff() throws {
        try Daemon.with { (daemon) throws in
            #expect(try daemon.ok("info", "--format", "{{.Berth.UserNamespaces.Default}}") == "true")
            let options = try daemon.docker("info", "--format", "{{json .SecurityOptions}}").text
            #expect(options.contains("name=userns"), "\(options)")
            let file = daemon.scratch.appendingPathComponent("berthd.toml")
            try "userns = \"host\"\n".write(to: file, atomically: true, encoding: .utf8)
            try daemon.stop()
            try daemon.start(["--config", file.path])
            try daemon.ok("create", "--name", "one", "berth/default", "true")
            #expect(try mode("one", daemon) == "host")
            try daemon.ok("create", "--name", "two", "--userns=auto", "berth/default", "true")
            #expect(try mode("two", daemon) == "auto")
            #expect(
                !(try daemon.docker("info", "--format", "{{json .SecurityOptions}}").text.contains("name=userns"))
            )
        }
    }

    @Test func dockersClientHasTheSame() throws {
        try Daemon.with { (daemon) throws in
            let script = "id -u; touch /x && stat -c %u /x; grep NoNewPrivs /proc/self/status | cut -f 2"
            let outcome = try daemon.docker("run", "--name", "one", "berth/default", "sh", "-c", script)
            #expect(outcome.text == "0\n0\n1")
            #expect(try range("one", daemon).size == 65_536)
            #expect(
                try daemon.docker("run", "--rm", "--userns=host", "berth/default", "cat", "/proc/self/uid_map").text
                    .hasSuffix("4294967295")
            )
            // Its command line knows 'host' only; other clients of the API say more.
            func create(_ host: String) throws -> Outcome {
                let body = #"{"Image":"berth/default","Cmd":["true"],"HostConfig":\#(host)}"#
                let words = ["-s", "--unix-socket", daemon.socket, "-H", "Content-Type: application/json", "-d", body]
                let place = ["-w", " %{http_code}", "http://localhost/v1.43/containers/create"]
                return try Command("curl", words + place, in: daemon.scratch).finish()
            }
            #expect(try create(#"{"UsernsMode":"auto:size=2000"}"#).text.hasSuffix(" 201"))
            let refused = try create(#"{"UsernsMode":"auto","Privileged":true}"#)
            #expect(refused.text.hasSuffix(" 400") && refused.text.contains("--privileged"), "\(refused)")
            let beyond = try daemon.docker("run", "--rm", "-u", "70000", "berth/default", "true")
            #expect(beyond.status == 125 && beyond.errors.contains("70000"), "\(beyond)")
            #expect(
                try daemon.docker("run", "--rm", "--userns=host", "-u", "70000", "berth/default", "id", "-u").text
                    == "70000"
            )
        }
    }
}
