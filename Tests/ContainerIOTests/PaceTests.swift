import ContainerIO
import Foundation
import Kernel
import Testing

/// Clients for whom a process without a log, or of an exec session, waits: what keeps them, and what does not.
@Suite struct PaceTests {
    /// Writes until everything between the process and its client is full, or so much is written.
    private func fill(_ process: FakeProcess, atMost limit: Int = .max) throws -> Int {
        let chunk = [UInt8](repeating: UInt8(ascii: "x"), count: 1 << 16)
        try process.stdout?.setNonBlocking()
        var written = 0
        while written < limit {
            try process.loop.settle()
            guard case .moved(let count)? = try chunk.withUnsafeBytes({ try process.stdout?.tryWrite($0) }) else {
                break
            }
            written += count
        }
        return written
    }

    /// A client whose connection holds little, so that all of what it takes is seen at once.
    private func attach(_ process: FakeProcess, holding count: Int32) throws -> TestClient {
        let (ours, theirs) = try UnixSocket.pair()
        var count = count
        try #require(setsockopt(theirs.raw, SOL_SOCKET, SO_SNDBUF, &count, socklen_t(MemoryLayout<Int32>.size)) == 0)
        try process.stdio.attach(theirs, AttachOptions(inputClosed: true))
        return try TestClient(ours)
    }

    @Test func clientThatTakesABitNowAndThenIsCutAndItsProcessGoesOn() throws {
        let process = try FakeProcess(log: false)
        let slow = try attach(process, holding: 4096)
        let written = try fill(process)
        let deadline = try #require(process.stdio.nextDeadline)
        var taken = 0
        while taken < ClientLimit.pace * 3 / 4 {
            taken += try slow.socket.read(upTo: 1024).count
            try process.loop.settle()
        }
        // It was seen to take something, and has no more time for that.
        #expect(process.stdio.nextDeadline == deadline)
        process.loop.tick(now: deadline)
        #expect(!process.stdio.hasClients)
        #expect(try fill(process, atMost: 1 << 20) >= 1 << 20)
        try slow.receive()
        #expect(slow.hasEnded && taken + slow.received.count < written)
        // Nobody took its last word from the connection before.
        #expect(slow.text.contains("berth: ") && slow.received.suffix(2) == Array("\r\n".utf8))
        try process.exit()
    }

    @Test func clientThatReadsNothingHasEverythingOfAProcessThatHasEnded() throws {
        let process = try FakeProcess(log: false)
        let slow = try attach(process, holding: 4096)
        let written = try fill(process)
        try process.exit()
        let deadline = try #require(process.stdio.nextDeadline)
        process.loop.tick(now: deadline)
        #expect(!process.stdio.hasClients)
        try slow.receive()
        #expect(slow.hasEnded && slow.received == [UInt8](repeating: UInt8(ascii: "x"), count: written))
    }

    @Test func clientThatWasBusyForAWhileIsNotCut() throws {
        let process = try FakeProcess(log: false)
        let client = try attach(process, holding: 1 << 16)
        var written = try fill(process)
        for _ in 0..<3 {
            let deadline = try #require(process.stdio.nextDeadline)
            process.loop.tick(now: deadline + .milliseconds(-1))
            while try client.socket.poll(for: .readable, timeout: .zero).contains(.readable) {
                try client.receive()
                try process.loop.settle()
            }
            #expect(process.stdio.hasClients && process.stdio.nextDeadline == nil)
            written += try fill(process)
        }
        try process.exit()
        try process.loop.run {
            try client.receive()
            return client.hasEnded
        }
        #expect(client.received.count == written)
    }

    /// The kernel calls a connection writable only once most of it was read.
    @Test func clientThatReadsSlowlyAndSteadilyIsNotCut() throws {
        let process = try FakeProcess(log: false)
        let client = try attach(process, holding: 1 << 18)
        let written = try fill(process)
        let deadline = try #require(process.stdio.nextDeadline)
        var taken = 0
        while taken < 6 * ClientLimit.pace {
            taken += try client.socket.read(upTo: ClientLimit.pace).count
            try process.loop.settle()
        }
        #expect(process.stdio.nextDeadline == deadline)
        process.loop.tick(now: deadline)
        #expect(process.stdio.hasClients)
        try process.exit()
        try process.loop.run {
            try client.receive()
            return client.hasEnded
        }
        #expect(taken + client.received.count == written)
    }
}
