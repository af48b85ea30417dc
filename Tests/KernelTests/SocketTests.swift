import Glibc
import Kernel
import ProbeSupport
import Testing

@Suite struct SocketTests {
    private func isIdle(_ listener: RawDescriptor) throws -> Bool { try UnixSocket.accept(listener) == nil }

    @Test func longPathsBindAndConnect() throws {
        let scratch = try Scratch()
        let directory = scratch.path + "/" + String(repeating: "long-directory-name/", count: 10)
        try File.makeDirectories(directory)
        let path = directory + "berth.sock"
        #expect(path.utf8.count > 108)
        let listener = try UnixSocket.listen(path)
        #expect(try File.status(path).permissions == 0o600)
        #expect(try isIdle(listener.raw))
        let client = try UnixSocket.connect(path)
        guard let server = try UnixSocket.accept(listener.raw) else {
            Issue.record("no connection waits")
            return
        }
        try client.writeAll("hello")
        #expect(try server.read(upTo: 10) == Array("hello".utf8))
        let peer = try UnixSocket.peer(of: server.raw)
        #expect(peer.pid == Credentials.processID)
        #expect(peer.uid == 0)
        // A second listener replaces the name, as after a crash.
        let again = try UnixSocket.listen(path)
        _ = try UnixSocket.connect(path)
        #expect(try !isIdle(again.raw))
        #expect(try File.open(directory, .directory).readDirectory().count == 1)
    }

    @Test func nobodyListening() throws {
        let scratch = try Scratch()
        let path = scratch.path + "/dead.sock"
        _ = try UnixSocket.listen(path)
        let error = #expect(throws: KernelError.self) { _ = try UnixSocket.connect(path) }
        #expect(error?.errno == .connectionRefused)
        #expect(error?.object == path)
    }

    /// The first place at which somebody listens; a name of a program that counts the NUL byte behind it, too.
    @Test func abstractNames() throws {
        let scratch = try Scratch()
        let name = Array("berth-test-\(Random.hex(8))".utf8)
        for bytes in [name, name + [0]] {
            let listener = try AbstractListener(bytes)
            let socket = try UnixSocket.connect(
                toFirstOf: [.path(scratch.path + "/none"), .abstract(name), .abstract(name + [0])]
            )
            guard let accepted = try UnixSocket.accept(listener.raw) else {
                Issue.record("no connection waits")
                return
            }
            try socket.writeAll("x")
            #expect(try accepted.read(upTo: 4) == Array("x".utf8))
        }
        let error = #expect(throws: KernelError.self) {
            _ = try UnixSocket.connect(toFirstOf: [.abstract(name), .path(scratch.path + "/none")])
        }
        #expect(error?.errno == .connectionRefused && error?.object == "@" + String(decoding: name, as: UTF8.self))
        #expect(throws: KernelError.self) {
            _ = try UnixSocket.connect(toFirstOf: [.abstract([UInt8](repeating: 97, count: 108))])
        }
    }

    @Test(arguments: [UnixSocket.Kind.stream, .sequentialPackets]) func descriptorsTravel(kind: UnixSocket.Kind) throws
    {
        let (a, b) = try UnixSocket.pair(kind: kind)
        let pipe = try Pipe()
        try UnixSocket.sendDescriptors([pipe.writer.raw, a.raw], with: [1, 2, 3], to: a.raw)
        let message = try UnixSocket.receiveDescriptors(from: b.raw, byteLimit: 16, descriptorLimit: 4)
        #expect(message.bytes == [1, 2, 3])
        #expect(message.descriptors.count == 2)
        #expect(!message.truncated)
        #expect(try message.descriptors[0].isCloseOnExec())
        try message.descriptors[0].writeAll("x")
        #expect(try pipe.reader.read(upTo: 4) == Array("x".utf8))
    }

    @Test func theKernelSaysWhoSentAMessage() throws {
        let (a, b) = try UnixSocket.pair(kind: .sequentialPackets)
        try UnixSocket.sendDescriptors([a.raw], with: [1], to: a.raw)
        func receive() throws -> UnixSocket.Message {
            try UnixSocket.receiveDescriptors(from: b.raw, byteLimit: 16, descriptorLimit: 1)
        }
        #expect(try receive().sender == nil)
        try UnixSocket.askForSenders(b.raw)
        try UnixSocket.sendDescriptors([a.raw, a.raw, a.raw], with: [2], to: a.raw)
        let own = try receive()
        #expect(own.sender == Credentials.processID && own.descriptors.count == 1 && own.truncated)
        var spawn = Spawn(arguments: ["sh", "-c", "echo x >&3"], environment: [])
        spawn.descriptors = [3: a.raw]
        let child = try spawn.start("/bin/sh")
        #expect(try receive().sender == child.pid)
        #expect(try child.pidfd.wait() == .exited(0))
    }

    @Test func surplusDescriptorsAreClosed() throws {
        let (a, b) = try UnixSocket.pair()
        let pipe = try Pipe()
        let (reader, writer) = pipe.ends()
        do {
            try UnixSocket.sendDescriptors([reader.raw, writer.raw, writer.raw], with: [0], to: a.raw)
            let message = try UnixSocket.receiveDescriptors(from: b.raw, byteLimit: 1, descriptorLimit: 1)
            #expect(message.descriptors.count == 1)
            #expect(message.truncated)
        }
        // No descriptor travels without room for it, and none is left open: a message without any is not disturbed.
        try UnixSocket.sendDescriptors([], with: [9], to: a.raw)
        let plain = try UnixSocket.receiveDescriptors(from: b.raw, byteLimit: 1, descriptorLimit: 0)
        #expect(plain.bytes == [9])
        #expect(throws: KernelError.self) {
            try UnixSocket.sendDescriptors(Array(repeating: writer.raw, count: 65), with: [0], to: a.raw)
        }
    }

    @Test func endOfWritingIsSeen() throws {
        let (a, b) = try UnixSocket.pair()
        try UnixSocket.shutdownWriting(a.raw)
        #expect(try b.read(upTo: 1).isEmpty)
        try b.writeAll("still open")
        #expect(try a.read(upTo: 100).count == 10)
    }
}

/// A socket with an abstract name, as other programs make them: Berth has none.
private final class AbstractListener {
    let raw: Int32

    init(_ name: [UInt8]) throws {
        raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { path in
            for (index, byte) in name.enumerated() { path[index + 1] = byte }
        }
        let length = socklen_t(3 + name.count)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(raw, $0, length) }
        }
        try #require(bound == 0 && listen(raw, 4) == 0)
    }

    deinit { close(raw) }
}
