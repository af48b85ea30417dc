import FoundationEssentials
import Kernel
import OCISpec
import ProbeSupport
import Testing

@testable import Sandbox

/// What processes of a container may do with files, by the kernel's rules beside its mounts.
@Suite(.enabled(if: Landlock.version >= SandboxRules.oldestVersion, "the kernel has no Landlock, or an older one"))
struct RulesTests {
    /// A container whose program is `rules-probe`, with all rights over its mounts: what is refused is refused by rules.
    static func box(_ change: (inout RuntimeSpec) -> Void = { _ in }) throws -> ContainerFixture {
        let box = try ContainerFixture()
        for folder in ["data", "fixed", "far", "etc/deep"] {
            try File.makeDirectories(box.root + "/" + folder, mode: 0o755)
        }
        for source in ["shared", "kept"] { try File.makeDirectories("\(box.scratch.path)/\(source)", mode: 0o755) }
        try File.writeAtomically("\(box.scratch.path)/kept/file", Array("kept".utf8), mode: 0o644, durable: false)
        try ProgramCopy.make(of: try probe(), at: box.root + "/bin/rules-probe")
        let capabilities = ["CAP_SYS_ADMIN", "CAP_DAC_OVERRIDE"]
        box.spec.process?.capabilities = .init(
            bounding: capabilities,
            effective: capabilities,
            permitted: capabilities
        )
        box.spec.root?.readonly = true
        let own = [("shared", "/data", "rw"), ("kept", "/fixed", "ro")].map { name, place, mode in
            RuntimeSpec.Mount(
                destination: place,
                type: "bind",
                source: "\(box.scratch.path)/\(name)",
                options: ["rbind", mode]
            )
        }
        let temporary = RuntimeSpec.Mount(destination: "/tmp", type: "tmpfs", source: "tmpfs", options: ["nosuid"])
        box.spec.mounts = (box.spec.mounts ?? []) + own + [temporary]
        change(&box.spec)
        box.options = ["--rules"]
        return box
    }

    /// The probe, which is built beside the tests, or now.
    static func probe() throws -> String { try built.get() }

