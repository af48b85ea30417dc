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

    /// A start that is killed at any moment has happened or has not, and the container can be told which.
    @Test(arguments: ["send", "remove"])
    func aStartThatIsKilledHasHappenedOrNot(_ moment: String) throws {
        let fixture = try RuntimeFixture("echo ran >> /ran; exec sleep 1000")
        #expect(try fixture.create().status == 0)
        let words = [RuntimeFixture.program, "--root", fixture.containers, "start", fixture.id]
        let killed = try fixture.shell([Binaries.path("kill-at"), moment] + words)
        #expect(killed.status != 0 && killed.status != 1, "\(killed)")
        if moment == "send" {
            #expect(try fixture.status() == "created")
            #expect(try fixture.call("start", fixture.id).status == 0)
        }
        try eventually("it runs") { try fixture.status() == "running" }
        #expect(try fixture.call("start", fixture.id).status == 1)
        let mark = fixture.bundle.appendingPathComponent("rootfs/ran")
        try eventually("the program has run") { FileManager.default.fileExists(atPath: mark.path) }
        #expect(try String(contentsOf: mark, encoding: .utf8) == "ran\n")
    }

    @Test func annotationsMayBeAsLongAsADocument() throws {
        let fixture = try RuntimeFixture("exec sleep 1000")
        // Line breaks are what grows most when it is written down.
        let long = String(repeating: "\n", count: 3 << 20)
        try fixture.configure { $0["annotations"] = ["long": long] }
        #expect(try fixture.create().status == 0)
        let state = try fixture.state()
        #expect((state["annotations"] as? [String: String])?["long"] == long)
        #expect(try fixture.call("start", fixture.id).status == 0)
        #expect(try fixture.call("delete", "--force", fixture.id).status == 0)
        #expect(!fixture.isRecorded && !fixture.hasGroup)
    }

    /// The document alone says what confines the container of somebody else's bundle.
    @Test func aFilterBesideTheDocumentMeansNothing() throws {
        let fixture = try RuntimeFixture("mkdir /made || echo refused")
        try fixture.configure { document in
            var linux = try #require(document["linux"] as? [String: Any])
            linux["seccomp"] = [
                "defaultAction": "SCMP_ACT_ALLOW",
                "syscalls": [["names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"]],
            ]
            document["linux"] = linux
        }
        // Any file there would be read, or refused for what it holds.
        let file = fixture.bundle.appendingPathComponent("seccomp.bpf")
        try Data("nothing".utf8).write(to: file)
        #expect(chmod(file.path, 0o600) == 0)
        let outcome = try fixture.run()
        #expect(outcome.lines == ["refused"], "\(outcome)")
    }

    @Test(arguments: ["SCHED_FIFO", "SCHED_RR"])
    func aRealTimePolicyWorksOrIsNamed(_ policy: String) throws {
        let fixture = try RuntimeFixture("exit 3", process: ["scheduler": ["policy": policy, "priority": 5]])
        let outcome = try fixture.run()
        // A group of version 1 has no time for it unless the document gives it some.
        #expect(outcome.status == 3 || outcome.errors.contains("'process.scheduler'"), "\(outcome)")
    }

    @Test(arguments: ["/a\nb", "/a\u{1}", "/" + String(repeating: "a", count: 256)])
    func aGroupWithABadNameIsRefused(_ path: String) throws {
        let fixture = try RuntimeFixture()
        try fixture.configure { document in
            var linux = try #require(document["linux"] as? [String: Any])
            linux["cgroupsPath"] = path
            document["linux"] = linux
        }
        let outcome = try fixture.create()
        #expect(outcome.status == 1)
        #expect(outcome.lines.isEmpty && outcome.errors.contains("cgroupsPath"), "\(outcome)")
        #expect(!fixture.isRecorded)
    }

    /// A hook that cannot be killed is left behind after its time and a while.
    @Test func aHookThatTheKernelHoldsKeepsNobodyWaiting() throws {
        let fixture = try RuntimeFixture()
        let disk = try PrivateDisk.freezable()
        defer { disk.remove() }
        try fixture.configure { document in
            let hook: [String: Any] = [
                "path": "/bin/sh", "args": ["sh", "-c", "echo x > \(disk.path)/x"], "timeout": 1,
            ]
            document["hooks"] = ["createRuntime": [hook]]
        }
        try disk.freeze()
        let words = [
            "--mount=/proc/\(disk.pid)/ns/mnt", "--", RuntimeFixture.program, "--root", fixture.containers, "create",
            "--bundle", fixture.bundle.path, fixture.id,
        ]
        let outcome = try Command("nsenter", words, in: fixture.scratch).finish(within: 40)
        #expect(outcome.status == 1 && outcome.errors.contains("hooks.createRuntime[0]"), "\(outcome)")
        #expect(!fixture.isRecorded)
    }

    /// As by mount(2): mounting would write to the device otherwise.
    @Test func aReadOnlyMountOfADeviceWritesNothing() throws {
        let fixture = try RuntimeFixture("grep ' /disk ' /proc/self/mountinfo")
        try fixture.configure { document in
            var mounts = try #require(document["mounts"] as? [Any])
            mounts.append(["destination": "/disk", "type": "ext4", "source": "LOOP", "options": ["ro"]])
            document["mounts"] = mounts
        }
        let outcome = try fixture.isolated(
            """
            cd \(fixture.scratch.path)
            truncate -s 16M disk && mkfs.ext4 -q -F disk && loop=$(losetup -f --show disk) || exit 40
            trap 'losetup -d $loop' EXIT
            sed -i "s|LOOP|$loop|" \(fixture.bundle.path)/config.json
            before=$(sha256sum < disk)
            \(RuntimeFixture.program) --root \(fixture.containers) run --bundle \(fixture.bundle.path) \(fixture.id) || exit 41
            [ "$before" = "$(sha256sum < disk)" ] && echo same
            """
        )
        #expect(outcome.lines.last == "same", "\(outcome)")
        #expect(outcome.lines.first?.split(separator: " ").last?.hasPrefix("ro") == true, "\(outcome)")
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
