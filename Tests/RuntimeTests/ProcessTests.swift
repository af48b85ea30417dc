import Foundation
import Kernel
import SystemFixture
import Testing

/// What a process of a container gets, and what its caller hears of it.
@Suite struct ProcessTests {
    @Test func runWaitsAndDeletes() throws {
        let fixture = try RuntimeFixture("echo out; echo err >&2; exit 7")
        let outcome = try fixture.run()
        #expect(outcome.status == 7)
        #expect(outcome.output == "out\n")
        #expect(outcome.errors == "err\n")
        #expect(!fixture.isRecorded && !fixture.hasGroup)
    }

    @Test func signalsReachTheProcessThatIsWaitedFor() throws {
        let fixture = try RuntimeFixture("trap 'exit 9' TERM; echo ready; while true; do sleep 1; done")
        let words = ["--root", fixture.containers, "run", "--bundle", fixture.bundle.path, fixture.id]
        let command = try Command(RuntimeFixture.program, words, in: fixture.scratch)
        try eventually("it is ready") { command.output == "ready\n" }
        command.send(SIGTERM)
        #expect(try command.finish().status == 9)
    }

    @Test func execHasItsOwnIdsDirectoryEnvironmentAndStatus() throws {
        let fixture = try RuntimeFixture("exec sleep 1000")
        #expect(try fixture.run("--detach").status == 0)
        let script = "id -u; id -g; pwd; echo $X; exit 3"
        let outcome = try fixture.call(
            "exec",
            "-u",
            "12:34",
            "--cwd",
            "/bin",
            "-e",
            "X=y",
            fixture.id,
            "sh",
            "-c",
            script
        )
        #expect(outcome.status == 3)
        #expect(outcome.lines == ["12", "34", "/bin", "y"])
        #expect(try fixture.call("exec", "-u", "4294967295", fixture.id, "true").status == 1)
        #expect(try fixture.call("exec", fixture.id, "no-such-program").status == 1)
    }

    @Test func detachedExecOutlivesItsCommandAndEndsWithTheContainer() throws {
        let fixture = try RuntimeFixture("exec sleep 1000")
        #expect(try fixture.run("--detach").status == 0)
        let file = fixture.scratch.appendingPathComponent("pid").path
        #expect(try fixture.call("exec", "-d", "--pid-file", file, fixture.id, "sleep", "1000").status == 0)
        let pid = try #require(Int32(String(contentsOfFile: file, encoding: .utf8)))
        let listed = try fixture.call("ps", "--format", "json", fixture.id)
        let pids = try #require(JSONSerialization.jsonObject(with: Data(listed.output.utf8)) as? [Int32])
        #expect(pids.contains(pid) && pids.count == 2)
        #expect(try fixture.call("ps", fixture.id).lines.count == 3)
        #expect(try fixture.call("delete", "--force", fixture.id).status == 0)
    }

    @Test func onlyTheDescriptorsThatWereAskedForPass() throws {
        let fixture = try RuntimeFixture("cat <&3; ls /proc/self/fd | wc -l")
        try fixture.configure { document in
            var process = document["process"] as? [String: Any]
            process?["args"] = ["sh", "-c", "cat <&3; (: <&4) 2>/dev/null && echo leaked; exit 0"]
            document["process"] = process
        }
        let call = "exec 3<<<kept 4<<<leaks; exec \(RuntimeFixture.program) --root \(fixture.containers) run"
        let kept = try fixture.isolated("\(call) --preserve-fds 1 --bundle \(fixture.bundle.path) \(fixture.id)")
        #expect(kept.output == "kept\n", "\(kept)")
        let none = try fixture.isolated("\(call) --bundle \(fixture.bundle.path) \(fixture.id)")
        #expect(none.output.isEmpty, "\(none)")
        let missing = try fixture.isolated("\(call) --preserve-fds 9 --bundle \(fixture.bundle.path) \(fixture.id)")
        #expect(missing.status == 1)
    }

    @Test func socketsOfActivationArePassedOn() throws {
        let fixture = try RuntimeFixture("echo $LISTEN_FDS $LISTEN_PID; cat <&3")
        let call = "exec 3<<<socket; LISTEN_FDS=1 LISTEN_PID=$$ exec \(RuntimeFixture.program)"
        let words = "--root \(fixture.containers) run --bundle \(fixture.bundle.path) \(fixture.id)"
        #expect(try fixture.isolated("\(call) \(words)").lines == ["1 1", "socket"])
    }

    @Test func consoleSocketGetsTheTerminal() throws {
        let fixture = try RuntimeFixture("stty size; exec sleep 1000", process: ["terminal": true])
        #expect(try fixture.create().status == 1)
        #expect(!fixture.isRecorded)
        try fixture.configure { document in
            var process = document["process"] as? [String: Any]
            process?["consoleSize"] = ["height": 33, "width": 77]
            document["process"] = process
        }
        let path = fixture.scratch.appendingPathComponent("console").path
        let listener = try UnixSocket.listen(path, nonBlocking: false)
        let words = ["create", "--bundle", fixture.bundle.path, "--console-socket", path, fixture.id]
        let created = try fixture.shell([RuntimeFixture.program, "--root", fixture.containers] + words)
        #expect(created.status == 0, "\(created)")
        // A blocking listener always has a connection to give.
        guard let accepted = try UnixSocket.accept(listener.raw, nonBlocking: false) else {
            Issue.record("the connection was withdrawn")
            return
        }
        let connection = SharedDescriptor(accepted)
        let message = try UnixSocket.receiveDescriptors(from: connection.raw, byteLimit: 64, descriptorLimit: 1)
        let first: SharedDescriptor? = message.descriptors.first
        let terminal = try #require(first)
        #expect(try fixture.call("start", fixture.id).status == 0)
        var line: [UInt8] = []
        // A terminal may give a line in pieces.
        while line.last != UInt8(ascii: "\n") { line += try terminal.read(upTo: 64) }
        #expect(String(decoding: line, as: UTF8.self) == "33 77\r\n")
    }

    @Test func limitsAreChangedAndNumbersRead() throws {
        let fixture = try RuntimeFixture("exec sleep 1000")
        #expect(try fixture.run("--detach").status == 0)
        #expect(try fixture.call("update", "--pids-limit", "17", "--memory", "64m", fixture.id).status == 0)
        let events = try fixture.call("events", "--stats", fixture.id)
        let line = try #require(JSONSerialization.jsonObject(with: Data(events.output.utf8)) as? [String: Any])
        let data = try #require(line["data"] as? [String: Any])
        #expect((data["pids"] as? [String: Int])?["limit"] == 17)
        let memory = try #require(data["memory"] as? [String: Any])
        #expect((memory["usage"] as? [String: Int])?["limit"] == 64 << 20)
        #expect(try fixture.call("update", fixture.id).status == 1)
        #expect(try fixture.call("update", "--memory", "x", fixture.id).status == 1)
    }
}
