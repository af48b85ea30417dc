internal import Kernel

extension Conformance {
    /// Devices, masks, kernel parameters, interfaces, the cgroup (runtime-spec "linux").
    static let places: [Check] = [
        isolated("defaultDevicesAreThere", "2.4 default devices") { box in
            let numbers = [
                "null": "1:3", "zero": "1:5", "full": "1:7", "random": "1:8", "urandom": "1:9", "tty": "5:0",
            ]
            let names = numbers.keys.sorted()
            let container = try box.open(names.map { "stat=/dev/\($0)" } + names.map { "open=rw:/dev/\($0)" })
            try container.run()
            let report = try box.finish(container)
            for (name, number) in numbers {
                try report.expect("stat=/dev/\(name)", "c \(number) 666 0 0")
                // There is no terminal to open.
                if name != "tty" { try report.expectSuccess("open=rw:/dev/\(name)") }
            }
        },
        isolated("multiplexerIsTheContainersOwn", "2.4 default devices") { box in
            let report = try box.run("open=rw:/dev/ptmx", "list=/dev/pts")
            try report.expectSuccess("open=rw:/dev/ptmx")
            try report.expect("list=/dev/pts", "ptmx")
        },
        isolated("linksOfDevAreThere", "2.4 /dev symlinks") { box in
            let links = ["fd": "", "stdin": "/0", "stdout": "/1", "stderr": "/2"]
            let report = try box.run("link=/dev/fd", "link=/dev/stdin", "link=/dev/stdout", "link=/dev/stderr")
            for (name, end) in links { try report.expect("link=/dev/\(name)", "/proc/self/fd" + end) }
        },
        isolated("defaultFileSystemsAreThere", "2.4 default filesystems") { box in
            box.mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"])
            let report = try box.run()
            for (place, type) in ["/proc": "proc", "/sys": "sysfs", "/dev/pts": "devpts", "/dev/shm": "tmpfs"] {
                try requireEqual(report.mount(place).type, type, place)
            }
        },
        isolated("listedDevicesAreMade", "2.4 devices") { box in
            box.linux["devices"] = [
                ["type": "c", "path": "/dev/char", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8],
                ["type": "u", "path": "/dev/deep/raw", "major": 1, "minor": 5, "fileMode": 0o600],
                ["type": "b", "path": "/dev/block", "major": 7, "minor": 200, "fileMode": 0o660],
                ["type": "p", "path": "/dev/pipe", "fileMode": 0o622],
            ]
            let report = try box.run("stat=/dev/char", "stat=/dev/deep/raw", "stat=/dev/block", "stat=/dev/pipe")
            try report.expect("stat=/dev/char", "c 1:3 640 7 8")
            try report.expect("stat=/dev/deep/raw", "c 1:5 600 0 0")
            try report.expect("stat=/dev/block", "b 7:200 660 0 0")
            try report.expect("stat=/dev/pipe", "p 0:0 622 0 0")
        },
        refused("deviceIsNotAnotherThanTheFileThere", "2.4 devices") { box in
            try box.write("/node", "a file")
            box.linux["devices"] = [["type": "c", "path": "/node", "major": 1, "minor": 3]]
        },
        refused("deviceIsOfAKnownType", "2.4 devices") { box in
            box.linux["devices"] = [["type": "x", "path": "/dev/odd", "major": 1, "minor": 3]]
        },
        isolated("devicesOutsideOfTheListAreClosed", "2.5 devices") { box in
            box.linux["resources"]["devices"] = [
                ["allow": false, "access": "rwm"],
                ["allow": true, "type": "c", "major": 1, "minor": 9, "access": "r"],
            ]
            box.linux["devices"] = [["type": "c", "path": "/dev/closed", "major": 1, "minor": 4]]
            let report = try box.run("open=r:/dev/closed", "open=r:/dev/urandom", "open=rw:/dev/null")
            try report.expectError("open=r:/dev/closed", "EPERM")
            for command in ["open=r:/dev/urandom", "open=rw:/dev/null"] { try report.expectSuccess(command) }
        },
        isolated("laterDeviceRulesWin", "2.5 devices") { box in
            box.linux["resources"]["devices"] = [
                ["allow": false, "access": "rwm"],
                ["allow": true, "type": "c", "major": 1, "minor": 4, "access": "rw"],
                ["allow": false, "type": "c", "major": 1, "minor": 4, "access": "w"],
            ]
            box.linux["devices"] = [["type": "c", "path": "/dev/port", "major": 1, "minor": 4]]
            box.capabilities(usualAnd("CAP_SYS_RAWIO"))
            try box.run("open=w:/dev/port").expectError("open=w:/dev/port", "EPERM")
        },
        isolated("maskedPathsAreUnreadable", "2.4 maskedPaths") { box in
            try box.makeDirectory("/hidden")
            try box.write("/hidden/file", "secret")
            try box.write("/secret", "secret")
            box.linux["maskedPaths"] = ["/hidden", "/secret", "/absent", "/proc/timer_list"]
            let report = try box.run("list=/hidden", "read=/secret", "read=/proc/timer_list", "open=wc:/hidden/new")
            try report.expect("list=/hidden", "")
            try report.expect("read=/secret", "")
            try report.expect("read=/proc/timer_list", "")
            try report.expectError("open=wc:/hidden/new", "EROFS")
        },
        isolated("readonlyPathsAreSo", "2.4 readonlyPaths") { box in
            try box.makeDirectory("/fixed")
            box.linux["readonlyPaths"] = ["/fixed", "/proc/sys", "/absent"]
            let report = try box.run("open=wc:/fixed/new", "write=/proc/sys/kernel/hostname:new", "open=wc:/free")
            try report.expectError("open=wc:/fixed/new", "EROFS")
            try report.expectError("write=/proc/sys/kernel/hostname:new", "EROFS")
            try report.expectSuccess("open=wc:/free")
        },
        isolated("kernelParametersAreSet", "2.4 sysctl") { box in
            let values = [
                "net.ipv4.ip_default_ttl": "77", "kernel.shm_rmid_forced": "1", "kernel.msgmax": "9000",
                "fs.mqueue.msg_max": "17",
            ]
            let before = try File.readText("/proc/sys/net/ipv4/ip_default_ttl")
            for (name, value) in values { box.linux["sysctl"][name] = .text(value) }
            let container = try box.open(values.keys.map { "read=/proc/sys/" + $0.replacing(".", with: "/") })
            try container.run()
            let report = try box.finish(container)
            for (name, value) in values { try report.expect("read=/proc/sys/" + name.replacing(".", with: "/"), value) }
            try requireEqual(File.readText("/proc/sys/net/ipv4/ip_default_ttl"), before, "the host's own")
        },
        refused("parameterOfTheHostIsRefused", "2.4 sysctl") { $0.linux["sysctl"] = ["vm.swappiness": "61"] },
        refused("parameterOfASharedNamespaceIsRefused", "2.4 sysctl") { box in
            box.namespace("ipc", nil)
            box.linux["sysctl"] = ["kernel.msgmax": "8192"]
        },
        refused("unknownParameterIsRefused", "2.4 sysctl") { $0.linux["sysctl"] = ["net.no.such.parameter": "1"] },
        rootPropagation("private", shows: []), rootPropagation("slave", shows: []),
        rootPropagation("shared", shows: ["shared"]), rootPropagation("unbindable", shows: ["unbindable"]),
        refused("unknownPropagationIsRefused", "2.4 rootfsPropagation") {
            $0.linux["rootfsPropagation"] = "everywhere"
        },
        refused("labelOfMountsNeedsSELinux", "2.4 mountLabel", needs: .noSELinux) { box in
            box.linux["mountLabel"] = "system_u:object_r:container_file_t:s0:c1,c2"
        },
        isolated("interfaceIsMoved", "2.4 netDevices") { box in
            box.hasOwnNetwork = true
            box.hostScript = """
                ip link add veth7 type veth peer name veth8
                ip addr add 192.0.2.7/24 dev veth7; ip link set veth7 up
                """
            box.linux["netDevices"] = ["veth7": ["name": "eth7"], "veth8": .object([:])]
            let report = try box.run()
            try requireEqual(report.members("net."), ["lo": "up", "eth7": "up", "veth8": "up"], "interfaces")
            try require(report.all("address").contains("eth7 192.0.2.7"), "addresses: \(report.all("address"))")
        },
        refused("movedInterfaceIsThere", "2.4 netDevices") { $0.linux["netDevices"] = ["nosuch7": ["name": "eth7"]] },
        refused("movedInterfaceClashesWithNone", "2.4 netDevices") { box in
            box.hasOwnNetwork = true
            box.hostScript = "ip link add veth7 type veth peer name veth8"
            box.linux["netDevices"] = ["veth7": ["name": "lo"]]
        },
    ]

    static func usualAnd(_ names: String...) -> [String] { IsolationBox.usualCapabilities + names }

    private static func rootPropagation(_ word: String, shows: [String]) -> Check {
        isolated("rootIs\(HookLog.title(word))", "2.4 rootfsPropagation") { box in
            box.linux["rootfsPropagation"] = .text(word)
            // A slave has a master only where the mount that the root comes from is shared.
            let seen = try box.run().mount("/").propagationKinds.filter { word != "slave" || $0 != "master" }
            try requireEqual(seen, shows, "propagation of the root")
        }
    }
}
