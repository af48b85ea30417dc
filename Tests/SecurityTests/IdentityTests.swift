import Foundation
import Kernel
import OCISpec
import SystemFixture
import Testing

extension SecurityTests {
    /// Rows 5, 6, 7 and 24: who a process is, by the texts of a hostile image.
    @Suite struct IdentityTests {
        /// Texts that must be exactly these ids, or nil for a refusal.
        ///
        /// The image maps every one of the odd texts to uid 0 in its passwd file.
        static let table: [(text: String, ids: String?)] = [
            ("1", "1 1"), ("1:1", "1 1"), ("0001", "1 1"), ("00", "0 0"), ("33", "33 44"), ("33:0", "33 0"),
            ("web", "33 44"), ("web:1", "33 1"), ("web:web", "33 44"), ("1:web", "1 44"), ("7:7", "7 7"),
            ("7", "7 0"), ("4294967294", "4294967294 0"), ("2147483648", "2147483648 0"),
            ("2147483647", "2147483647 0"),
            ("1:", nil), (":1", nil), (":", nil), ("web:", nil), ("4294967295", nil), ("4294967296", nil),
            ("4294967297", nil), ("99999999999", nil), ("18446744073709551616", nil), ("-1", nil), ("-2", nil),
            ("+1", nil), ("0x0", nil), ("0x1", nil), ("1000 ", nil), (" 1000", nil), ("1 000", nil), ("1\n", nil),
            ("1:4294967295", nil), ("1:-1", nil), ("1:4294967296", nil), ("web:4294967296", nil), ("nobody-there", nil),
            ("1:nobody-there", nil), ("web\n0", nil), ("web:web:web", nil), ("1e3", "5 5"), ("٣", "5 5"),
        ]

        func prepare(_ box: Box) throws {
            let odd = Self.table.filter { $0.ids == nil }.map(\.text).filter {
                !$0.contains(":") && !$0.contains("\n") && $0 != "nobody-there"
            }
            let entries =
                odd.map { "\($0):x:0:0:root:/root:/bin/sh" } + [
                    "1e3:x:5:5::/:", "٣:x:5:5::/:", "one:x:1:1::/:", "root:x:0:0::/root:", "web:x:33:44::/:",
                ]
            try box.write("/etc/passwd", entries.joined(separator: "\n") + "\n")
            let groups = odd.map { "\($0):x:0:" } + ["web:x:44:"]
            try box.write("/etc/group", groups.joined(separator: "\n") + "\n")
        }

        @Test(arguments: Box.Mode.allCases)
        func numbersAreNumbersAndNamesAreNames(_ mode: Box.Mode) throws {
            // In a user namespace the ids beyond its range cannot be had, which is a refusal as well.
            let box = try Box(mode)
            try prepare(box)
            try box.addExecs(
                Self.table.map { entry in
                    var process = box.script("echo \"$(id -u) $(id -g)\"")
                    process.user = .init(username: entry.text)
                    return process
                }
            )
            box.spec.process?.args = ["/bin/sleep", "1000"]
            let outcome = try box.run()
            var output = outcome.lines[...]
            let ends = outcome.errors.split(separator: "\n").filter { $0.hasPrefix("exec ") }
            try #require(ends.count == Self.table.count, "\(outcome)")
            for (entry, end) in zip(Self.table, ends) {
                guard end.hasSuffix(": 0") else {
                    if mode == .user, let ids = entry.ids, ids.split(separator: " ").contains(where: { $0.count > 5 }) {
                        // Right as a number, and nobody in a user namespace of 65,536 ids.
                        #expect(end.contains(#""code":"invalidArgument""#), "\(entry.text.debugDescription): \(end)")
                        continue
                    }
                    #expect(entry.ids == nil, "\(entry.text.debugDescription): \(end)")
                    #expect(end.contains(#""stage":"user""#), "\(entry.text.debugDescription): \(end)")
                    continue
                }
                #expect(output.popFirst() == entry.ids, "\(entry.text.debugDescription)")
            }
        }

        @Test(arguments: ["1", "0001", "1:", "4294967296", "-1", "0x0", "1000 ", "99999999999"])
        func theFirstProcessHasTheSameRules(_ text: String) throws {
            let box = try Box()
            try prepare(box)
            box.spec.process?.user = .init(username: text)
            let outcome = try box.run("echo \"$(id -u) $(id -g)\"")
            let expected = try #require(Self.table.first { $0.text == text })
            if let ids = expected.ids {
                #expect(outcome.text == ids, "\(outcome)")
            } else {
                #expect(outcome.failure?.stage == "user", "\(outcome)")
            }
        }

        @Test func idsOfADocumentThatMeanNoChangeAreRefused() throws {
            for user in [RuntimeSpec.User(uid: .max, gid: 0), .init(uid: 0, gid: .max)] {
                let box = try Box()
                box.spec.process?.user = user
                #expect(try box.run("id").failure?.code == "invalidArgument")
            }
        }

        // 7: groups that are denied something -------------------------------------------------------------------------

        @Test(arguments: Box.Mode.allCases)
        func theDenialOfAGroupBindsWhoHasItAsPrimary(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            try box.write("/tmp/denied", "secret")
            try RootedDir(box.image).chown("/tmp/denied", uid: 77, gid: 44)
            try RootedDir(box.image).chmod("/tmp/denied", permissions: 0o604)
            // A program that changes the primary group: only the list of groups still knows the denied one then.
            try box.directory("/opt")
            try box.copy(try Hostile.program(), to: "/opt/hostile")
            try RootedDir(box.image).chown("/opt/hostile", uid: 0, gid: 99)
            try RootedDir(box.image).chmod("/opt/hostile", permissions: 0o2755)
            let text = "grep Groups /proc/self/status; hostile read /tmp/denied; /opt/hostile read /tmp/denied"
            let users: [RuntimeSpec.User] = [
                .init(uid: 1000, gid: 44), .init(uid: 1000, gid: 7, additionalGids: [44]), .init(username: "web"),
                .init(username: "1000:44"), .init(username: "1000:web"),
            ]
            for user in users {
                box.options = []
                box.spec.process?.noNewPrivileges = false
                var process = box.script(text)
                process.user = user
                process.capabilities = .init()
                let outcome = try box.exec([process])
                let groups = outcome["Groups"]?.split(separator: " ") ?? []
                #expect(groups.contains("44"), "\(outcome)")
                #expect(outcome.lines.dropFirst() == ["refused", "refused"], "\(outcome)")
            }
        }

