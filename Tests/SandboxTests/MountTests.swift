import Kernel
import OCISpec
import ProbeSupport
import Testing

/// The options of mounts, seen from inside by `/proc/self/mountinfo`.
@Suite struct MountTests {
    /// One line of mountinfo.
    struct Line {
        let options: Set<Substring>
        let propagation: [Substring]
        let type: Substring
        let superOptions: Set<Substring>

        init?(_ text: String, place: String) {
            let fields = text.split(separator: " ")
            guard fields.count > 8, fields[4] == place, let dash = fields.firstIndex(of: "-") else { return nil }
            options = Set(fields[5].split(separator: ","))
            propagation = fields[6..<dash].map { $0.prefix { $0 != ":" } }
            type = fields[dash + 1]
            superOptions = Set(fields[dash + 3].split(separator: ","))
        }
    }

    struct Case {
        var words: [String]
        var shown: Set<Substring> = []
        var hidden: Set<Substring> = []
        var superShown: Set<Substring> = []
        var superHidden: Set<Substring> = []
        var propagation: [Substring] = []
    }

    /// Words that every mount understands.
    static let common: [Case] = [
        Case(words: ["defaults"], shown: ["rw", "relatime"]), Case(words: ["loud"]), Case(words: ["silent"]),
        Case(words: ["iversion"]), Case(words: ["noiversion"]), Case(words: ["mand"]), Case(words: ["nomand"]),
        Case(words: ["ro"], shown: ["ro"]), Case(words: ["ro", "rw"], shown: ["rw"]),
        Case(words: ["rw", "ro"], shown: ["ro"]),
        Case(words: ["nosuid"], shown: ["nosuid"]), Case(words: ["nosuid", "suid"], hidden: ["nosuid"]),
        Case(words: ["nodev"], shown: ["nodev"]), Case(words: ["nodev", "dev"], hidden: ["nodev"]),
        Case(words: ["noexec"], shown: ["noexec"]), Case(words: ["noexec", "exec"], hidden: ["noexec"]),
        Case(words: ["nosymfollow"], shown: ["nosymfollow"]),
        Case(words: ["nosymfollow", "symfollow"], hidden: ["nosymfollow"]),
        Case(words: ["nodiratime"], shown: ["nodiratime"]),
        Case(words: ["nodiratime", "diratime"], hidden: ["nodiratime"]),
        Case(words: ["noatime"], shown: ["noatime"], hidden: ["relatime"]),
        Case(words: ["noatime", "atime"], shown: ["relatime"], hidden: ["noatime"]),
        Case(words: ["noatime", "norelatime"], shown: ["noatime"]),
        Case(words: ["relatime"], shown: ["relatime"]), Case(words: ["norelatime"], shown: ["relatime"]),
        Case(words: ["strictatime"], hidden: ["relatime", "noatime"]),
        Case(words: ["strictatime", "nostrictatime"], shown: ["relatime"]),
        Case(words: ["strictatime", "atime"], hidden: ["relatime", "noatime"]),
    ]

    /// Words of a new filesystem alone.
    static let fresh: [Case] = [
        Case(words: ["sync"], superShown: ["sync"]), Case(words: ["sync", "async"], superHidden: ["sync"]),
        Case(words: ["dirsync"], superShown: ["dirsync"]), Case(words: ["lazytime"], superShown: ["lazytime"]),
        Case(words: ["lazytime", "nolazytime"], superHidden: ["lazytime"]),
        Case(
            words: ["size=64k", "mode=0711", "uid=5", "gid=6"],
            superShown: ["size=64k", "mode=711", "uid=5", "gid=6"]
        ),
        Case(words: ["private"]), Case(words: ["shared"], propagation: ["shared"]),
        Case(words: ["shared", "rprivate"]), Case(words: ["unbindable"], propagation: ["unbindable"]),
        Case(words: ["rro"], shown: ["ro"]),
    ]

