import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// The verbs that move a container through its life.
    @Suite struct LifecycleTests {
        @Test func createStartWaitRemove() throws {
            try Daemon.with { (daemon) throws in
                let id = try daemon.ok("create", "--name", "one", "berth/default", "sh", "-c", "echo hi; exit 3")
                #expect(id.count == 64)
                #expect(try daemon.field(".State.Status", "one") == "created")
                let outcome = try daemon.berth("start", "-a", "one")
                #expect(outcome.status == 3)
                #expect(outcome.output == "hi\n")
                #expect(try daemon.ok("wait", "one") == "3")
                #expect(try daemon.field(".State.Status", "one") == "exited")
                #expect(try daemon.ok("rm", "one") == "one")
                #expect(try daemon.berth("inspect", "one").status == 1)
            }
        }

        @Test func stopAsksAndThenKills() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("polite", trapping: "trap 'exit 4' TERM")
                try daemon.ok("stop", "polite")
                #expect(try daemon.field(".State.ExitCode", "polite") == "4")
                try daemon.waiter("deaf", trapping: "trap '' TERM")
                try daemon.ok("stop", "-t", "1", "deaf")
                #expect(try daemon.field(".State.ExitCode", "deaf") == "137")
                try daemon.waiter("other", trapping: "trap 'exit 5' USR1", "--stop-signal", "USR1")
                try daemon.ok("stop", "other")
                #expect(try daemon.field(".State.ExitCode", "other") == "5")
                #expect(try daemon.berth("stop", "other").status == 0)
            }
        }

        @Test func killSendsTheSignal() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                try daemon.ok("kill", "one")
                #expect(try daemon.ok("wait", "one") == "137")
                #expect(try daemon.berth("kill", "one").status == 1)
                try daemon.waiter("two", trapping: "trap 'exit 6' HUP")
                try daemon.ok("kill", "-s", "HUP", "two")
                #expect(try daemon.ok("wait", "two") == "6")
            }
        }

        @Test func restartGivesANewProcess() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sh", "-c", "echo up; exec sleep 100")
                let first = try daemon.field(".State.Pid", "one")
                try eventually("it is up") { try daemon.ok("logs", "one") == "up" }
                try daemon.ok("restart", "-t", "0", "one")
                #expect(try daemon.field(".State.Pid", "one") != first)
                #expect(try daemon.field(".State.Running", "one") == "true")
                try eventually("it is up again") { try daemon.ok("logs", "one") == "up\nup" }
            }
        }

        @Test func pauseFreezes() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "berth/default",
                    "sh",
                    "-c",
                    "while :; do echo x; sleep 0.02; done"
                )
                try daemon.ok("pause", "one")
                #expect(try daemon.field(".State.Status", "one") == "paused")
                #expect(try daemon.berth("exec", "one", "true").status == 1)
                let frozen = try daemon.ok("logs", "one")
                #expect(try daemon.ok("logs", "one") == frozen)
                try daemon.ok("unpause", "one")
                try eventually("it writes again") { try daemon.ok("logs", "one") != frozen }
            }
        }

        @Test func renameAndUpdate() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                try daemon.ok("rename", "one", "two")
                #expect(try daemon.field(".Name", "two") == "/two")
                #expect(try daemon.berth("inspect", "one").status == 1)
                try daemon.ok("update", "--memory", "64m", "--restart", "on-failure:3", "two")
                #expect(try daemon.field(".HostConfig.Memory", "two") == "67108864")
                #expect(try daemon.field(".HostConfig.RestartPolicy.Name", "two") == "on-failure")
            }
        }

        @Test func restartPolicies() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--restart",
                    "on-failure:2",
                    "berth/default",
                    "sh",
                    "-c",
                    "exit 3"
                )
                try eventually("it gave up") {
                    try daemon.field(".State.Status", "one") == "exited" && daemon.field(".RestartCount", "one") == "2"
                }
                #expect(try daemon.field(".State.ExitCode", "one") == "3")
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "two",
                    "--restart",
                    "always",
                    "berth/default",
                    "sh",
                    "-c",
                    "exit 0"
                )
                try eventually("it was started again") { try Int(daemon.field(".RestartCount", "two")) ?? 0 > 0 }
                try daemon.ok("stop", "two")
                #expect(try daemon.field(".State.Restarting", "two") == "false")
            }
        }

        @Test func listShowsAndFilters() throws {
            try Daemon.with { (daemon) throws in
                let id = try daemon.ok("run", "-d", "--name", "runs", "-l", "tier=web", "berth/default", "sleep", "100")
                try daemon.ok("run", "--name", "ended", "berth/default", "true")
                #expect(try daemon.ok("ps", "-q", "--no-trunc") == id)
                #expect(try daemon.ok("ps", "-q") == String(id.prefix(12)))
                #expect(try daemon.ok("ps", "-a", "--format", "{{.Names}}") == "ended\nruns")
                #expect(try daemon.ok("ps", "-a", "-f", "status=exited", "--format", "{{.Names}}") == "ended")
                #expect(try daemon.ok("ps", "-f", "label=tier=web", "--format", "{{.Names}}") == "runs")
                #expect(try daemon.ok("ps", "-a", "-f", "name=end", "--format", "{{.Names}}") == "ended")
                #expect(try daemon.ok("ps", "-l", "--format", "{{.Names}}") == "ended")
                #expect(try daemon.ok("ps", "-n", "2", "-q").split(separator: "\n").count == 2)
                let row = try JSONDecoder().decode(
                    [String: String].self,
                    from: Data(daemon.ok("ps", "--format", "json").utf8)
                )
                #expect(row["Names"] == "runs")
                #expect(row["State"] == "running")
                #expect(try daemon.ok("ps").hasPrefix("CONTAINER ID"))
                #expect(try daemon.berth("ps", "-f", "nonsense=1").status == 1)
                #expect(try daemon.berth("ps", "--format", "{{range .Names}}x{{end}}").status == 1)
            }
        }

        /// Asked again and again while the container is started again and again: the numbers of a run, or none.
        @Test func statsOfAContainerThatIsStartedAgain() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                let restarts = try daemon.client(["restart", "-t", "0"] + Array(repeating: "one", count: 1000))
                let path = "http://localhost/containers/one/stats?stream=false&one-shot=true"
                let options = ["-s", "-w", "%{http_code}", "--unix-socket", daemon.socket]
                var counts: Set<String> = []
                for _ in 0..<5 {
                    // A share of processor time is that between two samples of one run, a second apart.
                    let shown = try (0..<3).map { _ in
                        try daemon.client(["stats", "--no-stream", "--format", "{{.PIDs}}", "one"])
                    }
                    while shown.contains(where: \.isRunning) {
                        let answer = try Command("curl", options + [path], in: daemon.scratch).finish().output
                        #expect(answer.hasSuffix("200"), "\(answer)")
                        counts.insert(answer.contains("\"current\":1") ? "1" : "0")
                    }
                    for outcome in try shown.map({ try $0.finish() }) {
                        #expect(outcome.status == 0, "\(outcome)")
                        #expect(["0", "1"].contains(outcome.text), "\(outcome)")
                    }
                }
                #expect(restarts.isRunning)
                restarts.send(SIGKILL)
                try restarts.finish()
                // Both moments were met.
                #expect(counts == ["0", "1"])
            }
        }

        @Test func topStatsInspectEvents() throws {
            try Daemon.with { (daemon) throws in
                let began = String(Int(Date().timeIntervalSince1970))
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "100")
                #expect(try daemon.ok("top", "one").contains("sleep 100"))
                #expect(try daemon.ok("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", "one") == "one 1")
                let document = try JSONSerialization.jsonObject(with: Data(daemon.ok("inspect", "one").utf8))
                #expect((document as? [[String: Any]])?.first?["Name"] as? String == "/one")
                #expect(try daemon.ok("inspect", "--type", "image", "--format", "{{.Os}}", "berth/default") == "linux")
                try daemon.ok("rm", "-f", "one")
                let until = String(Int(Date().timeIntervalSince1970) + 1)
                let actions = try daemon.ok(
                    "events",
                    "--since",
                    began,
                    "--until",
                    until,
                    "-f",
                    "container=one",
                    "--format",
                    "{{.Action}}"
                )
                let list = actions.split(separator: "\n").map(String.init)
                for action in ["create", "start", "die", "destroy"] { #expect(list.contains(action)) }
            }
        }

        @Test func versionInfoAndDiskSpace() throws {
            try Daemon.with { (daemon) throws in
                #expect(try daemon.ok("version", "--format", "{{.Server.ApiVersion}}") == "1.51")
                #expect(try daemon.ok("info", "--format", "{{.LiveRestoreEnabled}}") == "true")
                #expect(try daemon.ok("system", "df").contains("Images"))
                #expect(try daemon.ok("completion", "bash").contains("berth"))
            }
        }

        @Test func withoutAManagerTheMessageSaysWhere() throws {
            try Daemon.with(image: false) { (daemon) throws in
                try daemon.stop()
                let outcome = try daemon.berth("ps")
                #expect(outcome.status == 125)
                #expect(outcome.errors.contains("unix://\(daemon.socket)"))
            }
        }
    }
}
