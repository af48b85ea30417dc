import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// A container ends under a shim that stands still: nobody waits for the shim, and nothing is lost.
    @Suite struct SilentEndTests {
        /// Freezes the shims of these containers, lets a later manager find them so if that is wanted, and waits until it is shown.
        private func freeze(_ daemon: Daemon, _ names: String..., inTheNextLife isLater: Bool) throws -> [Int32] {
            let shims = try names.map { try daemon.signal(SIGSTOP, shimOf: $0) }
            if isLater {
                try daemon.crash()
                try daemon.start()
            }
            for name in names {
                try eventually("the silence is shown") {
                    try daemon.field("json .State.Berth", name).contains(#""Shim""#)
                }
            }
            return shims
        }

        private func first(_ daemon: Daemon, _ name: String) throws -> Int32 {
            try #require(Int32(try daemon.field(".State.Pid", name)))
        }

        /// Nobody asks for its end, and nobody wakes the shim.
        @Test(arguments: [true, false]) func aContainerThatEndsIsShownAsEnded(inTheNextLife isLater: Bool) throws {
            try Daemon.with { (daemon) throws in
                let traps = "trap 'echo bye; exit 6' TERM"
                try daemon.waiter("one", trapping: traps, "--restart", "on-failure:1")
                try daemon.waiter("gone", trapping: traps, "--rm")
                let (first, second) = (try first(daemon, "one"), try first(daemon, "gone"))
                let shims = try freeze(daemon, "one", "gone", inTheNextLife: isLater)
                let wait = try daemon.client(["wait", "one"])
                let removal = try daemon.client(["wait", "gone"])
                let killed = Date()
                #expect(kill(first, SIGTERM) == 0 && kill(second, SIGTERM) == 0)
                #expect(try wait.finish(within: 20).text == "6")
                #expect(Date().timeIntervalSince(killed) < 15)
                #expect(try removal.finish(within: 20).text == "6")
                // Its policy holds, once, and what the shim had not read is not lost.
                try eventually("it runs again") {
                    try daemon.ok("logs", "one").split(separator: "\n") == ["ready", "bye", "ready"]
                }
                #expect(try daemon.field(".RestartCount", "one") == "1")
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                #expect(try daemon.shim("one") != shims[0] && !isAlive(shims[0]) && !isAlive(shims[1]))
                #expect(try daemon.told("one").filter { ["die", "start"].contains($0) } == ["start", "die", "start"])
                try eventually("it has gone") { try daemon.ok("ps", "-aq", "-f", "name=gone").isEmpty }
            }
        }

        /// A policy that the shim has and that it could not be told of is not carried out by its successor.
        @Test(arguments: [true, false]) func whatTheUserHasEndedIsNotStartedAgain(inTheNextLife isLater: Bool) throws {
            try Daemon.with { (daemon) throws in
                for name in ["one", "woken"] {
                    try daemon.ok("run", "-d", "--name", name, "--restart", "always", "berth/default", "sleep", "1000")
                }
                let shims = try freeze(daemon, "one", "woken", inTheNextLife: isLater)
                let waits = try ["one", "woken"].map { try daemon.client(["wait", $0]) }
                try daemon.ok("kill", "one")
                try daemon.ok("kill", "woken")
                // One that goes on hears of it first, where somebody could tell it.
                if !isLater { #expect(kill(shims[1], SIGCONT) == 0) }
                for wait in waits { #expect(try wait.finish(within: 20).text == "137") }
                for name in ["one", "woken"] {
                    #expect(try daemon.field(".State.Status", name) == "exited")
                    #expect(try daemon.field(".RestartCount", name) == "0")
                    try daemon.ok("start", name)
                    #expect(try daemon.ok("exec", name, "echo", "alive") == "alive")
                    let told = try daemon.told(name).filter { ["die", "start"].contains($0) }
                    #expect(told == ["start", "die", "start"], "\(name)")
                }
            }
        }

        /// One that is only slow loses nothing, and its container has one shim.
        @Test func aShimThatGoesOnInTimeIsNotEnded() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 6' TERM", "--restart", "on-failure:1")
                let first = try first(daemon, "one")
                let shim = try freeze(daemon, "one", inTheNextLife: false)[0]
                let wait = try daemon.client(["wait", "one"])
                #expect(kill(first, SIGTERM) == 0)
                try eventually("it has ended") { !isAlive(first) }
                #expect(kill(shim, SIGCONT) == 0)
                #expect(try wait.finish(within: 20).text == "6")
                try eventually("it runs again") { try daemon.field(".State.Status", "one") == "running" }
                #expect(try daemon.shim("one") == shim && isAlive(shim))
                let told = try daemon.told("one")
                #expect(told.filter { ["die", "start"].contains($0) } == ["start", "die", "start"])
                #expect(told.filter { $0.hasPrefix("shim_") }.isEmpty, "\(told)")
            }
        }

        /// The user does not wait for the shim, either; the kernel keeps the end of init until its session is reaped.
        @Test func aStopLosesNeitherOutputNorSessions() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'echo no' TERM")
                try daemon.ok("exec", "-d", "one", "sleep", "1000")
                _ = try freeze(daemon, "one", inTheNextLife: false)
                try daemon.ok("stop", "-t", "1", "one")
                #expect(try daemon.field(".State.ExitCode", "one") == "137")
                #expect(try daemon.ok("logs", "one").split(separator: "\n") == ["ready", "no"])
                #expect(try daemon.ok("exec", "ls", "one").contains("Exited (137)"))
                let told = try daemon.told("one")
                #expect(
                    told.filter { $0 == "die" }.count == 1 && told.filter { $0 == "exec_die" }.count == 1,
                    "\(told)"
                )
            }
        }

        /// As it is seen, and not as a later shim says.
        @Test func theTimeOfAnEndUnderASilentShimIsTrue() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 6' TERM")
                let first = try first(daemon, "one")
                _ = try freeze(daemon, "one", inTheNextLife: false)
                let killed = Date().timeIntervalSince1970
                #expect(kill(first, SIGTERM) == 0)
                #expect(try daemon.client(["wait", "one"]).finish(within: 20).text == "6")
                let end = try daemon.field(".State.FinishedAt", "one")
                let text = try Command("date", ["-d", end, "+%s.%N"], in: daemon.scratch).finish().text
                let ended = try #require(Double(text), "\(end)")
                #expect(ended - killed < 2.5, "\(ended - killed) s")
                #expect(try daemon.field(".State.Error", "one").isEmpty)
            }
        }

        /// The shim dies before it could tell, and with it the process that kept the code.
        @Test func theEndUnderAShimThatDiesUnmetIsTrue() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 6' TERM")
                let first = try first(daemon, "one")
                let shim = try freeze(daemon, "one", inTheNextLife: true)[0]
                #expect(kill(first, SIGTERM) == 0)
                try eventually("it has ended") { !isAlive(first) }
                try daemon.ok("ps")
                #expect(kill(shim, SIGKILL) == 0)
                #expect(try daemon.client(["wait", "one"]).finish(within: 20).text == "6")
                #expect(try daemon.field(".State.ExitCode", "one") == "6")
                #expect(try daemon.told("one").filter { $0 == "die" }.count == 1)
            }
        }
    }
}
