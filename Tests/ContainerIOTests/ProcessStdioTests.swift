import ContainerIO
import Kernel
import Testing

@Suite struct ProcessStdioTests {
    @Test func outputGoesToTheLogAndToEveryClient() throws {
        let process = try FakeProcess()
        let framed = try process.attach(AttachOptions(isMultiplexed: true))
        let bare = try process.attach(AttachOptions())
        let onlyErrors = try process.attach(AttachOptions(streams: .stderr))
        try process.say("out\n")
        try process.say("err\n", .stderr)
        try process.exit()
        for client in [framed, bare, onlyErrors] { try client.receive() }
        #expect(try framed.text(.stdout) == "out\n" && framed.text(.stderr) == "err\n")
        #expect(bare.received.count == 8)
        #expect(onlyErrors.text == "err\n")
        #expect(Set(try process.records().texts) == ["out\n", "err\n"])
    }

    /// Output that is whole says so at its end, also when another program has taken over in its middle.
    @Test func outputThatIsWholeIsMarked() throws {
        let process = try FakeProcess()
        let client = try process.attach(AttachOptions(isMultiplexed: true, inputClosed: true, marksEnd: true))
        let other = try process.attach(AttachOptions(isMultiplexed: true, inputClosed: true))
        try process.say("one\n")
        try process.loop.settle()
        try client.receive()
        #expect(try client.text(.mark) == "begin" && client.text(.stdout) == "one\n")
        try process.hand()
        try process.say("two\n")
        try process.exit()
        for client in [client, other] {
            try process.loop.run {
                try client.receive()
                return client.hasEnded
            }
        }
        #expect(try client.text(.mark) == "beginend" && client.text(.stdout) == "one\ntwo\n")
        #expect(try other.text(.mark).isEmpty && other.text(.stdout) == "one\ntwo\n")
    }

    /// A process may close one of its outputs long before it ends.
    @Test func clientThatComesBetweenTheEndsOfTwoOutputsSeesTheEnd() throws {
        let process = try FakeProcess()
        process.stdout = nil
        try process.loop.settle()
        let client = try process.attach(AttachOptions(isMultiplexed: true, inputClosed: true, marksEnd: true))
        try process.say("err\n", .stderr)
        try process.exit()
        try process.loop.run {
            try client.receive()
            return client.hasEnded
        }
        #expect(try client.text(.mark) == "beginend" && client.text(.stderr) == "err\n")
    }

    @Test func connectionEndsAfterTheLastOutput() throws {
        let process = try FakeProcess()
        let client = try process.attach(AttachOptions(stdin: true))
        try process.say("bye")
        try process.exit()
        try process.loop.run {
            try client.receive()
            return client.hasEnded
        }
        #expect(client.text == "bye")
        // Input that nobody reads any more makes no error out of the end.
        try client.socket.writeAll("late")
        try UnixSocket.shutdownWriting(client.socket.raw)
        try process.loop.run { !process.stdio.hasClients }
        #expect(process.loop.watchedCount == 0)
    }

    @Test func clientThatStaysIsClosedAfterTheLinger() throws {
        let process = try FakeProcess()
        let client = try process.attach(AttachOptions())
        try process.exit()
        #expect(process.stdio.hasClients)
        process.loop.tick(now: Clock.monotonic.now + .seconds(2))
        #expect(!process.stdio.hasClients)
        try client.receive()
        #expect(client.hasEnded)
    }

    @Test func lateClientOfAnEndedProcessIsClosed() throws {
        let process = try FakeProcess()
        try process.exit()
        let client = try process.attach(AttachOptions(inputClosed: true))
        try client.receive()
        #expect(client.hasEnded && !process.stdio.hasClients)
    }

    // MARK: - Input

    func input(of process: FakeProcess) throws -> String? {
        do {
            return String(decoding: try process.stdin?.read(upTo: 1 << 20) ?? [], as: UTF8.self)
        } catch {
            guard error.errno == .wouldBlock else { throw error }
            return nil
        }
    }

    @Test func leftoverComesBeforeTheRest() throws {
        let process = try FakeProcess(start: false)
        let client = try process.attach(AttachOptions(stdin: true, leftover: Array("one ".utf8)))
        try client.socket.writeAll("two ")
        try process.start()
        try process.loop.settle()
        #expect(try input(of: process) == "one two ")
    }

