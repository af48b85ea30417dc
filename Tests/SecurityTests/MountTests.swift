import Foundation
import Kernel
import OCISpec
import SystemFixture
import Testing

extension SecurityTests {
    /// Rows 12, 16, 17 and 30: places of mounts and devices that lead somewhere else, or begin to while they are used.
    @Suite struct MountTests {
        static let iterations = 500

        // 12 and 17: a destination that is exchanged for a link ----------------------------------------------------------

        /// What stands in the shared volume in turn: a directory, and a link to the canary or to the host's root.
        static let links = ["canary", "root", "up"]

        func prepareRace(_ box: Box, _ link: String) throws -> (String, String) {
            let root = try RootedDir(box.volume)
            try root.mkdirAll("place/inner")
            let target = ["canary": box.canary, "root": "/", "up": box.wayOut][link] ?? ""
            try root.symlink("other", to: target)
            return (box.volume + "/place", box.volume + "/other")
        }

        @Test(arguments: links, Box.Mode.allCases)
        func aDestinationThatBecomesALinkStaysInside(_ link: String, _ mode: Box.Mode) throws {
            let box = try Box(mode)
            let (one, other) = try prepareRace(box, link)
            box.spec.mounts? += [
                .init(destination: "/volume", type: "bind", source: box.volume, options: box.shared),
                .init(destination: "/volume/place/inner", type: "tmpfs", source: "target", options: ["size=4k"]),
            ]
            try race(box, one, other, "tmpfs target")
        }

        @Test(arguments: links, Box.Mode.allCases)
        func missingDestinationsAreMadeInsideOnly(_ link: String, _ mode: Box.Mode) throws {
            let box = try Box(mode)
            let (one, other) = try prepareRace(box, link)
            box.spec.mounts? += [
                .init(destination: "/volume", type: "bind", source: box.volume, options: box.shared),
                .init(destination: "/volume/place/new/a/b", type: "tmpfs", source: "target", options: ["size=4k"]),
                .init(
                    destination: "/volume/place/new/file",
                    type: "bind",
                    source: "/bin/true",
                    options: ["bind", "ro"]
                ),
            ]
            try race(box, one, other, "tmpfs target")
        }

        @Test(arguments: ["device", "working directory"])
        func whatIsMadeLaterStaysInside(_ what: String) throws {
            let box = try Box()
            let (one, other) = try prepareRace(box, "canary")
            box.spec.mounts?.append(
                .init(destination: "/volume", type: "bind", source: box.volume, options: box.shared)
            )
            if what == "device" {
                box.spec.linux?.devices = [.init(type: "c", path: "/volume/place/new/null", major: 1, minor: 3)]
            } else {
                box.spec.process?.cwd = "/volume/place/new/directory"
            }
            try race(box, one, other, nil)
        }

        /// Runs the containers while the names are exchanged; counts where the mount came to lie.
        private func race(
            _ box: Box,
            _ one: String,
            _ other: String,
            _ type: String?,
            sourceLocation: SourceLocation = #_sourceLocation
        ) throws {
            // The program says where the mount is, or what was made (and takes that away), and tries to read the canary by
            // every way that a link would give.
            let made = """
                for n in /volume/place/new /volume/other/new; do [ -e $n ] && rm -r $n && echo ' /volume/place/'; done
                rm -r \(box.canary)/new 2>/dev/null && echo elsewhere
                """
            let text = """
                \(type.map { "grep ' - \($0)' /proc/self/mountinfo" } ?? made)
                cat /volume/place/secret /volume/other/secret \(box.canary)/secret 2>/dev/null && echo LEAKED
                exit 0
                """
            let (outcome, swaps) = try Hostile.swapping(one, other, in: box.folder) {
                try box.race(Self.iterations, text, sourceLocation: sourceLocation)
            }
            let direct = outcome.lines.filter { $0.contains(" /volume/place/") }.count
            let elsewhere = outcome.lines.count - direct
            let failed = Self.iterations - outcome.tally("created")
            print(
                "race: \(Self.iterations) containers, \(swaps) exchanges, \(elsewhere + failed) hits (\(failed) refused)"
            )
            #expect(!outcome.output.contains("LEAKED"), "\(outcome.errors)", sourceLocation: sourceLocation)
            #expect(swaps > Self.iterations, sourceLocation: sourceLocation)
            #expect(direct > 0 && elsewhere + failed > 0, "the race was never met", sourceLocation: sourceLocation)
        }

        // 16: an image whose /dev is a link --------------------------------------------------------------------------

        @Test(arguments: ["/dev", "/dev/pts", "/dev/shm", "/dev/mqueue"], Box.Mode.allCases)
        func aLinkInPlaceOfDevicesIsRefused(_ place: String, _ mode: Box.Mode) throws {
            for target in ["wayOut", "canary", "/proc", "/tmp", "missing"] {
                let box = try Box(mode)
                if place != "/dev" {
                    // Without a /dev of our own, the image's is what is met.
                    box.spec.mounts?.removeAll { $0.destination == "/dev" }
                    try box.directory("/dev")
                }
                try box.link(place, to: ["wayOut": box.wayOut, "canary": box.canary][target] ?? target)
                #expect(try box.run("true").failure?.stage == "mounts", "\(place) -> \(target)")
            }
        }

