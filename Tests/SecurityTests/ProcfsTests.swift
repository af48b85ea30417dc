import Foundation
import Kernel
import OCISpec
import SystemFixture
import Testing

extension SecurityTests {
    /// Rows 13, 14, 15, 19, 22 and 29: kernel file systems that are replaced, covered, or written through.
    @Suite struct ProcfsTests {
        // 13 and 19: /proc is something else --------------------------------------------------------------------------

        @Test(arguments: ["/proc", "/sys", "/sys/fs/cgroup"], Box.Mode.allCases)
        func aLinkInPlaceOfAKernelFilesystemIsRefused(_ place: String, _ mode: Box.Mode) throws {
            for target in ["/elsewhere", "wayOut", "canary", "/tmp/missing", "."] {
                let box = try Box(mode)
                try box.directory("/elsewhere")
                if place == "/sys/fs/cgroup" {
                    box.spec.mounts?.removeAll { $0.destination == "/sys" }
                    try box.directory("/sys/fs")
                }
                try box.link(place, to: ["wayOut": box.wayOut, "canary": box.canary][target] ?? target)
                #expect(try box.run("true").failure?.stage == "mounts", "\(place) -> \(target)")
            }
        }

        /// Mounts of a document that cover part of `/proc`.
        static let covers = [
            "/proc/self/attr", "/proc/self", "/proc/1", "/proc/sys", "/proc/sys/kernel", "/proc/bus", "/link/sys",
            "/proc/../proc/sys", "/proc/sys/net/ipv4",
        ]

        @Test(arguments: covers, ["tmpfs", "bind"])
        func nothingIsMountedOverProcfs(_ place: String, _ type: String) throws {
            let box = try Box()
            try box.link("/link", to: "/proc")
            let source = type == "bind" ? box.volume : "m"
            box.spec.mounts?.append(
                .init(destination: place, type: type, source: source, options: type == "bind" ? ["rbind"] : [])
            )
            let failure = try box.run("true").failure
            #expect(failure?.stage == "mounts" && failure?.code == "permissionDenied", "\(String(describing: failure))")
        }

        @Test(arguments: ["tmpfs", "bind"])
        func procItselfIsAProcfs(_ type: String) throws {
            let box = try Box()
            box.spec.mounts?.removeAll { $0.destination == "/proc" }
            let source = type == "bind" ? box.volume : "m"
            box.spec.mounts?.insert(
                .init(destination: "/proc", type: type, source: source, options: type == "bind" ? ["rbind"] : []),
                at: 0
            )
            #expect(try box.run("true").failure?.stage == "mounts")
        }

        @Test func filesThatShowTheContainersOwnNumbersMayBeCovered() throws {
            let box = try Box()
            for name in ["cpuinfo", "meminfo", "stat", "uptime", "loadavg"] {
                box.spec.mounts?.append(
                    .init(
                        destination: "/proc/" + name,
                        type: "bind",
                        source: box.canary + "/inner/readable",
                        options: ["bind", "ro"]
                    )
                )
            }
            #expect(try box.run("wc -c < /proc/meminfo").text == "128")
        }

        // 13 and 22: parameters ---------------------------------------------------------------------------------------

        @Test(arguments: Box.Mode.allCases)
        func parametersLandInTheContainersOwnNamespace(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            // The kernel lets nobody but its own root write the name of a domain as a parameter.
            let domain = mode == .host ? ["kernel.domainname": "d.test"] : [:]
            box.spec.linux?.sysctl = ["net.ipv4.ip_default_ttl": "77", "kernel.shm_rmid_forced": "1"]
                .merging(domain) { $1 }
            let names = "net/ipv4/ip_default_ttl kernel/shm_rmid_forced kernel/domainname"
            let outcome = try box.run("for n in \(names); do cat /proc/sys/$n; done")
            #expect(outcome.lines == ["77", "1", mode == .host ? "d.test" : "(none)"], "\(outcome)")
        }

        /// Each of these is the machine's, or tries to become two, or a path.
        static let refused: [(name: String, value: String)] = [
            ("kernel.core_pattern", "x"), ("kernel/core_pattern", "x"),
            ("kernel.shm_rmid_forced", "1\nkernel.core_pattern=x"),
            ("kernel.shm_rmid_forced", "1\0"), ("kernel.shm_rmid_forced=1+kernel.core_pattern", "x"),
            ("kernel.shm_rmid_forced", "1\r"), ("net..ipv4", "1"), ("net.../sys/kernel/core_pattern", "x"),
            ("net/../kernel/core_pattern", "x"), ("net.ipv4/../../kernel/core_pattern", "x"), ("vm.swappiness", "1"),
            ("fs.file-max", "1"), ("kernel.modprobe", "/x"), ("kernel.sysrq", "1"), ("net.", "1"), (".net", "1"),
            ("net.ipv4.ip_forward\0x", "1"), ("", "1"), ("kernel.hostname\n", "x"), ("user.max_user_namespaces", "1"),
        ]