    @Test func moreInputThanIsKeptBeforeTheStartComesThrough() throws {
        let process = try FakeProcess(start: false)
        let sent = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        let client = try process.attach(AttachOptions(stdin: true))
        try client.socket.writeAll(sent)
        try process.loop.settle()
        // The pipe takes all that was kept, at once.
        try process.start()
        var received: [UInt8] = []
        try process.loop.run {
            // Nothing may be there yet.
            guard let piece = try? process.stdin?.read(upTo: 1 << 20) else { return false }
            received += piece
            return received.count >= sent.count
        }
        #expect(received == sent)
    }

    @Test func halfCloseEndsTheInputWhenItBelongsToTheClient() throws {
        for closes in [true, false] {
            let process = try FakeProcess(ProcessStdioOptions(closesStdinWithClient: closes))
            let client = try process.attach(AttachOptions(stdin: true))
            try client.socket.writeAll("all")
            try UnixSocket.shutdownWriting(client.socket.raw)
            try process.loop.settle()
            #expect(try input(of: process) == "all")
            #expect(try input(of: process) == (closes ? "" : nil))
            // The output still flows.
            try process.say("answer")
            try process.loop.settle()
            try client.receive()
            #expect(client.text == "answer")
        }
    }

    @Test func inputClosedBeforeTheHandOverCounts() throws {
        let process = try FakeProcess()
        _ = try process.attach(
            AttachOptions(stdin: true, leftover: Array("x".utf8), inputClosed: true, closesStdin: true)
        )
        #expect(try input(of: process) == "x")
        #expect(try input(of: process) == "")
    }

    @Test func clientWithoutInputClosesNothing() throws {
        let process = try FakeProcess(ProcessStdioOptions(closesStdinWithClient: true))
        let client = try process.attach(AttachOptions())
        try client.socket.writeAll("ignored")
        try UnixSocket.shutdownWriting(client.socket.raw)
        try process.loop.settle()
        #expect(try input(of: process) == nil)
        #expect(process.stdio.hasClients)
    }

    @Test func moreInputThanThePipeHoldsKeepsItsOrder() throws {
        let process = try FakeProcess(ProcessStdioOptions(closesStdinWithClient: true))
        let client = try process.attach(AttachOptions(stdin: true))
        let sent = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        var rest = sent[...]
        var received: [UInt8] = []
        var hasShut = false
        try process.loop.run {
            while !rest.isEmpty {
                let piece = Array(rest.prefix(50_000))
                guard case .moved(let count) = try piece.withUnsafeBytes({ try client.socket.tryWrite($0) }) else {
                    break
                }
                rest = rest.dropFirst(count)
            }
            if rest.isEmpty, !hasShut {
                try UnixSocket.shutdownWriting(client.socket.raw)
                hasShut = true
            }
            guard let piece = try? process.stdin?.read(upTo: 30_000) else { return false }
            received += piece
            return piece.isEmpty
        }
        #expect(received == sent)
    }

    @Test func closedInputOfTheProcessHarmsNobody() throws {
        let process = try FakeProcess()
        let client = try process.attach(AttachOptions(stdin: true))
        process.stdin = nil
        try client.socket.writeAll("into the void")
        try process.loop.settle()
        try client.socket.writeAll("again")
        try process.loop.settle()
        try process.say("still here")
        try process.loop.settle()
        try client.receive()
        #expect(client.text == "still here")
    }

    @Test func closeIOEndsTheInputAfterWhatCameBefore() throws {
        let process = try FakeProcess(start: false)
        let client = try process.attach(AttachOptions(stdin: true))
        try client.socket.writeAll("before")
        try process.loop.settle()
        process.stdio.closeStdin()
        try process.start()
        #expect(try input(of: process) == "before")
        #expect(try input(of: process) == "")
    }

    // MARK: - Slow clients

