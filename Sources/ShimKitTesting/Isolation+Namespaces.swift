internal import Kernel

extension Conformance {
    /// Namespaces (runtime-spec "linux.namespaces"), but for those of users.
    static let namespaces: [Check] =
        ["pid", "network", "ipc", "uts", "mount", "cgroup", "time"].map(newNamespace)
        + ["network", "ipc", "uts", "cgroup", "time", "pid"].map(sharedNamespace)
        + [
            ("network", Namespace.Kinds.network), ("ipc", .ipc), ("uts", .uts), ("cgroup", .cgroup), ("pid", .pid),
            ("time", .time), ("mount", .mount),
        ].map(joinedNamespace) + [
            isolated("ownProcessesAreNumberedFromOne", "2.4 namespaces") { box in
                let report = try box.run()
                try report.expect("pid", "1")
                try report.expect("ppid", "0")
            },
            refused("pathOfANamespaceIsOfItsType", "2.4 namespaces") { box in
                box.namespace("ipc", "/proc/self/ns/net")
            },
            refused("pathOfANamespaceIsAbsolute", "2.4 namespaces") { $0.namespace("network", "proc/self/ns/net") },
            refused("pathOfANamespaceIsThere", "2.4 namespaces") { $0.namespace("network", "/proc/self/ns/none") },
            refused("namespaceIsListedOnce", "2.4 namespaces") { box in
                box.linux["namespaces"].elements.append(["type": "ipc"])
            },
            refused("namespaceIsOfAKnownType", "2.4 namespaces") { box in
                box.linux["namespaces"].elements.append(["type": "thread"])
            },
            isolated("clocksAreOffset", "2.4 timeOffsets") { box in
                box.namespace("time")
                box.linux["timeOffsets"] = [
                    "monotonic": ["secs": 86400, "nanosecs": 500_000_000], "boottime": ["secs": 604_800],
                ]
                let report = try box.run()
                let here = Clock.monotonic.now - Timestamp(seconds: 0, nanoseconds: 0)
                try near(report["monotonic"], here, plus: .seconds(86400))
                let up = try File.readText("/proc/uptime").split(separator: " ").first.flatMap { Double($0) } ?? 0
                let seen = Double(report["boottime"] ?? "") ?? 0
                try require(abs(seen / 1e9 - up - 604_800) < 60, "boot time \(seen), here \(up)")
            },
            refused("offsetsNeedAnOwnNamespace", "2.4 timeOffsets") { box in
                box.linux["timeOffsets"] = ["monotonic": ["secs": 10]]
            },
            refused("offsetIsOfAKnownClock", "2.4 timeOffsets") { box in
                box.namespace("time")
                box.linux["timeOffsets"] = ["realtime": ["secs": 10]]
            },
            isolated("ownNetworkHasALoopbackThatIsUp", "2.4 namespaces") { box in
                try requireEqual(box.run().members("net."), ["lo": "up"], "interfaces")
            },
        ]

    private static let fileNames = ["network": "net", "mount": "mnt"]

    private static func newNamespace(_ type: String) -> Check {
        isolated("new\(HookLog.title(type))Namespace", "2.4 namespaces") { box in
            box.namespace(type)
            let name = fileNames[type] ?? type
            let seen = try box.run()["ns.\(name)"] ?? "unknown"
            try require(seen.hasPrefix(name + ":["), "the probe says \(seen)")
            try require(try seen != namespaceIdentity("self", name), "it is the host's")
        }
    }

    private static func sharedNamespace(_ type: String) -> Check {
        isolated("absent\(HookLog.title(type))NamespaceIsTheRuntimes", "2.4 namespaces") { box in
            box.namespace(type, nil)
            if type == "uts" { box.config["hostname"] = .null }
            let name = fileNames[type] ?? type
            let container = try box.open()
            try container.run()
            let own = try namespaceIdentity("\(container.shimPid)", name)
            try box.finish(container).expect("ns.\(name)", own)
        }
    }

    private static func joinedNamespace(_ type: String, _ kind: Namespace.Kinds) -> Check {
        isolated("\(type)NamespaceIsJoinedByPath", "2.4 namespaces") { box in
            let name = fileNames[type] ?? type
            let holder = try NamespaceHolder(kind)
            box.namespace(type, holder.path(name))
            if type == "uts" { box.config["hostname"] = .null }
            try box.run().expect("ns.\(name)", holder.identity(name))
        }
    }

    private static func near(_ seen: String?, _ here: Duration, plus offset: Duration) throws {
        let value = Duration.nanoseconds(Int64(seen ?? "") ?? 0)
        let difference = value - here - offset
        try require(difference > .seconds(-60) && difference < .seconds(60), "\(value) inside, \(here) here")
    }
}
