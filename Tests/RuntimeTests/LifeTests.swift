import Foundation
import SystemFixture
import Testing

/// The operations of the specification and their errors.
@Suite struct LifeTests {
    @Test func createdContainerWaitsForItsStart() throws {
        let fixture = try RuntimeFixture("echo ran > /ran; exec sleep 1000")
        let file = fixture.scratch.appendingPathComponent("pid").path
        let created = try fixture.call("create", "--bundle", fixture.bundle.path, "--pid-file", file, fixture.id)
        #expect(created.status == 0, "\(created)")
        let state = try fixture.state()
        #expect(state["status"] as? String == "created")
        #expect(state["id"] as? String == fixture.id)
        #expect(state["bundle"] as? String == fixture.bundle.path)
        #expect(try String(contentsOfFile: file, encoding: .utf8) == "\(state["pid"] ?? "")")
        let mark = fixture.bundle.appendingPathComponent("rootfs/ran").path
        #expect(!FileManager.default.fileExists(atPath: mark))

        #expect(try fixture.call("start", fixture.id).status == 0)
        #expect(try fixture.status() == "running")
        try eventually("the program has run") { FileManager.default.fileExists(atPath: mark) }
        #expect(try fixture.call("kill", fixture.id, "KILL").status == 0)
        try eventually("it has stopped") { try fixture.status() == "stopped" }
        #expect(try fixture.call("delete", fixture.id).status == 0)
        #expect(!fixture.isRecorded && !fixture.hasGroup)
    }

    @Test(arguments: ["state", "start", "kill", "delete", "pause", "resume", "ps", "events", "exec"])
    func unknownContainerIsAnError(_ verb: String) throws {
        let fixture = try RuntimeFixture()
        let outcome = try fixture.call(verb, fixture.id)
        #expect(outcome.status == 1)
        // podman and containerd look for these words.
        #expect(outcome.errors.contains("does not exist"))
    }

    @Test(arguments: ["a/b", "..", ".", "a b", "ü", "@filters", String(repeating: "a", count: 256)])
    func idThatIsNoNameIsRefused(_ id: String) throws {
        let fixture = try RuntimeFixture()
        #expect(try fixture.call("create", "--bundle", fixture.bundle.path, id).status == 1)
        #expect(try fixture.call("delete", "--force", id).status == 1)
        #expect((try? FileManager.default.contentsOfDirectory(atPath: fixture.containers)) ?? [] == [])
    }

    @Test func operationsInTheWrongStateChangeNothing() throws {
        let fixture = try RuntimeFixture("exec sleep 1000")
        #expect(try fixture.create().status == 0)
        #expect(try fixture.create().status == 1)
        #expect(try fixture.call("delete", fixture.id).status == 1)
        #expect(try fixture.call("resume", fixture.id).status == 1)
        #expect(try fixture.status() == "created")
        #expect(try fixture.call("start", fixture.id).status == 0)
        #expect(try fixture.call("start", fixture.id).status == 1)
        #expect(try fixture.call("delete", fixture.id).status == 1)
        #expect(try fixture.call("pause", fixture.id).status == 0)
        #expect(try fixture.status() == "paused")
        #expect(try fixture.call("pause", fixture.id).status == 1)
        #expect(try fixture.call("exec", fixture.id, "true").status == 1)
        #expect(try fixture.call("resume", fixture.id).status == 0)
        #expect(try fixture.status() == "running")
        #expect(try fixture.call("kill", fixture.id, "NOPE").status == 1)
        #expect(try fixture.call("kill", fixture.id, "KILL").status == 0)
        try eventually("it has stopped") { try fixture.status() == "stopped" }
        for verb in ["start", "kill", "pause", "resume", "ps", "events"] {
            #expect(try fixture.call(verb, fixture.id).status == 1, "\(verb)")
        }
        #expect(try fixture.status() == "stopped")
    }

