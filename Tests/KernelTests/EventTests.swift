import Kernel
import ProbeSupport
import Testing

@Suite struct EventTests {
    @Test func epollTellsWhoIsReady() throws {
        let epoll = try Epoll()
        let pipe = try Pipe(nonBlocking: true)
        var events: [Epoll.Event] = []
        try epoll.add(pipe.reader.raw, .readable, token: 1 << 40)
        try epoll.wait(timeout: .zero, into: &events)
        #expect(events.isEmpty)
        try pipe.writer.writeAll("x")
        try epoll.wait(timeout: nil, into: &events)
        #expect(events.map(\.token) == [1 << 40])
        #expect(events.map(\.readiness) == [.readable])
        try epoll.modify(pipe.reader.raw, [], token: 2)
        try epoll.wait(timeout: .milliseconds(1), into: &events)
        #expect(events.isEmpty)
        let error = #expect(throws: KernelError.self) { _ = try epoll.add(pipe.reader.raw, .readable, token: 3) }
        #expect(error?.errno == .exists)
        try epoll.remove(pipe.reader.raw)
    }

    @Test func nonBlockingTransfersTellWhatHappened() throws {
        Signals.ignore(.pipe)
        let pipe = try Pipe(nonBlocking: true)
        let (reader, writer) = pipe.ends()
        #expect(try transfer(reader) == .wouldBlock)
        try writer.writeAll("abc")
        #expect(try transfer(reader) == .moved(3))
        #expect(try [UInt8](repeating: 0, count: 1 << 20).withUnsafeBytes { try writer.tryWrite($0) } == .moved(65536))
        #expect(try [1].withUnsafeBytes { try writer.tryWrite($0) } == .wouldBlock)
    }

    @Test func endsAreTold() throws {
        Signals.ignore(.pipe)
        var pipe: (reader: SharedDescriptor, writer: SharedDescriptor?) = try Pipe(nonBlocking: true).ends()
        pipe.writer = nil
        #expect(try transfer(pipe.reader) == .ended)
        var other: (reader: SharedDescriptor?, writer: SharedDescriptor) = try Pipe(nonBlocking: true).ends()
        other.reader = nil
        #expect(try [1].withUnsafeBytes { try other.writer.tryWrite($0) } == .ended)
    }

    private func transfer(_ reader: SharedDescriptor) throws -> Transfer {
        var buffer = [UInt8](repeating: 0, count: 100)
        return try buffer.withUnsafeMutableBytes { try reader.tryRead(into: $0) }
    }

    @Test func timersFire() throws {
        let timer = try TimerFd()
        #expect(timer.drain() == 0)
        try timer.start(after: .zero)
        #expect(try timer.poll(for: .readable, timeout: .seconds(5)) == .readable)
        #expect(timer.drain() == 1)
        try timer.start(after: .seconds(1000))
        try timer.stop()
        #expect(try timer.poll(for: .readable, timeout: .zero).isEmpty)
    }

    @Test func countersWake() throws {
        let counter = try EventFd()
        counter.signal()
        counter.signal()
        #expect(counter.drain() == 2)
        #expect(counter.drain() == 0)
    }

    @Test func terminalsPassSizeAndText() throws {
        let pty = try Pty()
        try Pty.resize(pty.controller.raw, to: Pty.Size(rows: 50, columns: 132))
        #expect(try Pty.size(of: pty.terminal.raw) == Pty.Size(rows: 50, columns: 132))
        let isTerminal = pty.terminal.isTerminal
        #expect(isTerminal)
        let mode = try TerminalMode(of: pty.terminal.raw)
        try mode.raw.apply(to: pty.terminal.raw)
        try pty.controller.writeAll("x\u{3}")
        #expect(try pty.terminal.read(upTo: 10) == [0x78, 3])
        let null = try File.open("/dev/null")
        #expect(throws: KernelError.self) { _ = try Pty.size(of: null.raw) }
    }

    @Test func signalNamesBothWays() {
        #expect(Signal(name: "TERM") == .terminate)
        #expect(Signal(name: "sigkill") == .kill)
        #expect(Signal(name: "15") == .terminate)
        #expect(Signal(name: "SIGRTMIN+3")?.rawValue == 37)
        #expect(Signal(name: "RTMAX-1")?.rawValue == 63)
        for bad in ["", "0", "65", "-1", "+9", "SIG", "NOPE", "RTMIN+31", "9 "] { #expect(Signal(name: bad) == nil) }
        for number: Int32 in 1...64 where number != 32 && number != 33 {
            #expect(Signal(name: Signal(rawValue: number).name)?.rawValue == number)
        }
    }

    @Test func timesBothWays() {
        for (text, seconds, nanoseconds): (String, Int64, UInt32) in [
            ("1970-01-01T00:00:00.000000000Z", 0, 0), ("2026-11-21T00:32:33.000000001Z", 1_795_221_153, 1),
            ("1969-12-31T23:59:59.999999999Z", -1, 999_999_999),
            ("2000-02-29T12:00:00.500000000Z", 951_825_600, 500_000_000),
            ("0001-01-01T00:00:00.000000000Z", -62_135_596_800, 0),
            ("9999-12-31T23:59:59.000000000Z", 253_402_300_799, 0),
        ] {
            #expect(Timestamp(seconds: seconds, nanoseconds: nanoseconds).description == text)
            #expect(Timestamp(text) == Timestamp(seconds: seconds, nanoseconds: nanoseconds))
        }
        #expect(Timestamp("2026-11-21T02:32:33.5+02:00") == Timestamp(seconds: 1_795_221_153, nanoseconds: 500_000_000))
        #expect(Timestamp("2026-11-21T00:32:33Z")?.seconds == 1_795_221_153)
        for bad in ["", "2026-11-21", "2026-13-01T00:00:00Z", "2026-11-21T24:00:00Z", "2026-11-21T00:00:00", "x"] {
            #expect(Timestamp(bad) == nil)
        }
        let late = Timestamp(seconds: 5, nanoseconds: 900_000_000)
        #expect(late + .milliseconds(200) == Timestamp(seconds: 6, nanoseconds: 100_000_000))
        #expect(late + .milliseconds(-1000) == Timestamp(seconds: 4, nanoseconds: 900_000_000))
        #expect(late - Timestamp(seconds: 5) == .milliseconds(900))
    }

    @Test func namesOfLimitsAndCapabilities() throws {
        #expect(Rlimit.Resource(name: "RLIMIT_NOFILE") == .openFiles)
        #expect(Rlimit.Resource(name: "nproc") == .processes)
        #expect(Rlimit.Resource(name: "RLIMIT_NOPE") == nil)
        #expect(try Rlimit.get(.openFiles).soft > 0)
        #expect(CapabilitySet(name: "CAP_SYS_ADMIN") == CapabilitySet(rawValue: 1 << 21))
        #expect(CapabilitySet(name: "checkpoint_restore")?.names == ["CAP_CHECKPOINT_RESTORE"])
        #expect(CapabilitySet(name: "CAP_NOPE") == nil)
        #expect(CapabilitySet.allKnown.names.count == 41)
    }
}
