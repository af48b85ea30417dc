import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// The manager dies between any two steps, and the next one finds a container that is whole or none.
    @Suite struct FaultTests {
        /// The steps, as the executable itself lists them.
        static let steps: [String] = {
            let outcome = try? Command(
                Binaries.path("berthd-faults"),
                [],
                in: SuiteFolder.url,
                environment: ["BERTH_FAULT": "list"]
            ).finish()
            return outcome?.lines ?? []
        }()

        @Test func theStepsAreListed() {
            #expect(!Self.steps.isEmpty)
            #expect(Set(Self.steps).count == Self.steps.count)
            for verb in ["create", "start", "exec", "stop", "exit", "remove"] {
                #expect(Self.steps.contains { $0.hasPrefix("\(verb).") }, "no step of \(verb)")
            }
        }

        @Test(arguments: steps) func containerIsWholeOrGone(after step: String) throws {
            try Daemon.with(executable: "berthd-faults", environment: ["BERTH_FAULT": step]) { (daemon) throws in
                let drive = try Drive(daemon)
                let end = try daemon.ended()
                #expect(end?.status == 128 + SIGKILL, "the step was not reached: \(end?.description ?? "-")")
                // One that had not connected yet would ask the next life. A session's client may be with the shim and wait for it.
                if drive.begun.last != "exec" { try drive.open?.finish(within: 20) }
                try daemon.start()
                // The request that was cut off comes to an end, whatever that is.
                try drive.open?.finish(within: 20)
                try check(daemon, drive, step)
            }
        }

        @Test(arguments: ["exec.noted", "exec.added", "exec.attached"])
        func sessionThatWasCutOffBeforeItsStartIsOver(after step: String) throws {
            try Daemon.with(executable: "berthd-faults", environment: ["BERTH_FAULT": step]) { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let client = try daemon.client(["exec", "one", "sleep", "1000"], environment: ["BERTH_PATIENCE": "0"])
                #expect(try daemon.ended()?.status == 128 + SIGKILL, "the step was not reached")
                try daemon.start()
                try client.finish(within: 20)
                try eventually("the session is over") { try daemon.ok("exec", "ls", "one").contains("Exited (126)") }
                #expect(try daemon.told("one").contains("exec_die") == false)
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            }
        }

        @Test func shimThatDiesBeforeItsAnswerIsHeardHasStartedTheContainer() throws {
            let environment = ["BERTH_FAULT": "start.replied:shim"]
            try Daemon.with(executable: "berthd-faults", environment: environment) { (daemon) throws in
                // What is said before that may be in the hands of the shim that dies.
                let script = "until [ -e /go ]; do sleep 0.05; done; echo begun; exit 42"
                try daemon.ok("create", "--name", "one", "berth/default", "sh", "-c", script)
                try daemon.ok("start", "one")
                #expect(try daemon.ok("exec", "one", "touch", "/go") == "")
                #expect(try daemon.ok("wait", "one") == "42")
                #expect(try daemon.ok("logs", "one") == "begun")
                let told = try daemon.told("one").filter { !$0.hasPrefix("exec") }
                #expect(told == ["create", "start", "shim_die", "shim_adopt", "die"])
            }
        }

        /// The program has run to its end, and neither its shim nor the manager came to note that it began.
        @Test func aStartInWhoseMiddleManagerAndShimDiedHasAnUnknownEnd() throws {
            try Daemon.with { (daemon) throws in
                let backend = ["--backend", "plain=\(Binaries.path("berth-shim-plain"))"]
                try daemon.stop()
                try daemon.start(backend)
                let (ran, die) = (daemon.scratch.path + "/ran", daemon.scratch.path + "/die")
                try daemon.ok(
                    "create",
                    "--name",
                    "one",
                    "--runtime",
                    "plain",
                    "-e",
                    "DIE_AT_START=\(die)",
                    "berth/default",
                    "/bin/sh",
                    "-c",
                    "echo >\(ran)"
                )
                let start = try daemon.client(["start", "one"], environment: ["BERTH_PATIENCE": "0"])
                try eventually("its program runs") { FileManager.default.fileExists(atPath: ran) }
                let shim = try daemon.recordedShim(in: try daemon.bundle("one"))
                try daemon.crash()
                try Data().write(to: URL(fileURLWithPath: die))
                try eventually("its shim is dead") { !isAlive(shim) }
                #expect(try start.finish(within: 20).status != 0)
                try daemon.start(backend)
                #expect(try daemon.ok("wait", "one") == "255")
                #expect(try daemon.field(".State.Error", "one").contains("died while it was started"))
                #expect(try daemon.told("one") == ["create", "start", "die"])
                try daemon.ok("rm", "one")
            }
        }

        /// The database says that it was never started, and nobody can see that it was.
        @Test func whatCannotBeSeenIsNeitherStartedNorRemoved() throws {
            let environment = ["BERTH_FAULT": "start.replied"]
            try Daemon.with(executable: "berthd-faults", environment: environment) { (daemon) throws in
                let id = try daemon.ok("create", "--name", "one", "berth/default", "sleep", "1000")
                let start = try daemon.client(["start", "one"])
                #expect(try daemon.ended()?.status == 128 + SIGKILL)
                let bundle = daemon.state.appendingPathComponent("containers/\(id)")
                let shim = try daemon.recordedShim(in: bundle)
                #expect(kill(shim, SIGSTOP) == 0)
                defer { kill(shim, SIGCONT) }
                try daemon.start()
                try start.finish(within: 60)
                for words in [["rm", "one"], ["start", "one"]] {
                    let outcome = try daemon.client(words).finish(within: 60)
                    #expect(outcome.status == 1, "\(outcome)")
                }
                #expect(isAlive(shim))
                #expect(kill(shim, SIGCONT) == 0)
                try eventually(within: 60, "it is seen") { try daemon.field(".State.Running", "one") == "true" }
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                #expect(try daemon.shim("one") == shim)
                let told = try daemon.told("one").filter { !$0.hasPrefix("exec") && !$0.contains("reachable") }
                #expect(told == ["create", "start"])
            }
        }

        /// How often each thing has happened when the manager was killed behind a step and its successor has looked.
        private static func events(after step: String) -> [String: Int] {
            let order = steps
            guard let at = order.firstIndex(of: step) else { return [:] }
            func isBehind(_ other: String) -> Bool { order.firstIndex(of: other).map { at >= $0 } ?? false }
            // A session that was begun runs to its end; one that was not begun is undone.
            return [
                "create": isBehind("create.committed") ? 1 : 0,
                "start": isBehind("start.replied") ? 1 : 0,
                // The stop signal is ignored by a first process without a handler, so only the kill ends it.
                "die": isBehind("stop.killed") ? 1 : 0,
                "exec_die": isBehind("exec.started") ? 1 : 0,
                "destroy": isBehind("remove.marked") ? 1 : 0,
            ]
        }

        /// What was answered with success holds, and the rest is whole or gone.
        private func check(_ daemon: Daemon, _ drive: Drive, _ step: String) throws {
            if step.hasPrefix("remove.") {
                try eventually("the removal is finished") { try daemon.berth("inspect", "one").status == 1 }
            } else if drive.done.contains("create") {
                #expect(try daemon.berth("inspect", "one").status == 0, "the container is lost")
            }
            if let pid = drive.pid, !drive.begun.contains("stop") {
                #expect(try daemon.field(".State.Pid", "one") == pid, "the container does not run on")
            }
            // What happened is told once, whichever life of the manager has seen it; what did not is not told.
            let now = String(Int(Date().timeIntervalSince1970) + 1)
            for (action, expected) in Self.events(after: step) {
                let filter = ["-f", "event=\(action)", "--format", "{{.Action}}"]
                let told = try daemon.client(["events", "--since", "0", "--until", now] + filter).finish().lines
                #expect(told.count == expected, "\(action) is told \(told.count) times")
            }
            let names = try daemon.ok("ps", "-a", "--format", "{{.Names}}")
            #expect(names == "one" || names == "")
            if names.isEmpty { try daemon.ok("create", "--name", "one", "berth/default", "sleep", "1000") }
            if try daemon.field(".State.Running", "one") != "true" { try daemon.ok("start", "one") }
            #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
            try daemon.ok("rm", "-f", "one")
            #expect(try daemon.berth("inspect", "one").status == 1)
        }
    }

    /// A container's life, request after request, until the manager is gone.
    private struct Drive {
        /// The verbs that were asked for.
        var begun: [String] = []
        /// The verbs that were answered with success.
        var done: [String] = []
        /// The client that was not answered when the manager went.
        var open: Command?
        /// The first process, as soon as the start was answered.
        var pid: String?

        init(_ daemon: Daemon) throws {
            // The first process ignores SIGTERM, as any without a handler does, so that a stop has to kill it.
            let requests = [
                ["create", "--name", "one", "berth/default", "sleep", "1000"], ["start", "one"],
                ["exec", "one", "echo", "exec"], ["stop", "-t", "0", "one"], ["rm", "one"],
            ]
            for request in requests where daemon.isRunning {
                begun.append(request[0])
                // What the manager has not answered is not sent again: the next life is to find what this one left.
                let client = try daemon.client(request, environment: ["BERTH_PATIENCE": "0"])
                try eventually("\(request[0]) is answered, or the manager gone") {
                    !client.isRunning || !daemon.isRunning
                }
                guard !client.isRunning else {
                    open = client
                    return
                }
                guard try client.finish().status == 0 else { return }
                done.append(request[0])
                guard request[0] == "start" else { continue }
                // The manager may go between the two requests.
                let answer = try daemon.berth("inspect", "--format", "{{.State.Pid}}", "one")
                if answer.status == 0 { pid = answer.text }
            }
        }
    }
}