    private static let built: Result<String, any Error> = Result {
        let program = try Probe.path().replacing("kernel-probe", with: "rules-probe")
        let file = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2)
        let source = file.joined(separator: "/") + "/Support/rules-probe/rules-probe.c"
        if File.exists(program), try File.status(program).modified >= File.status(source).modified { return program }
        let options = ["-std=gnu11", "-Wall", "-Wextra", "-Werror", "-Os", "-static", "-s", "-o", program, source]
        let spawn = Spawn(arguments: ["gcc"] + options, environment: ["PATH=/usr/bin:/bin"])
        let end = try spawn.start("/usr/bin/gcc").pidfd.wait()
        return end == .exited(0) ? program : ""
    }

    static func results(_ box: ContainerFixture, _ words: [String], ruled: Bool = true) throws -> [String] {
        if !ruled { box.options.removeAll { $0 == "--rules" } }
        box.spec.process?.args = ["/bin/rules-probe"] + words
        let outcome = try box.run()
        try #require(outcome.status == .exited(0), "\(outcome)")
        return outcome.lines
    }

    /// Mounts that are made writable: by mount_setattr(2), which no rule refuses, and by mount(2).
    static let tricks = ["rw=/fixed", "rw=/", "remount=/fixed", "write=/fixed/file", "create=/etc/new", "mount=/tmp"]

    @Test func aMountThatBecomesWritableCannotBeWritten() throws {
        let held = try Self.results(Self.box(), Self.tricks)
        #expect(
            held == [
                "rw=/fixed: ok", "rw=/: ok", "remount=/fixed: EPERM", "write=/fixed/file: EACCES",
                "create=/etc/new: EACCES", "mount=/tmp: EPERM",
            ]
        )
        // The same without rules: what they keep is seen to be lost.
        let free = try Self.results(Self.box(), Self.tricks, ruled: false)
        #expect(free.allSatisfy { $0.hasSuffix(": ok") }, "\(free)")
    }

    @Test func whatIsWritableCanBeWritten() throws {
        let words = [
            "create=/data/file", "write=/data/file", "truncate=/data/file", "mkdir=/data/folder", "fifo=/data/pipe",
            "socket=/data/socket", "rename=/data/file,/data/folder/file", "link=/data/folder/file,/data/again",
            "create=/tmp/file", "mkdir=/tmp/folder", "rename=/tmp/file,/tmp/folder/file",
            "link=/tmp/folder/file,/tmp/x", "create=/dev/file", "create=/dev/shm.file", "write=/dev/null",
            "write=/dev/pts/ptmx", "write=/proc/self/comm", "write=/proc/self/oom_score_adj", "read=/proc/1/status",
            "read=/sys/kernel", "read=/fixed/file", "read=/etc/passwd", "control=/dev/null", "again=1",
        ]
        let held = try Self.results(Self.box(), words)
        let free = try Self.results(Self.box(), words, ruled: false)
        #expect(held == free)
        #expect(held.filter { !$0.hasSuffix(": ok") } == ["control=/dev/null: ENOTTY"])
    }

    /// With a writable root: an overlay, whose rules are about its merged tree.
    @Test func anOverlayIsAsItWas() throws {
        let words = [
            "write=/etc/passwd", "truncate=/etc/group", "create=/far/file", "rename=/far/file,/etc/deep/file",
            "rename=/etc/passwd,/far/passwd", "link=/far/passwd,/etc/deep/passwd", "mkdir=/new", "create=/new/file",
            "create=/fixed/file2", "write=/fixed/file",
        ]
        var seen: [[String]] = []
        for ruled in [true, false] {
            let box = try Self.box { $0.root?.readonly = false }
            box.options += try Self.overlay(box)
            seen.append(try Self.results(box, words, ruled: ruled))
        }
        #expect(seen[0] == seen[1])
        #expect(seen[0].suffix(2) == ["create=/fixed/file2: EROFS", "write=/fixed/file: EROFS"])
        #expect(seen[0].dropLast(2).allSatisfy { $0.hasSuffix(": ok") }, "\(seen)")
    }

    /// Options for a root that is an overlay of the box's own root.
    private static func overlay(_ box: ContainerFixture) throws -> [String] {
        let (upper, work) = ("\(box.scratch.path)/upper", "\(box.scratch.path)/work")
        for folder in [upper, work] { try File.makeDirectories(folder, mode: 0o755) }
        return ["--overlay", "\(box.root):\(upper):\(work)"]
    }

    /// A directory of the host that was forgotten open, the way out of so many containers.
    @Test func nothingOfTheHostCanBeReachedByADescriptor() throws {
        for (ruled, answer) in [(true, "at=secret: EACCES"), (false, "at=secret: ok")] {
            let box = try Self.box()
            if !ruled { box.options = [] }
            box.spec.process?.args = ["/bin/rules-probe", "at=secret", "root=3"]
            let canary = try File.open(box.canary, [.read, .directory])
            #expect(try box.run(inherited: [0: canary.raw]).lines == [answer, "root=3: ok"])
        }
    }

    @Test func streamsThatAreFilesCanBeOpenedAgain() throws {
        let box = try Self.box()
        let file = try File.open("\(box.scratch.path)/input", [.readWrite, .create], mode: 0o644)
        box.spec.process?.args = ["/bin/rules-probe", "again=0", "write=/dev/stdin"]
        #expect(try box.run(inherited: [0: file.raw]).lines == ["again=0: ok", "write=/dev/stdin: ok"])
        let readable = try File.open("\(box.scratch.path)/input")
        let other = try Self.box()
        other.spec.process?.args = ["/bin/rules-probe", "again=0", "read=/dev/stdin"]
        #expect(try other.run(inherited: [0: readable.raw]).lines == ["again=0: EACCES", "read=/dev/stdin: ok"])
    }

    @Test(
        .enabled(
            if: Landlock.version >= 5,
            "this kernel lets everybody make whiteouts, and no other device without the capability"
        )
    )
    func devicesAreMadeWithTheCapabilityOnly() throws {
        let words = ["whiteout=/tmp/w", "whiteout=/data/w"]
        #expect(try Self.results(Self.box(), words).allSatisfy { $0.hasSuffix(": EACCES") })
        #expect(try Self.results(Self.box(), words, ruled: false).allSatisfy { $0.hasSuffix(": ok") })
        let box = try Self.box { spec in
            spec.process?.capabilities?.bounding?.append("CAP_MKNOD")
        }
        #expect(try Self.results(box, words).allSatisfy { $0.hasSuffix(": ok") })
    }

    @Test(.enabled(if: Landlock.version >= 5, "this kernel's Landlock knows nothing of devices"))
    func devicesInTheRootAreNotControlled() throws {
        for (ruled, answer) in [(true, "EACCES"), (false, "ENOTTY")] {
            let box = try Self.box()
            try RootedDir(box.root).mknod(
                "far/null",
                .characterDevice,
                permissions: 0o666,
                device: DeviceNumber(major: 1, minor: 3)
            )
            #expect(try Self.results(box, ["control=/far/null"], ruled: ruled) == ["control=/far/null: \(answer)"])
        }
        // Where the document puts one there it can be.
        let box = try Self.box { spec in
            spec.root?.readonly = false
            spec.linux?.devices = [.init(type: "c", path: "/far/null", major: 1, minor: 3, fileMode: 0o666)]
        }
        #expect(try Self.results(box, ["control=/far/null"]) == ["control=/far/null: ENOTTY"])
    }

    /// Nothing is mounted at `/dev`, and the root that has the devices is read-only.
    @Test func devicesOfAReadOnlyRootCanBeWritten() throws {
        let words = ["write=/dev/null", "control=/dev/null", "create=/dev/new", "write=/etc/passwd"]
        var seen: [[String]] = []
        for ruled in [true, false] {
            let box = try Self.box { spec in spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") } }
            seen.append(try Self.results(box, words, ruled: ruled))
        }
        #expect(seen[0].prefix(2) == ["write=/dev/null: ok", "control=/dev/null: ENOTTY"])
        #expect(seen[0].prefix(2) == seen[1].prefix(2))
        #expect(seen[0].suffix(2) == ["create=/dev/new: EROFS", "write=/etc/passwd: EROFS"])
    }

    @Test func furtherProcessesAreHeldToTheSame() throws {
        let box = try Self.box()
        box.spec.process?.args = ["/bin/sleep", "1000"]
        var process = box.spec.process ?? .init()
        process.args = ["/bin/rules-probe"] + Self.tricks + ["create=/data/file", "at=secret"]
        for number in 0..<2 {
            let path = "\(box.scratch.path)/exec\(number).json"
            try File.writeAtomically(path, Array(JSONEncoder().encode(process)), durable: false)
            box.options += ["--exec", path]
            // The second has no right of its own to be held to anything, and gets none.
            process.user = .init(uid: 33, gid: 44)
            process.capabilities = nil
            process.args = ["/bin/rules-probe", "create=/data/other", "write=/fixed/file", "read=/fixed/file"]
        }
        let canary = try File.open(box.canary, [.read, .directory])
        let outcome = try box.run(inherited: [0: canary.raw])
        #expect(
            outcome.lines == [
                "rw=/fixed: ok", "rw=/: ok", "remount=/fixed: EPERM", "write=/fixed/file: EACCES",
                "create=/etc/new: EACCES", "mount=/tmp: EPERM", "create=/data/file: ok", "at=secret: EACCES",
                "create=/data/other: EACCES", "write=/fixed/file: EACCES", "read=/fixed/file: ok",
            ],
            "\(outcome.errors)"
        )
    }

    /// The rules are loaded before the rights go that they need, and hold those who never had any.
    @Test(arguments: [true, false])
    func aUserIsHeldToThemToo(_ noNewPrivileges: Bool) throws {
        let box = try Self.box()
        try Mode.open("\(box.scratch.path)/kept/file")
        try Mode.open("\(box.scratch.path)/shared")
        box.spec.process?.capabilities = .init(bounding: ["CAP_SYS_ADMIN"])
        box.spec.process?.user = .init(uid: 33, gid: 44)
        box.spec.process?.noNewPrivileges = noNewPrivileges
        try Mode.open(box.canary + "/secret")
        let canary = try File.open(box.canary, [.read, .directory])
        box.spec.process?.args = ["/bin/rules-probe", "create=/data/file", "at=secret", "read=/fixed/file"]
        #expect(
            try box.run(inherited: [0: canary.raw]).lines == [
                "create=/data/file: ok", "at=secret: EACCES", "read=/fixed/file: ok",
            ]
        )
        box.options = []
        #expect(try box.run(inherited: [0: canary.raw]).lines[1] == "at=secret: ok")
    }

    /// Permissions for everybody.
    enum Mode {
        static func open(_ path: String) throws {
            let isDirectory = try File.status(path).isDirectory
            try File.open(path, isDirectory ? [.read, .directory] : .read).changeMode(isDirectory ? 0o777 : 0o666)
        }
    }
}

