import Kernel
import ProbeSupport
import Testing

@Suite struct RootedDirTests {
    let scratch: Scratch
    /// The root under test is `scratch/root`; the canary stands beside it.
    let canary: String

    init() throws {
        scratch = try Scratch()
        canary = scratch.path + "/canary"
        try File.makeDirectory(scratch.path + "/root")
        try File.writeAtomically(canary, Array("outside".utf8), durable: false)
    }

    func root() throws -> RootedDir { try RootedDir(scratch.path + "/root") }

    func errno(_ body: () throws -> Void) -> Errno? {
        do { try body() } catch { return (error as? KernelError)?.errno }
        return nil
    }

    @Test func absoluteLinksStayInside() throws {
        let root = try root()
        try root.mkdirAll("run/lock")
        try root.mkdir("var")
        try root.symlink("var/run", to: "/run")
        _ = try root.create("var/run/pid")
        #expect(File.exists(scratch.path + "/root/run/pid"))
        #expect(try root.stat("var/run", follow: true).isDirectory)
        #expect(try root.readDirectory("/var/run").map(\.name).sorted() == ["lock", "pid"])
        #expect(try root.readlink("var/run") == Array("/run".utf8))
    }

    @Test(arguments: [
        "../canary", "/../canary", "a/../../canary", "../../../../../../../../canary", "up/canary", "abs",
    ])
    func pathsCannotLeave(path: String) throws {
        let root = try root()
        try root.mkdir("a")
        try root.symlink("up", to: "../../..")
        try root.symlink("abs", to: canary)
        #expect(errno { _ = try root.open(path) } == .noEntry)
        #expect(errno { _ = try root.stat(path, follow: true) } == .noEntry)
    }

    @Test func operationsOnNamesCannotLeave() throws {
        let root = try root()
        try root.symlink("out", to: scratch.path)
        try root.symlink("dots", to: "../..")
        #expect(errno { try root.mkdir("out/new") } == .noEntry)
        #expect(errno { try root.unlink("out/canary") } == .noEntry)
        #expect(errno { try root.unlink("dots/canary") } == .noEntry)
        #expect(errno { try root.chmod("dots/canary", permissions: 0o777) } == .noEntry)
        #expect(errno { try root.link("stolen", toExisting: "dots/canary") } == .noEntry)
        #expect(errno { try root.rename("dots/canary", to: "stolen") } == .noEntry)
        #expect(errno { try root.mknod("out/null", .characterDevice, permissions: 0o666) } == .noEntry)
        #expect(try root.removeTree("dots/canary") == false)
        #expect(try File.readText(canary) == "outside")
        #expect(try File.open(scratch.path, .directory).readDirectory().count == 2)
    }

    @Test(arguments: ["", ".", "..", "/", "a/..", "a/.", "//"]) func positionsAreNotNames(path: String) throws {
        let root = try root()
        try root.mkdir("a")
        #expect(errno { try root.mkdir(path) } == .invalid)
        #expect(errno { try root.removeTree(path) } == .invalid)
        #expect(errno { try root.rename("a", to: path) } == .invalid)
    }

    @Test func textsWithNULAreRefused() throws {
        let root = try root()
        #expect(errno { try root.mkdir("a\0b") } == .invalid)
        #expect(errno { _ = try root.open("a\0b") } == .invalid)
        #expect(errno { try root.symlink("l", to: "x\0y") } == .invalid)
        #expect(try root.readDirectory(".").isEmpty)
    }

    @Test func magicLinksAreRefused() throws {
        let proc = try RootedDir("/proc")
        #expect(errno { _ = try proc.open("self/root", [.path]) } == .tooManyLinks)
        #expect(errno { _ = try proc.open("self/fd/0") } == .tooManyLinks)
        #expect(errno { _ = try proc.open("self/cwd/x") } == .tooManyLinks)
    }

    @Test func lastComponentIsNotFollowed() throws {
        let root = try root()
        _ = try root.create("file", mode: 0o600)
        try root.symlink("link", to: "file")
        try root.chown("link", uid: 12, gid: 34)
        #expect(try root.stat("link").uid == 12)
        #expect(try root.stat("file").uid == 0)
        #expect(errno { try root.chmod("link", permissions: 0o777) } == .notSupported)
        #expect(errno { _ = try root.create("link") } == .exists)
        #expect(errno { _ = try root.open("link", [.read, .noFollow]) } == .tooManyLinks)
        let time = Timestamp(seconds: 1, nanoseconds: 5)
        try root.utimes("link", accessed: .set(time), modified: .set(time))
        #expect(try root.stat("link").modified == time)
        #expect(try root.stat("file").modified != time)
        try root.setxattr("link", "trusted.note", [1, 2])
        #expect(try root.getxattr("link", "trusted.note") == [1, 2])
        #expect(try root.getxattr("file", "trusted.note") == nil)
        #expect(try root.listxattr("link") == ["trusted.note"])
        try root.link("second", toExisting: "link")
        #expect(try root.stat("second").kind == .symbolicLink)
    }