    @Test func laterEditsOfTheDocumentMeanNothing() throws {
        let fixture = try RuntimeFixture("echo old > /out")
        #expect(try fixture.create().status == 0)
        try fixture.configure { $0["process"] = ["args": ["sh", "-c", "echo new > /out"], "cwd": "/"] }
        #expect(try fixture.call("start", fixture.id).status == 0)
        try eventually("it has stopped") { try fixture.status() == "stopped" }
        let out = fixture.bundle.appendingPathComponent("rootfs/out")
        #expect(try String(contentsOf: out, encoding: .utf8) == "old\n")
    }

    @Test(arguments: [
        "{", "{}", #"{"ociVersion":"1.0.0","process":5}"#, #"{"ociVersion":"9.0.0","root":{"path":"/"}}"#,
    ])
    func documentThatCannotBeAppliedLeavesNothing(_ text: String) throws {
        let fixture = try RuntimeFixture()
        try Data(text.utf8).write(to: fixture.bundle.appendingPathComponent("config.json"))
        #expect(try fixture.create().status == 1)
        #expect(!fixture.isRecorded && !fixture.hasGroup)
    }

    @Test func programThatIsMissingIsToldAtTheCreation() throws {
        let fixture = try RuntimeFixture(process: ["args": ["no-such-program"]])
        let outcome = try fixture.create()
        #expect(outcome.status == 1)
        // podman makes 127 of these words.
        #expect(outcome.errors.contains("executable file not found in $PATH"))
        #expect(!fixture.isRecorded && !fixture.hasGroup)
    }

    @Test func killedCreationLeavesNoProcess() throws {
        let fixture = try RuntimeFixture()
        let pid = fixture.scratch.appendingPathComponent("hook").path
        try fixture.configure { document in
            // Replaced by what it waits for: a shell that is killed would leave that behind.
            let script = "echo $$ > \(pid); exec sleep 1000"
            document["hooks"] = ["createRuntime": [["path": "/bin/sh", "args": ["sh", "-c", script]]]]
        }
        let words = ["--root", fixture.containers, "create", "--bundle", fixture.bundle.path, fixture.id]
        let command = try Command(RuntimeFixture.program, words, in: fixture.scratch)
        try eventually("the hook runs") { FileManager.default.fileExists(atPath: pid) }
        #expect(try fixture.status() == "creating")
        command.send(SIGKILL)
        try command.finish()
        let hook = try #require(Int32(String(contentsOfFile: pid, encoding: .utf8).dropLast()))
        kill(hook, SIGKILL)
        #expect(try fixture.status() == "stopped")
        #expect(try fixture.call("delete", fixture.id).status == 0)
        #expect(!fixture.isRecorded && !fixture.hasGroup)
    }

    @Test func forcedDeleteTakesARunningContainerAndForgivesNone() throws {
        let fixture = try RuntimeFixture("exec sleep 1000")
        #expect(try fixture.call("delete", "--force", fixture.id).status == 0)
        #expect(try fixture.run("--detach").status == 0)
        #expect(try fixture.call("delete", "--force", fixture.id).status == 0)
        #expect(!fixture.isRecorded && !fixture.hasGroup)
    }

    @Test func errorsGoToTheLogAsItsReadersExpect() throws {
        let fixture = try RuntimeFixture()
        let log = fixture.scratch.appendingPathComponent("log").path
        #expect(try fixture.call("--log", log, "--log-format", "json", "start", fixture.id).status == 1)
        let line = try #require(String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").last)
        let entry = try #require(JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: String])
        #expect(entry["level"] == "error")
        #expect(entry["msg"]?.contains("does not exist") == true)
        #expect(entry["time"]?.hasSuffix("Z") == true)
    }

    @Test(arguments: [["checkpoint", "x"], ["restore", "x"], ["create", "--no-pivot", "x"], ["frob"], ["state"], []])
    func whatIsNotSupportedIsAnError(_ words: [String]) throws {
        let fixture = try RuntimeFixture()
        let outcome = try fixture.shell([RuntimeFixture.program, "--root", fixture.containers] + words)
        #expect(outcome.status == 1)
        #expect(!outcome.errors.isEmpty)
    }
}