        @Test(arguments: refused)
        func parametersOfTheMachineAreRefused(_ entry: (name: String, value: String)) throws {
            let box = try Box()
            box.spec.linux?.sysctl = [entry.name: Host.harmless(entry.name, entry.value)]
            #expect(try box.run("true").failure?.code == "invalidArgument", "\(entry)")
        }

        @Test(arguments: [
            (RuntimeSpec.NamespaceType.network, "net.ipv4.ip_default_ttl", "77"), (.ipc, "kernel.shm_rmid_forced", "1"),
            (.uts, "kernel.domainname", "d.test"), (.ipc, "fs.mqueue.msg_max", "11"),
        ])
        func parametersOfASharedNamespaceAreRefused(
            _ kind: RuntimeSpec.NamespaceType,
            _ name: String,
            _ value: String
        ) throws {
            let box = try Box()
            box.spec.linux?.namespaces?.removeAll { $0.type == kind }
            if kind == .uts { box.spec.hostname = nil }
            box.spec.linux?.sysctl = [name: Host.harmless(name, value)]
            #expect(try box.run("true").failure?.code == "invalidArgument")
        }

        @Test(arguments: [
            (RuntimeSpec.NamespaceType.network, "net.ipv4.ip_default_ttl"), (.ipc, "kernel.shm_rmid_forced"),
            (.uts, "kernel.domainname"),
        ])
        func parametersOfTheHostsNamespaceByItsPathAreRefused(
            _ kind: RuntimeSpec.NamespaceType,
            _ name: String
        ) throws {
            let box = try Box()
            box.spec.linux?.namespaces?.removeAll { $0.type == kind }
            let file = ["network": "net"][kind.rawValue] ?? kind.rawValue
            box.spec.linux?.namespaces?.append(.init(type: kind, path: "/proc/self/ns/\(file)"))
            if kind == .uts { box.spec.hostname = nil }
            #expect(try box.run("true").status == 0)
            box.spec.linux?.sysctl = [name: Host.harmless(name, "1")]
            #expect(try box.run("true").failure?.code == "invalidArgument")
        }

        @Test func theProcfsOfTheImageIsNotWhereParametersGo() throws {
            let box = try Box()
            // Without a /proc in the document, the image brings a look-alike.
            box.spec.mounts?.removeAll { $0.destination == "/proc" }
            try box.write("/bin/probe", "")
            try box.directory("/proc/sys/net/ipv4")
            try box.link("/proc/sys/net/ipv4/ip_default_ttl", to: box.canary + "/secret")
            box.spec.linux?.sysctl = ["net.ipv4.ip_default_ttl": "77"]
            box.spec.linux?.maskedPaths = nil
            box.spec.linux?.readonlyPaths = nil
            box.spec.process?.capabilities = .init(
                bounding: ["CAP_SYS_ADMIN"],
                effective: ["CAP_SYS_ADMIN"],
                permitted: ["CAP_SYS_ADMIN"]
            )
            let text =
                "readlink /proc/sys/net/ipv4/ip_default_ttl; mkdir /tmp/p; mount -t proc p /tmp/p; cat /tmp/p/sys/net/ipv4/ip_default_ttl"
            #expect(try box.run(text).lines == [box.canary + "/secret", "77"])
        }

        // 14: what covers masked paths --------------------------------------------------------------------------------

        @Test(
            arguments: ["/proc/sys/kernel/core_pattern", "/proc/sysrq-trigger", "zero", "file", "missing"],
            Box.Mode.allCases
        )
        func aReplacedNullDeviceIsNotUsedAsAMask(_ target: String, _ mode: Box.Mode) throws {
            let box = try Box(mode)
            box.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            try box.directory("/dev")
            switch target {
            case "zero":
                let zero = DeviceNumber(major: 1, minor: 5)
                try RootedDir(box.image).mknod("/dev/null", .characterDevice, permissions: 0o666, device: zero)
            case "file": try box.write("/dev/null", "x")
            default: try box.link("/dev/null", to: target)
            }
            // The container may not come up at all. What must never be: a mask that is not the null device.
            let outcome = try box.run("stat -c '%F %t:%T' /proc/keys /proc/timer_list")
            if outcome.failure == nil {
                #expect(outcome.lines == Array(repeating: "character special file 1:3", count: 2), "\(outcome)")
            } else {
                #expect(["devices", "masks"].contains(outcome.failure?.stage), "\(outcome)")
            }
        }