    func check(_ cases: [Case], _ mount: (String, [String]) -> RuntimeSpec.Mount, rootShared: Bool = false) throws {
        let box = try ContainerFixture()
        if rootShared { box.spec.linux?.rootfsPropagation = "shared" }
        for (number, each) in cases.enumerated() { box.spec.mounts?.append(mount("/m/\(number)", each.words)) }
        let outcome = try box.run("cat /proc/self/mountinfo")
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        for (number, each) in cases.enumerated() {
            let lines = outcome.lines.compactMap { Line($0, place: "/m/\(number)") }
            let line = try #require(lines.first, "\(each.words)")
            #expect(lines.count == 1)
            #expect(line.options.isSuperset(of: each.shown), "\(each.words): \(line.options)")
            #expect(line.options.isDisjoint(with: each.hidden), "\(each.words): \(line.options)")
            let all = line.superOptions.union(line.options)
            #expect(all.isSuperset(of: each.superShown), "\(each.words): \(all)")
            #expect(all.isDisjoint(with: each.superHidden), "\(each.words): \(all)")
            #expect(line.propagation == each.propagation, "\(each.words)")
        }
    }

    @Test(arguments: [false, true])
    func wordsOfNewFilesystems(_ rootShared: Bool) throws {
        try check(
            Self.common + Self.fresh,
            { .init(destination: $0, type: "tmpfs", source: "tmpfs", options: $1) },
            rootShared: rootShared
        )
    }

    /// How the mount that a directory lies on treats times of access, and whether it passes mounts on.
    static func origin(of path: String) throws -> (times: Set<Substring>, isShared: Bool) {
        let lines = try File.readText("/proc/self/mountinfo", limit: 1 << 24).split(separator: "\n").map(String.init)
        let places = lines.map { String($0.split(separator: " ")[4]) }
        let above = places.filter { $0 == "/" || path == $0 || path.hasPrefix($0 + "/") }
        let place = try #require(above.max { $0.count < $1.count })
        // The last one lies on top.
        let line = try #require(lines.compactMap { Line($0, place: place) }.last)
        return (line.options.intersection(["relatime", "noatime", "nodiratime"]), line.propagation.contains("shared"))
    }

    @Test func wordsOfBinds() throws {
        let source = try Scratch()
        let (times, isShared) = try Self.origin(of: source.path)
        // Flags of the filesystem, which a bind shares with others, change nothing.
        let shared = ["sync", "async", "dirsync", "lazytime", "nolazytime"].map { Case(words: [$0]) }
        let recursive = [
            ("rro", "ro"), ("rnosuid", "nosuid"), ("rnodev", "nodev"), ("rnoexec", "noexec"), ("rnoatime", "noatime"),
            ("rrelatime", "relatime"), ("rnodiratime", "nodiratime"), ("rnosymfollow", "nosymfollow"), ("rrw", "rw"),
        ].map { Case(words: ["rbind", $0.0], shown: [Substring($0.1)]) }
        let undone = [
            ("suid", "nosuid"), ("dev", "nodev"), ("exec", "noexec"), ("atime", "noatime"),
            ("diratime", "nodiratime"), ("symfollow", "nosymfollow"),
        ].map { Case(words: ["rbind", "r" + $0.1, "r" + $0.0], hidden: [Substring($0.1)]) }
        let strict = [
            Case(words: ["rstrictatime"], hidden: ["relatime", "noatime"]),
            Case(words: ["rstrictatime", "rnostrictatime"], shown: ["relatime"]),
            Case(words: ["rnorelatime"], shown: times),
        ]
        let propagation = [
            Case(words: ["shared"], propagation: isShared ? ["shared", "master"] : ["shared"]),
            Case(words: ["rshared"], propagation: isShared ? ["shared", "master"] : ["shared"]),
            Case(words: ["private"]), Case(words: ["rprivate"]),
            Case(words: ["unbindable"], propagation: ["unbindable"]),
            Case(words: ["runbindable"], propagation: ["unbindable"]),
        ]
        // What no word changes is as where the source lies.
        let common = Self.common.map { each in
            var each = each
            if [["defaults"], ["norelatime"]].contains(each.words) {
                each.shown = each.shown.subtracting(["relatime"]).union(times)
            }
            return each
        }
        try check(common + shared + recursive + undone + strict + propagation) {
            .init(destination: $0, type: "none", source: source.path, options: ["bind"] + $1)
        }
    }

