import Kernel
import ProbeSupport
import Testing

@Suite struct FileTests {
    let scratch: Scratch

    init() throws { scratch = try Scratch() }

    @Test func atomicWriteReplacesAndKeepsNothingElse() throws {
        let path = scratch.path + "/record"
        try File.writeAtomically(path, Array("one".utf8), mode: 0o640, durable: true)
        try File.writeAtomically(path, Array("two".utf8), mode: 0o600, durable: false)
        #expect(try File.readText(path) == "two")
        #expect(try File.status(path).permissions == 0o600)
        #expect(try File.open(scratch.path, .directory).readDirectory().map(\.name) == ["record"])
        #expect(throws: KernelError.self) {
            _ = try File.writeAtomically(scratch.path + "/no/record", [], durable: false)
        }
    }

    @Test func readingIsBounded() throws {
        let path = scratch.path + "/big"
        try File.writeAtomically(path, [UInt8](repeating: 7, count: 100_000), durable: false)
        #expect(try File.read(path, limit: 100_000).count == 100_000)
        let error = #expect(throws: KernelError.self) { _ = try File.read(path, limit: 99_999) }
        #expect(error?.errno == .fileTooBig)
        #expect(error?.object == path)
        #expect(try File.open(path).read(upTo: 10, at: 99_995).count == 5)
    }

    @Test func directoriesAreMadeOnce() throws {
        try File.makeDirectories(scratch.path + "/a/b/c")
        try File.makeDirectories(scratch.path + "/a/b/c")
        #expect(try File.status(scratch.path + "/a/b/c").isDirectory)
        #expect(try File.removeTree(scratch.path + "/a"))
        #expect(try File.removeTree(scratch.path + "/a") == false)
        #expect(try File.remove(scratch.path + "/none") == false)
    }

    @Test func manyEntriesAreAllRead() throws {
        for number in 0..<2000 { _ = try File.open(scratch.path + "/entry-\(number)", [.write, .create]) }
        let directory = try File.open(scratch.path, .directory)
        #expect(Set(try directory.readDirectory().map(\.name)).count == 2000)
        #expect(throws: KernelError.self) { _ = try directory.readDirectory(limit: 1999) }
    }

    @Test func everythingIsCloseOnExecAtBirth() throws {
        let pipe = try Pipe()
        #expect(try pipe.reader.isCloseOnExec())
        #expect(try File.open("/dev/null").isCloseOnExec())
        #expect(try Epoll().isCloseOnExec())
        #expect(try EventFd().isCloseOnExec())
        #expect(try TimerFd().isCloseOnExec())
        #expect(try pipe.writer.duplicate().isCloseOnExec())
        #expect(try Pty().controller.isCloseOnExec())
        #expect(try Pty().terminal.isCloseOnExec())
        #expect(try UnixSocket.pair().0.isCloseOnExec())
    }

    @Test func errorsNameOperationObjectAndReason() throws {
        let error = #expect(throws: KernelError.self) { _ = try File.open("/no/such/file") }
        #expect(error?.code == .notFound)
        #expect(error?.description == "open '/no/such/file': no such file or directory")
        #expect(Errno(rawValue: 5).description == "input/output error")
        #expect(Errno.notPermitted.code == .permissionDenied)
        #expect(Errno(rawValue: 9999).code == .internal)
    }

    @Test func locksExclude() throws {
        let path = scratch.path + "/lock"
        let first = try File.open(path, [.readWrite, .create])
        let second = try File.open(path, [.readWrite])
        #expect(try first.tryLock())
        #expect(try second.tryLock() == false)
        try first.close()
        #expect(try second.tryLock())
    }
}