/// Which rules mounts need.
@Suite struct AccessPlanTests {
    static let table = MountTable(
        """
        20 1 0:30 / / ro,relatime - overlay overlay rw,lowerdir=/x
        21 20 0:31 / /proc rw,nosuid,nodev,noexec - proc proc rw
        22 21 0:31 /sys /proc/sys ro,nosuid,nodev,noexec - proc proc rw
        24 23 0:33 / /dev/pts rw,nosuid master:1 - devpts devpts rw
        23 20 0:32 / /dev rw,nosuid shared:7 master:2 - tmpfs tmpfs rw,mode=755
        25 20 8:1 /a /with\\040blank\\134 rw,nodev - ext4 /dev/sda1 ro
        26 20 8:1 /b /data rw - ext4 /dev/sda1 rw
        27 26 8:1 /c /data/kept ro,nodev - ext4 /dev/sda1 rw
        nonsense
        28 20 8:1 /d
        """
    )

    @Test func theTextOfTheKernelIsRead() {
        #expect(Self.table.entries.map(\.id) == [20, 21, 22, 24, 23, 25, 26, 27])
        #expect(Self.table.entries.map(\.path)[5] == "/with blank\\")
        #expect(Self.table.entries.filter(\.isReadOnly).map(\.id) == [20, 22, 25, 27])
        #expect(Self.table.entries.filter(\.hasNoDevices).map(\.id) == [21, 22, 25, 27])
    }

