import Foundation
import SystemFixture
import Testing

extension SystemTests {
    /// A session whose client takes some bytes a second, out of what it has at once: far from what keeps it.
    private struct Trickle: CustomStringConvertible {
        let command: String
        let isDocker: Bool
        let isTerminal: Bool

        var name: String { (isDocker ? "docker" : "berth") + (isTerminal ? "-terminal" : "") }
        var description: String { name }

        static func all(_ daemon: Daemon) throws -> [Trickle] {
            let berth = "'\(Binaries.path("berth"))' --host 'unix://\(daemon.socket)'"
            let docker = "docker -H 'unix://\(daemon.socket)'"
            return (hasDocker ? [false, true] : [false]).flatMap { isDocker in
                [false, true].map { Trickle(command: isDocker ? docker : berth, isDocker: isDocker, isTerminal: $0) }
            }
        }

        func start(_ daemon: Daemon, until enough: URL) throws -> Command {
            let exec = "exec \(isTerminal ? "-t" : "") one sh -c 'seq 1 400000; touch /\(name)'"
            let reader =
                "while [ ! -e '\(enough.path)' ] && dd bs=64 count=1 2>/dev/null | grep -q ''; do sleep 0.1; done; tail -c 200"
            return try Command(
                "sh",
                ["-c", "{ \(command) \(exec); echo $? >&2; } | { \(reader); }"],
                in: daemon.scratch,
                environment: ["DOCKER_CONFIG": daemon.scratch.appendingPathComponent("docker").path]
            )
        }

        // Docker's client fails for a word of the daemon's among frames. With a terminal it knows no other word than output.
        func check(_ outcome: Outcome) {
            let told = isDocker && isTerminal ? outcome.output : outcome.errors
            #expect(told.contains("the rest of the output is lost"), "\(name): \(outcome)")
            let code = isDocker ? isTerminal ? "0\n" : "1\n" : "125\n"
            #expect(outcome.errors.hasSuffix(code), "\(name): \(outcome)")
        }
    }

    /// Clients that do not keep up with a container.
    @Suite struct SlowClientTests {
        private func size(_ file: String) throws -> Int {
            try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int ?? 0
        }

        @Test func clientThatReadsNothingIsCutAndSlowsNobody() throws {
            try Daemon.with { (daemon) throws in
                let script = "i=0; while :; do i=$((i+1)); echo $i; echo e$i >&2; done"
                try daemon.ok(
                    "run",
                    "-d",
                    "--name",
                    "one",
                    "--log-opt",
                    "max-size=500m",
                    "berth/default",
                    "sh",
                    "-c",
                    script
                )
                let log = try daemon.field(".LogPath", "one")
                let deaf = Poller.send(
                    "POST /containers/one/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
                    to: daemon.socket
                )
                let enough = daemon.scratch.appendingPathComponent("enough")
                // Whatever happens, the client's loop ends.
                defer { try? Data().write(to: enough) }
                let trickles = try Trickle.all(daemon).map { ($0, try $0.start(daemon, until: enough)) }
                let began = Date()
                var before = try size(log)
                // Of one file: on a fast machine the log is rotated meanwhile.
                var written = before
                var (still, longest) = (0, 0)
                // Longer than it takes to be cut.
                while Date().timeIntervalSince(began) < 13 {
                    usleep(500_000)
                    let now = try size(log)
                    still = now == before ? still + 1 : 0
                    longest = max(longest, still)
                    before = now
                    written = max(written, now)
                }
                // Whoever waits for a client does so until it is cut, for 10 s; a busy machine keeps anybody waiting for a moment.
                #expect(longest < 10, "the container stood still for \(longest) half seconds")
                // What was on its way, and the end; short lines fill a socket with little.
                let answer = Poller.answer(deaf)
                let got = answer.utf8.count
                #expect(got > 4 << 10 && got < written / 2, "\(got) of \(written)")
                #expect(
                    answer.utf8.suffix(200).split(separator: 3).count > 1,
                    "a frame of the stream for errors ends it"
                )
                #expect(answer.contains("the rest of the output is lost"))
                for (trickle, client) in trickles {
                    try eventually(within: 30, "the command of \(trickle) has gone on") {
                        try daemon.berth("exec", "one", "test", "-e", "/\(trickle.name)").status == 0
                    }
                    #expect(client.isRunning, "\(trickle)")
                }
                try Data().write(to: enough)
                // Whoever comes back to it is told.
                for (trickle, client) in trickles { trickle.check(try client.finish()) }
                try daemon.ok("kill", "one")
                let lines = try daemon.berth("logs", "--tail", "50000", "one").output.split(separator: "\n").compactMap
                {
                    Int($0)
                }
                let first = try #require(lines.first)
                #expect(lines == Array(first..<(first + lines.count)))
            }
        }

        @Test func slowPipeGetsEverythingAlsoAfterTheEnd() throws {
            try Daemon.with { (daemon) throws in
                let run =
                    "'\(Binaries.path("berth"))' --host 'unix://\(daemon.socket)' run --rm --network none berth/default"
                // At 160 KiB a second, so for 14 seconds: the container has ended and is removed long before.
                let slow = "while dd bs=64k count=1 iflag=fullblock 2>/dev/null | grep '' ; do sleep 0.4; done"
                let pipe = try Command("sh", ["-c", "\(run) seq 1 400000 | { \(slow); }"], in: daemon.scratch)
                try eventually(within: 30, "the container has gone") {
                    try pipe.output != "" && daemon.ok("ps", "-aq") == ""
                }
                #expect(pipe.isRunning)
                let output = try pipe.finish(within: 60).output
                let numbers = output.split(separator: "\n").joined()
                #expect(numbers == (1...400_000).map(String.init).joined())
            }
        }
    }
}