    @Test func missingDirectoriesAreMadeThroughLinks() throws {
        let root = try root()
        try root.mkdir("var")
        try root.symlink("var/run", to: "/run/deep")
        try root.symlink("var/up", to: "../../../made")
        try root.mkdirAll("var/run/app/x", mode: 0o755)
        #expect(try root.stat("run/deep/app/x").isDirectory)
        try root.mkdirAll("var/up/y")
        #expect(try root.stat("made/y").isDirectory)
        #expect(!File.exists(scratch.path + "/made"))
        _ = try root.create("plain")
        #expect(errno { try root.mkdirAll("plain/x") } == .notDirectory)
        try root.symlink("loop", to: "loop")
        #expect(errno { try root.mkdirAll("loop/x") } == .tooManyLinks)
        try root.symlink("ping", to: "pong/a")
        try root.symlink("pong", to: "ping/b")
        #expect(errno { try root.mkdirAll("ping/x") } == .tooManyLinks)
    }

    @Test func fileTargetsAreMade() throws {
        let root = try root()
        try root.symlink("etc", to: "/config")
        #expect(try root.makeFileTarget("etc/hosts").status().isRegular)
        #expect(try root.stat("config/hosts").isRegular)
        try root.symlink("dangling", to: "../../canary2")
        #expect(try root.makeFileTarget("dangling").status().isRegular)
        #expect(!File.exists(scratch.path + "/canary2"))
        #expect(try root.stat("canary2").isRegular)
    }

    @Test func onlyRegularFilesAreRead() throws {
        let root = try root()
        try root.mknod("fifo", .fifo, permissions: 0o600)
        try root.mknod("device", .characterDevice, permissions: 0o600, device: DeviceNumber(major: 1, minor: 5))
        try root.mkdir("directory")
        for name in ["fifo", "device", "directory"] {
            #expect(errno { _ = try root.readFile(name, limit: 10) } == .invalid)
        }
        #expect(try root.stat("device").representedDevice == DeviceNumber(major: 1, minor: 5))
        try root.create("passwd").writeAll("root:x:0:0")
        #expect(try root.readFile("passwd", limit: 10).count == 10)
        #expect(errno { _ = try root.readFile("passwd", limit: 9) } == .fileTooBig)
    }

    @Test func namesThatAreNotUTF8Survive() throws {
        let root = try root()
        let name: [UInt8] = [0xff, 0xfe, 0x41]
        try root.mkdir(name)
        _ = try root.create(name + Array("/".utf8) + [0x80])
        #expect(try root.readDirectory(".").map(\.nameBytes) == [name])
        #expect(try root.removeTree(name))
        #expect(try root.readDirectory(".").isEmpty)
    }

    @Test func treesGoWithoutFollowingLinks() throws {
        let root = try root()
        try root.mkdirAll("tree/a/b/c")
        try root.symlink("tree/a/out", to: scratch.path)
        _ = try root.create("tree/a/b/file")
        #expect(try root.removeTree("tree"))
        #expect(try root.removeTree("tree") == false)
        #expect(try File.readText(canary) == "outside")
    }

    @Test func treesDeeperThanDescriptorsAndWiderThanABufferGo() throws {
        let root = try root()
        try root.mkdir("tree")
        var level = try root.subdirectory("tree")
        for number in 0..<1500 {
            if number % 300 == 0 { _ = try level.create("file") }
            try level.mkdir("d")
            level = try level.subdirectory("d")
        }
        for number in 0..<3000 { _ = try root.create("tree/entry-\(number)-of-a-directory-that-needs-many-reads") }
        #expect(try root.removeTree("tree"))
        #expect(try root.readDirectory(".").isEmpty)
    }

    @Test func renamesKeepOrExchange() throws {
        let root = try root()
        try root.create("a").writeAll("a")
        try root.create("b").writeAll("b")
        #expect(errno { try root.rename("a", to: "b", .noReplace) } == .exists)
        try root.rename("a", to: "b", .exchange)
        #expect(try root.readFile("a", limit: 9) == Array("b".utf8))
        try root.rename("a", to: "b")
        #expect(errno { _ = try root.stat("a") } == .noEntry)
    }

    @Test func swappedLinksNeverLeadOut() async throws {
        let root = try root()
        try root.mkdir("here")
        try root.create("here/canary").writeAll("inside")
        try root.symlink("there", to: scratch.path)
        let path = scratch.path + "/root"
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                let root = try RootedDir(path)
                for _ in 0..<2000 { try root.rename("here", to: "there", .exchange) }
            }
            group.addTask {
                let root = try RootedDir(path)
                for _ in 0..<2000 {
                    guard let content = try? root.readFile("here/canary", limit: 100) else { continue }
                    #expect(content == Array("inside".utf8))
                }
            }
            try await group.waitForAll()
        }
    }
}