        // 24: files of the image that lead out, wait, or never end ----------------------------------------------------

        static let traps: [(name: String, isAbsent: Bool, make: @Sendable (Box, String) throws -> Void)] = [
            ("link to the host", true, { try $0.link($1, to: $0.canary + "/secret") }),
            ("relative link to the host", true, { try $0.link($1, to: $0.wayOut + "/secret") }),
            ("magic link", false, { try $0.link($1, to: "/proc/self/fd/3") }),
            ("magic root", false, { try $0.link($1, to: "/proc/1/root" + $0.canary + "/secret") }),
            ("link to itself", false, { try $0.link($1, to: $1) }),
            (
                "pipe", false,
                {
                    try $0.remove($1); try RootedDir($0.image).mknod($1, .fifo, permissions: 0o644)
                }
            ),
            (
                "endless device", false,
                {
                    let zero = DeviceNumber(major: 1, minor: 5)
                    try $0.remove($1)
                    try RootedDir($0.image).mknod($1, .characterDevice, permissions: 0o644, device: zero)
                }
            ),
            (
                "giant without content", false,
                {
                    try $0.remove($1); try RootedDir($0.image).create($1).truncate(to: 10 << 30)
                }
            ),
            (
                "directory", false,
                {
                    try $0.remove($1); try $0.directory($1)
                }
            ),
        ]

        @Test(arguments: ["/etc/passwd", "/etc/group"], Box.Mode.allCases)
        func aTrapIsNotFollowed(_ file: String, _ mode: Box.Mode) throws {
            for trap in Self.traps {
                let box = try Box(mode)
                try trap.make(box, file)
                box.spec.process?.user = .init(username: "web")
                let begin = Clock.monotonic.now
                let outcome = try box.run("id")
                if trap.isAbsent, file == "/etc/group" {
                    // Inside, the link leads nowhere: there is no such file, so nobody is in any group.
                    #expect(outcome.lines == ["uid=33(web) gid=44 groups=44"], "\(trap.name): \(outcome)")
                } else {
                    #expect(outcome.failure?.stage == "user", "\(trap.name): \(outcome)")
                }
                #expect(Clock.monotonic.now - begin < .seconds(5), "\(trap.name)")
                // Nothing to look up: only the home directory is not known.
                box.spec.process?.user = .init(uid: 33, gid: 33)
                #expect(try box.run("true").status == 0, "\(trap.name)")
            }
        }

        @Test func aLinkInPlaceOfEtcStaysInside() throws {
            for target in ["wayOut", "canary"] {
                let box = try Box()
                try box.write("/tmp/passwd", "")
                try box.link("/etc", to: target == "canary" ? box.canary : box.wayOut)
                box.spec.process?.user = .init(username: "web")
                #expect(try box.run("true").failure?.code == "notFound")
            }
        }

        @Test(arguments: Box.Mode.allCases)
        func legalLinksOfAnImageWork(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            // As some distributions arrange it: /etc/passwd is a link into a store, through another absolute link.
            try box.directory("/store/1/etc")
            try box.link("/etc/static", to: "/store/1/etc")
            try box.write("/store/1/etc/passwd", "web:x:35:46:w:/srv/web:/bin/sh\n")
            try box.write("/store/1/etc/group", "web:x:46:\n")
            try box.link("/etc/passwd", to: "/etc/static/passwd")
            try box.link("/etc/group", to: "static/group")
            try box.directory("/run")
            try box.directory("/var")
            try box.link("/var/run", to: "/run")
            try box.link("/var/lock", to: "../run/lock")
            try box.directory("/run/lock")
            box.spec.mounts? += [
                .init(destination: "/var/run/service", type: "tmpfs", source: "service"),
                .init(destination: "/var/lock/deep/inner", type: "tmpfs", source: "deep"),
                .init(
                    destination: "/var/run/file",
                    type: "bind",
                    source: box.canary + "/inner/readable",
                    options: ["bind", "ro"]
                ),
            ]
            box.spec.process?.user = .init(username: "web")
            box.spec.process?.cwd = "/var/run"
            let outcome = try box.run(
                "id -u; id -g; pwd -P; grep -o ' /run/[a-z/]* ' /proc/self/mountinfo; wc -c < /var/run/file"
            )
            #expect(
                outcome.lines.sorted() == [
                    " /run/file ", " /run/lock/deep/inner ", " /run/service ", "/run", "128", "35", "46",
                ],
                "\(outcome)"
            )
        }

        @Test(arguments: ["/place/inner", "/absolute/inner", "/upwards/inner"])
        func aWorkingDirectoryThroughLinksStaysInside(_ place: String) throws {
            let box = try Box()
            try box.directory("/place")
            try box.link("/absolute", to: box.canary)
            try box.link("/upwards", to: box.wayOut)
            box.spec.process?.cwd = place
            let outcome = try box.run("pwd -P; ls -a")
            let end = place == "/place/inner" ? place : box.canary + "/inner"
            #expect(outcome.lines == [end, ".", ".."], "\(outcome)")
        }
    }
}