    @Test func withoutALogAClientThatDoesNotReadStopsTheProcessAndThenIsCut() throws {
        let process = try FakeProcess(log: false)
        let slow = try process.attach(AttachOptions(isMultiplexed: true))
        let quick = try process.attach(AttachOptions())
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 16)
        try process.stdout?.setNonBlocking()
        var written = 0
        // Until socket buffer, queue and pipe are full.
        while true {
            try process.loop.settle()
            try quick.receive()
            guard case .moved(let count)? = try chunk.withUnsafeBytes({ try process.stdout?.tryWrite($0) }) else {
                break
            }
            written += count
        }
        #expect(written < 2 << 20)
        let deadline = try #require(process.stdio.nextDeadline)
        #expect(deadline > Clock.monotonic.now + .seconds(8) && deadline < Clock.monotonic.now + .seconds(11))
        process.loop.tick(now: deadline)
        try process.loop.run {
            try quick.receive()
            return quick.received.count == written
        }
        try process.exit()
        try slow.receive()
        #expect(slow.hasEnded && slow.received.count < written)
        #expect(try !slow.text(.systemError).isEmpty)
    }

    @Test func slowClientGetsEverythingAtTheEndAndTheExitDoesNotWait() throws {
        let process = try FakeProcess(log: false)
        let slow = try process.attach(AttachOptions(inputClosed: true))
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 16)
        try process.stdout?.setNonBlocking()
        var written = 0
        while true {
            try process.loop.settle()
            guard case .moved(let count)? = try chunk.withUnsafeBytes({ try process.stdout?.tryWrite($0) }) else {
                break
            }
            written += count
        }
        try process.exit()
        try process.loop.run {
            try slow.receive()
            return slow.hasEnded
        }
        #expect(slow.received.count == written)
    }

    @Test func clientThatGoesAwayIsForgotten() throws {
        let process = try FakeProcess()
        var client: TestClient? = try process.attach(AttachOptions())
        try client?.receive()
        client = nil
        try process.loop.run { !process.stdio.hasClients }
        try process.say("alone\n")
        try process.exit()
        #expect(try process.records().texts == ["alone\n"])
    }

    // MARK: - Terminals

    @Test func detachKeysEndTheAttachmentAndNothingElse() throws {
        let process = try FakeProcess(ProcessStdioOptions(isTerminal: true))
        let client = try process.attach(AttachOptions(stdin: true, detachKeys: .standard))
        try client.socket.writeAll("ab\n\u{10}")
        try process.loop.settle()
        try client.socket.writeAll("\u{11}never\n")
        try process.loop.run {
            try client.receive()
            return client.hasEnded
        }
        #expect(try String(decoding: process.stdin?.read(upTo: 100) ?? [], as: UTF8.self) == "ab\n")
        // Another one takes over.
        let second = try process.attach(AttachOptions(stdin: true, detachKeys: .standard))
        try second.socket.writeAll("cd\n")
        try process.loop.settle()
        #expect(try String(decoding: process.stdin?.read(upTo: 100) ?? [], as: UTF8.self) == "cd\n")
        try process.say("prompt")
        // The kernel carries output from a terminal's end to its master in its own time.
        try process.loop.run {
            try second.receive()
            return second.text.hasSuffix("prompt")
        }
    }

    @Test func terminalEndsWithItsLastUser() throws {
        let process = try FakeProcess(ProcessStdioOptions(isTerminal: true))
        try process.say("last\n")
        try process.exit()
        #expect(try process.records().texts == ["last\r\n"])
    }

    // MARK: - The end

    @Test func grandchildThatHoldsThePipeDelaysTheExitForTwoSeconds() throws {
        let process = try FakeProcess()
        let grandchild = process.stdout
        try process.say("from the process\n")
        process.reaped()
        try process.loop.settle()
        #expect(!process.hasDrained)
        let deadline = try #require(process.stdio.nextDeadline)
        #expect(deadline < Clock.monotonic.now + .seconds(2.1))
        process.loop.tick(now: deadline)
        #expect(process.hasDrained)
        #expect(try process.records().texts == ["from the process\n"])
        _ = grandchild
    }

    @Test func recentOutputIsReplayedToTheClientThatAsks() throws {
        let process = try FakeProcess(ProcessStdioOptions(ringByteCount: 8))
        try process.say("0123456789ab")
        try process.loop.settle()
        let client = try process.attach(AttachOptions(replaysRecentOutput: true))
        try client.receive()
        #expect(client.text == "456789ab")
    }

    @Test func hugeOutputReachesTheLogExactly() throws {
        let process = try FakeProcess()
        try process.stdout?.setNonBlocking()
        var random = SeededGenerator(state: 7)
        var expected: [UInt8] = []
        for _ in 0..<40 {
            let piece = random.bytes(upTo: 60_000)
            expected += piece
            var rest = piece[...]
            while !rest.isEmpty {
                if case .moved(let count)? = try rest.withUnsafeBytes({ try process.stdout?.tryWrite($0) }) {
                    rest = rest.dropFirst(count)
                } else {
                    try process.loop.settle()
                }
            }
        }
        try process.exit()
        #expect(try process.records().bytes(.stdout) == expected)
    }

    @Test func slowClientOutlivesTheProcessObject() throws {
        var process: FakeProcess? = try FakeProcess(log: false)
        let loop = try #require(process?.loop)
        let buffers = try #require(process?.buffers)
        let slow = try #require(try process?.attach(AttachOptions(inputClosed: true)))
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 16)
        try process?.stdout?.setNonBlocking()
        var written = 0
        while true {
            try loop.settle()
            guard case .moved(let count)? = try chunk.withUnsafeBytes({ try process?.stdout?.tryWrite($0) }) else {
                break
            }
            written += count
        }
        try process?.exit()
        process?.stdio.close()
        process = nil
        #expect(buffers.isFlushing)
        try loop.run {
            try slow.receive()
            return slow.hasEnded
        }
        #expect(slow.received.count == written)
        #expect(!buffers.isFlushing && loop.watchedCount == 0)
    }

    @Test func clientOfAProcessThatNeverStartedIsClosed() throws {
        let process = try FakeProcess(start: false)
        let client = try process.attach(AttachOptions(stdin: true, inputClosed: true))
        process.stdio.close()
        try client.receive()
        #expect(client.hasEnded && !process.stdio.hasClients)
    }

    // MARK: - containerd's pipes and files

    @Test func pipesOfContainerdCarryAllThreeStreams() throws {
        let process = try FakeProcess(log: false, start: false)
        let directory = process.scratch.path
        for name in ["in", "out", "err"] { try RootedDir(directory).mknod(name, .fifo, permissions: 0o600) }
        let stdin = try File.open("\(directory)/in", [.readWrite, .nonBlocking])
        try process.stdio.attach(
            ContainerdStdio(stdin: "\(directory)/in", stdout: "fifo://\(directory)/out", stderr: "\(directory)/err")
        )
        try process.start()
        let stdout = try File.open("\(directory)/out", [.read, .nonBlocking])
        let stderr = try File.open("\(directory)/err", [.read, .nonBlocking])
        try stdin.writeAll("typed")
        try process.say("out")
        try process.say("err", .stderr)
        try process.loop.settle()
        #expect(try input(of: process) == "typed")
        #expect(try stdout.read(upTo: 10) == Array("out".utf8))
        #expect(try stderr.read(upTo: 10) == Array("err".utf8))
        // The client lets go of its end: no end of input until CloseIO.
        _ = consume stdin
        try process.loop.settle()
        #expect(try input(of: process) == nil)
        process.stdio.closeStdin()
        try process.loop.settle()
        #expect(try input(of: process) == "")
        try process.exit()
        #expect(try stdout.read(upTo: 10) == [])
        #expect(!process.stdio.hasClients)
    }

    @Test func onePathForBothOutputsAndFiles() throws {
        let process = try FakeProcess(log: false)
        let path = process.scratch.path + "/deep/er/log"
        try process.stdio.attach(ContainerdStdio(stdout: "file://\(path)", stderr: "file://\(path)"))
        try process.say("out ")
        try process.loop.settle()
        try process.say("err", .stderr)
        try process.exit()
        #expect(try process.scratch.text("deep/er/log") == "out err")
    }

    @Test(arguments: ["relative", "file://relative", "binary:///bin/true", "npipe://x"])
    func addressesThatCannotBeUsedAreRefused(_ address: String) throws {
        let process = try FakeProcess(log: false)
        #expect(throws: ContainerIOError.self) { try process.stdio.attach(ContainerdStdio(stdout: address)) }
    }
}
