import Foundation
import Kernel
import OCISpec
import SystemFixture
import Testing

extension SecurityTests {
    /// Rows 2, 4, 9 and 11: what a process starts with.
    @Suite struct ProcessTests {
        // 2: descriptors and working directories of the maker ---------------------------------------------------------

        @Test(arguments: Box.Mode.allCases)
        func noDescriptorOfTheMakerIsAWorkingDirectory(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            // Every number that anything of ours could have, and directories of the host planted under some.
            box.preamble = "exec 7< / 9< \(box.canary) 60< /etc"
            try box.link("/door", to: "/proc/self/fd/9")
            try box.link("/gate", to: "/proc/1/cwd")
            let places =
                (3...64).map { "/proc/self/fd/\($0)" } + ["/door", "/door/..", "/gate", "/proc/1/root", "/dev/fd/9"]
            try box.addExecs(
                places.map { place in
                    var process = box.script("ls ../../../../..; cat secret")
                    process.cwd = place
                    return process
                }
            )
            box.spec.process?.args = ["/bin/sleep", "1000"]
            let outcome = try box.run()
            #expect(outcome.text == "", "a process saw something")
            let lines = outcome.errors.split(separator: "\n")
            #expect(lines.count == places.count)
            #expect(lines.allSatisfy { $0.contains(#""stage":"working directory""#) }, "\(outcome.errors)")
        }

        @Test(arguments: ["/proc/self/fd/3", "/proc/self/fd/4", "/proc/self/fd/9", "/door", "/door/../.."])
        func theFirstProcessNeither(_ place: String) throws {
            let box = try Box()
            box.preamble = "exec 9< /"
            try box.link("/door", to: "/proc/self/fd/9")
            box.spec.process?.cwd = place
            let outcome = try box.run("cat ../../../../..\(box.canary)/secret; pwd")
            #expect(outcome.failure?.stage == "working directory", "\(outcome)")
        }

        @Test(arguments: Box.Mode.allCases)
        func onlyTheStreamsAreOpen(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            box.preamble = "exec 5< \(box.canary)/secret 9< / 40< \(box.canary)"
            let text = "for f in /proc/self/fd/*; do echo ${f##*/} $(readlink $f); done; readlink /proc/self/cwd"
            let (first, exec) = try box.both(text)
            for result in [first, exec] {
                // The shell's own reading of the directory may be among them.
                let numbers = result.lines.filter { !$0.hasPrefix("/") }.map { $0.prefix { $0 != " " } }
                #expect(Set(numbers).isSubset(of: ["0", "1", "2", "3"]), "\(result)")
                #expect(!result.output.contains(box.canary) && result.lines.last == "/", "\(result)")
            }
        }

        @Test func relativeWorkingDirectoriesAreRefused() throws {
            for place in ["", "tmp", "../..", "/tmp\0/x"] {
                let box = try Box()
                box.spec.process?.cwd = place
                #expect(try box.run("true").failure?.code == "invalidArgument", "\(place.debugDescription)")
            }
        }

        // 4: capability sets ------------------------------------------------------------------------------------------

        @Test(arguments: ["0:0", "1000:1000", "web"], Box.Mode.allCases)
        func nothingIsInheritableOrAmbient(_ user: String, _ mode: Box.Mode) throws {
            let box = try Box(mode)
            // A program whose file grants its inheritable set to who executes it, and one with a permitted set.
            try box.directory("/opt")
            try box.copy("/bin/busybox", to: "/opt/busybox")
            try RootedDir(box.image).setxattr(
                "/opt/busybox",
                "security.capability",
                Self.fileCapabilities(inheritable: true)
            )
            box.spec.process?.user = .init(username: user)
            let (first, exec) = try box.both("cat /proc/self/status; /opt/busybox cat /proc/self/status")
            for result in [first, exec] {
                func values(_ name: String) -> [String] {
                    result.lines.filter { $0.hasPrefix(name + ":") }.map {
                        String($0.split(separator: "\t").last ?? "")
                    }
                }
                let none = ["0000000000000000", "0000000000000000"]
                #expect(values("CapInh") == none && values("CapAmb") == none, "\(result)")
                let expected = user == "0:0" ? values("CapBnd") : none
                #expect(values("CapPrm") == expected && values("CapEff") == expected, "\(result)")
                #expect(values("NoNewPrivs") == ["1", "1"])
            }
        }

        /// The extended attribute of version 2 with every capability in one set.
        private static func fileCapabilities(inheritable: Bool) -> [UInt8] {
            let all: [UInt8] = [0xff, 0xff, 0xff, 0xff]
            let none: [UInt8] = [0, 0, 0, 0]
            let word = (inheritable ? none + all : all + none)
            return [1, 0, 0, 2] + word + word
        }

        // 9: a large document -----------------------------------------------------------------------------------------

        @Test func aLargeEnvironmentIsWholeOrRefused() throws {
            let box = try Box()
            let variables = (0..<4000).map { "V\($0)=" + String(repeating: "x", count: 50) }
            box.spec.process?.env = ["PATH=/bin"] + variables
            let whole = try box.run("env | grep -c ^V; env | grep ^V | wc -c")
            #expect(whole.lines == ["4000", "\(variables.reduce(0) { $0 + $1.utf8.count + 1 })"], "\(whole)")
            box.spec.process?.env = ["PATH=/bin", "LARGE=" + String(repeating: "x", count: 200 << 10)]
            #expect(try box.run("true").failure?.code == "invalidArgument")
        }

        @Test func manyMountsAreAllThereOrRefused() throws {
            for count in [300, 5000] {
                let box = try Box()
                box.spec.mounts? += (0..<count).map {
                    .init(destination: "/m/\($0)", type: "tmpfs", source: "m\($0)", options: ["size=4k"])
                }
                let outcome = try box.run("grep -c ' /m/' /proc/self/mountinfo")
                if let failure = outcome.failure {
                    // One limit of the kernel is met: descriptors or mounts. Never fewer mounts than asked for.
                    #expect(count > 300 && [24, 28].contains(failure.errno), "\(outcome)")
                } else {
                    #expect(outcome.text == "\(count)", "\(outcome)")
                }
            }
        }

        // 11: the mask of new files -----------------------------------------------------------------------------------

        @Test(arguments: ["0000", "0777", "0027"])
        func theMaskIsTheContainersOwn(_ mask: String) throws {
            let box = try Box()
            box.preamble = "umask \(mask)"
            let text = "grep Umask /proc/self/status; touch /tmp/f$$; stat -c %a /tmp/f$$ /dev/null /dev/pts /m"
            box.spec.mounts?.append(.init(destination: "/m/inner", type: "tmpfs", source: "m"))
            let (first, exec) = try box.both(text)
            for result in [first, exec] {
                #expect(result.lines == ["Umask:\t0022", "644", "666", "755", "755"], "\(result)")
            }
        }
    }
}
