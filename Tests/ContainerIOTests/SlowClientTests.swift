import ContainerIO
import Kernel
import Testing

/// Clients of a process with a log: they may be slow, and the process does not wait for them.
@Suite struct SlowClientTests {
    /// Lines of both streams, numbered, until so many bytes are written; the process never waits.
    private func write(_ byteCount: Int, _ process: FakeProcess, first: Int = 1) throws -> (out: String, err: String) {
        var (out, err) = ("", "")
        var number = first
        while out.utf8.count + err.utf8.count < byteCount {
            var lines = ""
            for _ in 0..<500 {
                lines += "\(number) \(String(repeating: "x", count: number % 70))\n"
                number += 1
            }
            // A line that goes on in the next write.
            lines += "part "
            try process.say(lines)
            out += lines
            if number % 3000 < 500 {
                try process.say("e\(number)\n", .stderr)
                err += "e\(number)\n"
            }
            try process.loop.settle()
        }
        return (out, err)
    }

    /// Takes what comes until the end.
    private func finish(_ client: TestClient, _ process: FakeProcess) throws {
        try process.loop.run {
            try client.receive()
            return client.hasEnded
        }
    }

    @Test(arguments: [(Int64(0), 1), (1 << 20, 100)])
    func clientThatComesBackGetsEveryByte(size: Int64, count: Int) throws {
        let process = try FakeProcess(limit: (size, count))
        let framed = try process.attach(AttachOptions(isMultiplexed: true, inputClosed: true))
        let errors = try process.attach(AttachOptions(streams: .stderr, isMultiplexed: true, inputClosed: true))
        var (out, err) = try write(8 << 20, process)
        // It comes back in the middle, and is behind once more.
        for _ in 0..<20 {
            try framed.receive()
            try process.loop.settle()
        }
        let more = try write(4 << 20, process, first: 1_000_000)
        (out, err) = (out + more.out, err + more.err)
        try process.exit()
        try finish(framed, process)
        try finish(errors, process)
        #expect(try framed.text(.stdout) == out)
        #expect(try framed.text(.stderr) == err)
        #expect(try errors.text(.stderr) == err && errors.text(.stdout).isEmpty)
        #expect(process.loop.watchedCount == 0)
    }

    @Test func clientThatHasCaughtUpIsServedAtOnceAgain() throws {
        let process = try FakeProcess()
        let client = try process.attach(AttachOptions(streams: .stdout, inputClosed: true))
        let before = try write(2 << 20, process).out
        try process.loop.run {
            try client.receive()
            return client.received.count >= before.utf8.count
        }
        try process.say("now")
        try process.loop.run {
            try client.receive()
            return client.text.hasSuffix("now")
        }
        try process.exit()
        try finish(client, process)
        #expect(client.text == before + "now")
    }

    @Test func clientThatDoesNotReadIsCutAndStopsNobody() throws {
        let process = try FakeProcess()
        let slow = try process.attach(AttachOptions(isMultiplexed: true))
        let quick = try process.attach(AttachOptions(streams: .stdout))
        let out = try write(8 << 20, process).out
        try process.loop.run {
            try quick.receive()
            return quick.received.count == out.utf8.count
        }
        #expect(quick.text == out)
        // On a machine that took longer than the deadline the client was cut on the way here.
        if let deadline = process.stdio.nextDeadline {
            #expect(deadline < Clock.monotonic.now + .seconds(11))
            process.loop.tick(now: deadline + .milliseconds(1))
        }
        try slow.receive()
        #expect(slow.hasEnded && slow.received.count < 2 << 20)
        try expectTold(slow, out)
        try process.exit()
    }

    /// A framed client that was cut has a beginning of the output, ends with a whole frame, and knows that there was more.
    private func expectTold(_ client: TestClient, _ out: String) throws {
        var decoder = StdCopyDecoder()
        try decoder.decode(client.received[...]) { _, _ in }
        #expect(decoder.isAtBoundary)
        let text = try client.text(.stdout)
        #expect(!text.isEmpty && text.utf8.count < out.utf8.count && out.hasPrefix(text))
        #expect(try !client.text(.systemError).isEmpty)
    }

    @Test func clientThatCannotGoOnInAnotherProgramIsTold() throws {
        let process = try FakeProcess(limit: (1 << 20, 100))
        let client = try process.attach(AttachOptions(isMultiplexed: true, inputClosed: true))
        let out = try write(5 << 20, process).out
        try process.hand(withLog: false)
        try finish(client, process)
        try expectTold(client, out)
    }

    @Test func clientThatIsBehindTheLastFileIsCut() throws {
        let process = try FakeProcess(limit: (1 << 20, 3))
        let slow = try process.attach(AttachOptions(streams: .stdout, inputClosed: true))
        let out = try write(16 << 20, process).out
        try process.exit()
        try finish(slow, process)
        // What it got is the beginning, nothing is left out before its end, and that end is told.
        let word = try #require(slow.received.split(separator: UInt8(ascii: "\r"), maxSplits: 1).last)
        #expect(word.starts(with: "\nberth: ".utf8) && word.suffix(2) == Array("\r\n".utf8))
        let text = slow.received.dropLast(word.count + 1)
        #expect(!text.isEmpty && text.count < out.utf8.count && out.utf8.starts(with: text))
    }

    @Test(arguments: [true, false])
    func anotherObjectGoesOnWithIt(endsBefore: Bool) throws {
        let process = try FakeProcess(limit: (1 << 20, 100))
        let client = try process.attach(AttachOptions(isMultiplexed: true, inputClosed: true))
        var (out, err) = try write(5 << 20, process)
        if endsBefore { try process.exit() }
        try process.hand()
        if !endsBefore {
            let more = try write(3 << 20, process, first: 1_000_000)
            (out, err) = (out + more.out, err + more.err)
            try process.exit()
        }
        try finish(client, process)
        #expect(try client.text(.stdout) == out)
        #expect(try client.text(.stderr) == err)
    }
}