    @Test(arguments: ["proc", "sysfs", "mqueue", "devpts"])
    func changesAreCountedOrTheWordIsNamed(_ type: String) throws {
        let box = try ContainerFixture()
        box.spec.mounts?.append(.init(destination: "/other", type: type, source: type, options: ["iversion"]))
        let outcome = try box.run("true")
        #expect(outcome.failure?.code == "unsupported")
        #expect(outcome.errors.contains("iversion"), "\(outcome.errors)")
    }

    @Test func remountChangesWhatIsThere() throws {
        let box = try ContainerFixture()
        let data = "/data/secret"
        box.spec.mounts? += [
            .init(destination: "/t", type: "tmpfs", source: "tmpfs", options: ["size=64k", "nosuid"]),
            .init(destination: "/t", type: "tmpfs", source: "tmpfs", options: ["remount", "ro", "size=128k"]),
            .init(destination: "/data", type: "bind", source: box.canary, options: ["bind", "rw"]),
            .init(destination: "/data", options: ["bind", "remount", "ro", "noexec", "shared"]),
            .init(destination: "/proc", options: ["remount", "bind", "ro"]),
            .init(destination: "/file", type: "bind", source: box.canary + "/secret", options: ["bind"]),
            .init(destination: "/file", options: ["bind", "remount", "ro"]),
        ]
        let outcome = try box.run("cat /proc/self/mountinfo; echo x > /file || echo refused; cat \(data)")
        func line(_ place: String) throws -> Line {
            let lines = outcome.lines.compactMap { Line($0, place: place) }
            #expect(lines.count == 1, "\(place)")
            return try #require(lines.first, "\(outcome.errors)")
        }
        let made = try line("/t")
        #expect(
            made.options.isSuperset(of: ["ro", "nosuid"]) && made.superOptions.isSuperset(of: ["rw", "size=128k"])
        )
        let bound = try line("/data")
        #expect(bound.options.isSuperset(of: ["ro", "noexec"]) && bound.propagation == ["shared"])
        #expect(try line("/proc").options.contains("ro"))
        #expect(outcome.lines.contains("refused"))
    }

    @Test func whatCannotBeIsNamed() throws {
        let bad: [(mount: RuntimeSpec.Mount, name: String, code: String)] = [
            (.init(destination: "/m", type: "tmpfs", source: "t", options: ["nosuch"]), "nosuch", "invalidArgument"),
            (.init(destination: "/m", type: "tmpfs", source: "t", options: ["nosuch=1"]), "nosuch", "invalidArgument"),
            (.init(destination: "/m", type: "tmpfs", source: "t", options: ["size=x"]), "size", "invalidArgument"),
            (
                .init(destination: "/m", type: "bind", source: "/usr", options: ["bind", "nosuch"]), "nosuch",
                "invalidArgument"
            ),
            (
                .init(destination: "/m", type: "bind", source: "/usr", options: ["bind", "tmpcopyup"]), "tmpcopyup",
                "invalidArgument"
            ),
            (
                .init(destination: "/m", type: "tmpfs", source: "t", options: ["remount", "ro"]), "remount",
                "invalidArgument"
            ),
            (.init(destination: "/sys", options: ["remount", "size=1"]), "size", "invalidArgument"),
            (
                .init(destination: "/dev", type: "tmpfs", source: "t", options: ["tmpcopyup"]), "tmpcopyup",
                "invalidArgument"
            ),
            (
                .init(destination: "/dev", type: "tmpfs", source: "t", options: ["x-berth.if-present"]),
                "x-berth.if-present", "invalidArgument"
            ),
        ]
        for each in bad {
            let box = try ContainerFixture()
            box.spec.mounts?.append(each.mount)
            let outcome = try box.run("true")
            #expect(outcome.failure?.code == each.code, "\(each.mount.options ?? []): \(outcome.errors)")
            #expect(outcome.errors.contains(each.name) && outcome.errors.contains(each.mount.destination))
        }
    }

    /// An image with one of everything at `/seed`.
    private func seed(_ box: ContainerFixture, device: Bool) throws {
        let root = try RootedDir(box.root)
        try root.mkdirAll("/seed/deep/er")
        try box.write("/seed/file", "text")
        try box.write("/seed/deep/er/file", "below")
        try root.symlink("/seed/link", to: "/etc/passwd")
        try root.symlink("/seed/deep/out", to: "../../../canary")
        try root.link("/seed/deep/again", toExisting: "/seed/file")
        try root.mknod("/seed/pipe", .fifo, permissions: 0o620)
        if device {
            try root.mknod("/seed/null", .characterDevice, permissions: 0o666, device: .init(major: 1, minor: 3))
        }
        // Whatever the mask of who runs the tests.
        try root.chmod("/seed/pipe", permissions: 0o620)
        if device { try root.chmod("/seed/null", permissions: 0o666) }
        try root.chown("/seed/file", uid: 33, gid: 44)
        try root.chmod("/seed/file", permissions: 0o4755)
        try root.chown("/seed/deep", uid: 7, gid: 8)
        try root.chmod("/seed/deep", permissions: 0o2775)
        try root.chmod("/seed", permissions: 0o750)
        try root.utimes("/seed/file", accessed: .keep, modified: .set(Timestamp(seconds: 1_000_000, nanoseconds: 0)))
    }

    private static let look = """
        stat -c '%n %F %a %u:%g %h %Y' /seed/file; stat -c '%n %F %a %u:%g' /seed /seed/deep /seed/pipe
        readlink /seed/link; readlink /seed/deep/out; cat /seed/deep/er/file /seed/deep/again; echo
        stat -c '%i' /seed/file /seed/deep/again; echo new > /seed/new; stat -f -c %T /seed
        """

    private func expectSeed(_ outcome: ContainerFixture.Outcome) {
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        let lines = outcome.lines
        #expect(lines.first == "/seed/file regular file 4755 33:44 2 1000000", "\(outcome.errors)")
        #expect(lines.contains("/seed directory 750 0:0"))
        #expect(lines.contains("/seed/deep directory 2775 7:8"))
        #expect(lines.contains("/seed/pipe fifo 620 0:0"))
        #expect(lines.contains("/etc/passwd") && lines.contains("../../../canary") && lines.contains("belowtext"))
        #expect(lines.suffix(3).first == lines.suffix(2).first)
        #expect(lines.last == "tmpfs")
    }

    @Test(arguments: [false, true])
    func aMountMayBeLeftOutWhereTheImageHasNoPlaceForIt(inUserNamespace: Bool) throws {
        let box = try inUserNamespace ? UserNamespaceTests().mapped() : ContainerFixture()
        try RootedDir(box.root).mkdirAll("/here/below")
        try RootedDir(box.root).symlink("/link", to: "/here/below")
        try RootedDir(box.root).symlink("/dangling", to: "/nowhere")
        for place in ["/here", "/link", "/dangling", "/absent/deep"] {
            let options = ["mode=711", "x-berth.if-present"]
            box.spec.mounts?.append(.init(destination: place, type: "tmpfs", source: "tmpfs", options: options))
        }
        // What one mount hides is not there for the next.
        let look = "stat -f -c %T /here; stat -c %a /here; ls -A /here; ls -d /absent /nowhere 2>/dev/null"
        let outcome = try box.run(look)
        #expect(outcome.lines == ["tmpfs", "711"], "\(outcome.errors)")
        #expect(!File.exists(box.root + "/absent") && !File.exists(box.root + "/nowhere"))
    }

    @Test func aTmpfsMayStartWithTheImagesFiles() throws {
        let box = try ContainerFixture()
        try seed(box, device: true)
        box.spec.mounts?.append(.init(destination: "/seed", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]))
        let outcome = try box.run("stat -c '%n %F %a %t:%T' /seed/null >&2;" + Self.look)
        expectSeed(outcome)
        #expect(outcome.errors.contains("/seed/null character special file 666 1:3"))
        #expect(!File.exists(box.root + "/seed/new"))
    }

    @Test func extendedAttributesAreCopiedToo() throws {
        let box = try ContainerFixture()
        try seed(box, device: false)
        // A tmpfs takes these on every kernel; those of users only since Linux 6.6.
        try RootedDir(box.root).setxattr("/seed", "trusted.place", [1, 2])
        try RootedDir(box.root).setxattr("/seed/file", "trusted.note", Array("kept".utf8))
        box.spec.mounts?.append(.init(destination: "/seed", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]))
        box.spec.process?.args = ["/bin/sh", "-c", "echo ready; read answer"]
        try box.writeConfiguration()
        let waiting = try Pipe().ends()
        let told = try Pipe().ends()
        var spawn = Spawn(arguments: ["sandbox-run", box.bundle], environment: [])
        spawn.descriptors = [0: waiting.reader.raw, 1: told.writer.raw]
        let child = try spawn.start(try ContainerFixture.helper())
        #expect(try told.reader.read(upTo: 16) == Array("ready\n".utf8))
        let inner = try #require(try ProcessFacts.children(of: child.pid).first)
        let seen = try RootedDir("/proc/\(inner)/cwd/seed")
        #expect(try seen.getxattr("file", "trusted.note") == Array("kept".utf8))
        #expect(try seen.getxattr(".", "trusted.place") == [1, 2])
        try waiting.writer.writeAll("\n")
        #expect(try child.pidfd.wait() == .exited(0))
    }

    @Test func itMayInAUserNamespace() throws {
        let box = try UserNamespaceTests().mapped()
        try seed(box, device: false)
        box.spec.mounts?.append(.init(destination: "/seed", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]))
        expectSeed(try box.run(Self.look))
    }

    @Test func aCopyIsBounded() throws {
        let box = try ContainerFixture()
        try seed(box, device: false)
        func mount(_ options: [String]) -> RuntimeSpec.Mount {
            .init(destination: "/seed", type: "tmpfs", source: "tmpfs", options: options)
        }
        let plain = box.spec.mounts ?? []
        box.spec.mounts = plain + [mount(["tmpcopyup", "ro", "mode=0700", "nosymfollow"])]
        let outcome = try box.run("stat -c %a /seed; cat /seed/deep/er/file; echo x > /seed/new || echo refused")
        #expect(outcome.lines == ["700", "belowrefused"], "\(outcome.errors)")
        // One without the directory says nothing of how it should be.
        box.spec.mounts = plain + [.init(destination: "/none", type: "tmpfs", source: "t", options: ["tmpcopyup"])]
        #expect(try box.run("stat -c %a /none").lines == ["1777"])
        try box.write("/seed/big", String(repeating: "x", count: 1 << 17))
        box.spec.mounts = plain + [mount(["tmpcopyup", "size=64k"])]
        let full = try box.run("true")
        #expect(full.failure?.errno == Errno.noSpace.rawValue, "\(full.errors)")
        #expect(full.errors.contains("/big") && full.failure?.object == "/seed")
        try RootedDir(box.root).unlink("/seed/big")
        try RootedDir(box.root).mkdirAll("/seed" + String(repeating: "/d", count: 120))
        box.spec.mounts = plain + [mount(["tmpcopyup"])]
        #expect(try box.run("true").failure?.errno == Errno.nameTooLong.rawValue)
    }
}