    @Test func onlyWhatGivesMoreThanWhatIsAboveNeedsARule() {
        let rules = AccessPlan(makesDevices: false, rootHasDevices: false).rules(Self.table, root: 20)
        #expect(rules.root == [.execute, .readFile, .readDirectory])
        #expect(rules.mounts.map(\.mount.path) == ["/proc", "/dev", "/data"])
        #expect(!rules.mounts[0].access.contains(.controlDevices) && rules.mounts[0].access.contains(.writeFile))
        #expect(rules.mounts[1].access.isSuperset(of: [.controlDevices, .writeFile, .refer, .truncate]))
        #expect(rules.mounts.allSatisfy { $0.access.isDisjoint(with: .makeDevices) })
    }

    @Test func aRootThatNobodyListsIsTakenForWritable() {
        let rules = AccessPlan(makesDevices: true).rules(Self.table, root: 1)
        #expect(rules.root.isSuperset(of: [.writeFile, .makeDevices, .controlDevices, .refer]))
        #expect(rules.mounts.isEmpty)
    }

    @Test func whatAVersionKnows() {
        #expect(Landlock.Access.known(to: 0).isEmpty)
        #expect(!Landlock.Access.known(to: 1).contains(.refer) && Landlock.Access.known(to: 2).contains(.refer))
        #expect(!Landlock.Access.known(to: 2).contains(.truncate) && Landlock.Access.known(to: 3).contains(.truncate))
        #expect(!Landlock.Access.known(to: 4).contains(.controlDevices))
        #expect(Landlock.Access.known(to: 9) == Landlock.Access.known(to: 5))
        #expect(Landlock.Access.known(to: 1).rawValue == 0x1fff)
    }
}