        @Test(arguments: ["null", "zero", "full", "tty", "fd", "stdin", "ptmx"])
        func aLinkInPlaceOfOneDeviceIsNotFollowed(_ name: String) throws {
            let box = try Box()
            box.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            try box.directory("/dev")
            try box.link("/dev/\(name)", to: box.wayOut + "/new-\(name)")
            let outcome = try box.run("true")
            let isLink = ["fd", "stdin", "ptmx"].contains(name)
            #expect(isLink ? outcome.status == 0 : outcome.failure?.stage == "devices", "\(outcome)")
        }

        @Test func devicesOfADocumentBehindLinksStayInside() throws {
            for target in ["canary", "wayOut"] {
                let box = try Box()
                try box.link("/devices", to: target == "canary" ? box.canary : box.wayOut)
                box.spec.linux?.devices = [
                    .init(type: "c", path: "/devices/new/null", major: 1, minor: 3),
                    .init(type: "p", path: "/devices/pipe2"),
                    .init(type: "b", path: "/../../../devices/disk", major: 7, minor: 0),
                ]
                #expect(try box.run("ls \(box.canary)").lines == ["disk", "new", "pipe2"])
            }
        }

        // Places of mounts that lead out, without a race -------------------------------------------------------------

        @Test(arguments: Box.Mode.allCases)
        func linksOnTheWayToAMountStayInside(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            try box.link("/relative", to: box.wayOut)
            try box.link("/absolute", to: box.canary)
            try box.link("/chain", to: "/absolute")
            try box.link("/file", to: box.canary + "/secret")
            box.spec.mounts? += [
                .init(destination: "/relative/sub/a", type: "tmpfs", source: "m"),
                .init(destination: "/absolute/../../../../b", type: "tmpfs", source: "m"),
                .init(destination: "/chain/c", type: "tmpfs", source: "m"),
                .init(destination: "/../../../../../../up", type: "tmpfs", source: "m"),
                .init(destination: "/file", type: "bind", source: "/bin/true", options: ["bind", "ro"]),
            ]
            let outcome = try box.run("grep -c ' - tmpfs m ' /proc/self/mountinfo; ls \(box.canary)")
            #expect(outcome.lines == ["4", "c", "secret", "sub"], "\(outcome)")
        }

        @Test(arguments: ["/proc/self/fd/9", "/proc/self/cwd", "/proc/1/root"])
        func magicLinksAreNoPlaceForAMount(_ target: String) throws {
            let box = try Box()
            box.preamble = "exec 9< \(box.canary)"
            try box.link("/door", to: target)
            box.spec.mounts?.append(.init(destination: "/door/x", type: "tmpfs", source: "m"))
            #expect(try box.run("true").failure?.stage == "mounts")
        }

        // 30: nothing appears on the host ----------------------------------------------------------------------------

        @Test func mountsOfTheHostThatComeAndGoAreNoMatter() throws {
            let box = try Box()
            try File.makeDirectories(box.path + "/churn", mode: 0o755)
            // In the namespace that stands for the host's: mounts come and go while containers are made.
            box.preamble = """
                (while [ ! -e \(box.path)/stop ]; do
                    for n in 1 2 3 4 5 6 7 8 9 10; do
                        mount -t tmpfs churn \(box.path)/churn || exit
                        umount \(box.path)/churn || exit
                        echo . >> \(box.path)/count
                    done
                done) &
                churn=$!
                """
            box.postamble = "touch \(box.path)/stop; wait $churn"
            box.options = ["--tally", "300"]
            box.spec.process?.args = ["/bin/grep", "-c", "churn", "/proc/self/mountinfo"]
            let outcome = try box.run()
            let count = try String(contentsOfFile: box.path + "/count", encoding: .utf8).split(separator: "\n").count
            print("row 30: 300 containers, \(count * 2) mounts and unmounts meanwhile")
            #expect(outcome.tally("created") == 300, "\(outcome)")
            #expect(outcome.lines.allSatisfy { $0 == "0" })
            #expect(count > 50)
        }

        @Test(arguments: Box.Mode.allCases)
        func aFailureAtAnyStepLeavesNoMount(_ mode: Box.Mode) throws {
            let breaks: [(String, (Box) throws -> Void)] = [
                (
                    "mounts",
                    { $0.spec.mounts?.append(.init(destination: "/bin/busybox/x", type: "tmpfs", source: "m")) }
                ),
                ("devices", { $0.spec.linux?.devices = [.init(type: "c", path: "/bin/busybox", major: 1, minor: 3)] }),
                ("user", { $0.spec.process?.user = .init(username: "nobody-there") }),
                ("working directory", { $0.spec.process?.cwd = "/bin/busybox" }),
                ("exec", { $0.spec.process?.args = ["/nothing"] }),
            ]
            for (stage, damage) in breaks {
                let box = try Box(mode)
                box.spec.process?.args = ["/bin/true"]
                try damage(box)
                // In a user namespace a device is mounted over the file, which then is no program any more.
                let isMount = mode == .user && stage == "devices"
                let failure = try box.run().failure
                #expect(failure?.stage == stage || (isMount && failure?.stage == "exec"), "\(stage)")
            }
        }
    }
}