        @Test func aNullDeviceThatIsExchangedWhileMasksAreMadeIsSeen() throws {
            let box = try Box()
            // A /dev that two containers share, as a bind: nothing of it is made by us.
            let devices = try RootedDir(box.volume)
            try devices.mknod("null", .characterDevice, permissions: 0o666, device: DeviceNumber(major: 1, minor: 3))
            for name in ["zero", "full", "random", "urandom", "tty"] {
                try devices.mknod(name, .characterDevice, permissions: 0o666, device: DeviceNumber(major: 1, minor: 5))
            }
            try devices.symlink("evil", to: "/proc/sys/kernel/core_pattern")
            box.spec.mounts?.removeAll { $0.destination.hasPrefix("/dev") }
            box.spec.mounts?.append(
                .init(destination: "/dev", type: "bind", source: box.volume, options: ["rbind", "dev"])
            )
            let (outcome, swaps) = try Hostile.swapping(box.volume + "/null", box.volume + "/evil", in: box.folder) {
                try box.race(MountTests.iterations, "stat -c '%F %t:%T' /proc/keys /proc/kcore /proc/timer_list")
            }
            let failed = MountTests.iterations - outcome.tally("created")
            print("row 14: \(MountTests.iterations) containers, \(swaps) exchanges, \(failed) hits (all refused)")
            #expect(outcome.lines.allSatisfy { $0 == "character special file 1:3" }, "\(Set(outcome.lines))")
            #expect(
                failed > 0 && failed < MountTests.iterations && outcome.tally("masks") == failed,
                "\(outcome.errors)"
            )
        }

        @Test(arguments: Box.Mode.allCases)
        func masksCannotBeTakenOff(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            let text = """
                for p in /proc/kcore /proc/keys /proc/timer_list /sys/firmware /proc/interrupts; do
                    umount $p; umount -l $p; mount --bind /tmp $p; mount -o remount,rw $p
                done 2>/dev/null
                cat /proc/kcore /proc/keys /proc/timer_list /proc/interrupts | wc -c
                ls -A /sys/firmware /proc/acpi /proc/scsi /sys/devices/virtual/powercap 2>/dev/null | grep -v : | grep -c .
                touch /sys/firmware/x 2>/dev/null || echo closed
                """
            let outcome = try box.run(text)
            #expect(outcome.lines == ["0", "0", "closed"], "\(outcome)")
        }

        @Test(arguments: Box.Mode.allCases)
        func readOnlyPathsAreSo(_ mode: Box.Mode) throws {
            let box = try Box(mode)
            // Opened for writing and never written: a failure of this test must not change the host either.
            let text = """
                for f in /proc/sysrq-trigger /proc/sys/kernel/core_pattern /proc/sys/kernel/modprobe /proc/sys/vm/swappiness \
                    /proc/irq/default_smp_affinity /sys/kernel/mm/transparent_hugepage/enabled; do
                    [ -e $f ] || continue
                    (: >> $f) 2>/dev/null && echo "open $f"
                done
                echo done
                """
            #expect(try box.run(text).lines == ["done"])
        }

        // 15: the console ---------------------------------------------------------------------------------------------

        @Test(arguments: ["canary", "wayOut", "/proc/sysrq-trigger", "/dev/pts/0"], Box.Mode.allCases)
        func aLinkInPlaceOfTheConsoleIsNotFollowed(_ target: String, _ mode: Box.Mode) throws {
            let box = try Box(mode)
            box.spec.mounts?.removeAll { $0.destination == "/dev" }
            try box.directory("/dev")
            let link = ["canary": box.canary + "/secret", "wayOut": box.wayOut + "/new"][target] ?? target
            try box.link("/dev/console", to: link)
            box.spec.process?.terminal = true
            box.options = ["--terminal"]
            // It is inside whatever it points to, and what is bound is the terminal itself, wherever that comes to lie.
            let outcome = try box.run(
                "tty; stat -c %t < /dev/tty; stat -L -c '%F %t:%T' /dev/console; stat -c '%t:%T' /dev/pts/0"
            )
            if outcome.failure == nil {
                let lines = outcome.output.split(whereSeparator: { $0.isNewline }).map(String.init)
                #expect(lines.contains("character special file 88:0"), "\(outcome)")
            } else {
                #expect(outcome.failure?.stage == "console", "\(outcome)")
            }
        }

        @Test func aReplacedMultiplexerGivesNoTerminal() throws {
            for kind in ["null", "link", "tmpfs"] {
                let box = try Box()
                box.spec.mounts?.removeAll { $0.destination == "/dev/pts" }
                box.spec.mounts?.append(.init(destination: "/dev/pts", type: "tmpfs", source: "m"))
                if kind == "null" {
                    box.spec.linux?.devices = [.init(type: "c", path: "/dev/pts/ptmx", major: 1, minor: 3)]
                }
                if kind == "tmpfs" {
                    box.spec.linux?.devices = [.init(type: "c", path: "/dev/pts/ptmx", major: 5, minor: 2)]
                }
                var process = box.script("tty")
                process.terminal = true
                #expect(try box.exec([process]).failure?.stage == "console", "\(kind)")
                box.options = ["--terminal"]
                #expect(try box.run("tty").failure?.stage == "console", "\(kind)")
            }
        }
    }
}
