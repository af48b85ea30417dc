internal import Kernel
internal import ShimProtocol

extension Conformance {
    /// User namespaces and mapped mounts (runtime-spec "linux.uidMappings").
    static let userNamespaces: [Check] = [
        isolated("mappingsAreWritten", "2.4 uidMappings") { box in
            box.userNamespace()
            let report = try box.run()
            for map in ["uid_map", "gid_map"] {
                try requireEqual(words(report[map]), ["0", "100000", "65536"], map)
            }
            try report.expect("uid", "0 0 0")
            try report.expect("gid", "0 0 0")
            try require(try report["ns.user"] != namespaceIdentity("self", "user"), "the user namespace is the host's")
        },
        isolated("severalMappingsAreWritten", "2.4 uidMappings") { box in
            box.userNamespace()
            box.linux["uidMappings"] = [
                ["containerID": 0, "hostID": 100_000, "size": 1000],
                ["containerID": 1000, "hostID": 300_000, "size": 10],
            ]
            try requireEqual(words(box.run()["uid_map"]), ["0", "100000", "1000", "1000", "300000", "10"], "uid_map")
        },
        isolated("processIsTheMappedUserOutside", "2.4 uidMappings") { box in
            box.userNamespace()
            let (container, _) = try box.hold()
            let pid = try container.state().pid
            let ids = try File.readText("/proc/\(pid)/status").split(separator: "\n").first { $0.hasPrefix("Uid:") }
            try requireEqual(words(ids.map(String.init)).dropFirst().first, "100000", "real user id outside")
            try container.kill(.kill)
        },
        isolated("userInsideIsAnIdOfTheContainer", "2.3 user") { box in
            box.userNamespace()
            box.process["user"] = ["uid": 33, "gid": 44, "additionalGids": [55]]
            let report = try box.run()
            try report.expect("uid", "33 33 33")
            try report.expect("gid", "44 44 44")
            try require(
                report["groups"]?.split(separator: " ").contains("55") ?? false,
                "groups \(report["groups"] ?? "")"
            )
        },
        isolated("ownershipOfTheRootIsNotChanged", "2.4 uidMappings") { box in
            box.userNamespace()
            try box.write("/file", "")
            let report = try box.run("stat=/file")
            // Nobody's inside; outside still root's.
            try report.expect("stat=/file", "- 0:0 644 65534 65534")
            try requireEqual(File.status(box.host("/file")).uid, 0, "owner outside")
        },
        isolated("devicesWorkInAUserNamespace", "2.4 default devices") { box in
            box.userNamespace()
            let commands = ["null", "zero", "full", "random", "urandom"].map { "open=rw:/dev/\($0)" }
            let container = try box.open(commands)
            try container.run()
            let report = try box.finish(container)
            for command in commands { try report.expectSuccess(command) }
        },
        isolated("capabilitiesAreThoseOfTheNamespace", "2.3 capabilities") { box in
            box.userNamespace()
            box.capabilities(["CAP_CHOWN", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"])
            let report = try box.run("report", "write=/proc/sys/kernel/panic:7", "mount-at=tmpfs:/tmp:tmpfs")
            try report.expect("CapEff", "0000000000201001")
            try report.expectSuccess("mount-at=tmpfs:/tmp:tmpfs")
            try report.expectError("write=/proc/sys/kernel/panic:7", "EACCES", "EPERM", "EROFS")
        },
        isolated("hostnameIsSetInAUserNamespace", "2.1 hostname") { box in
            box.userNamespace()
            try box.run().expect("hostname", "isolation")
        },
        isolated("sysctlIsSetInAUserNamespace", "2.4 sysctl") { box in
            box.userNamespace()
            box.linux["sysctl"] = ["net.ipv4.ip_default_ttl": "77"]
            try box.run("read=/proc/sys/net/ipv4/ip_default_ttl").expect("read=/proc/sys/net/ipv4/ip_default_ttl", "77")
        },
        isolated("mountHasTheMappingOfTheContainer", "2.2 idmap") { try mapped($0, "idmap", below: "65534 65534") },
        isolated("mountsBelowAreMappedToo", "2.2 ridmap") { try mapped($0, "ridmap", below: "0 0") },
        isolated("execEntersTheUserNamespace", "2.4 uidMappings") { box in
            box.userNamespace()
            let (container, first) = try box.hold("report")
            let report = try box.exec(container)
            try report.expect("ns.user", first["ns.user"] ?? "")
            try report.expect("uid", "0 0 0")
            try requireEqual(words(report["uid_map"]), ["0", "100000", "65536"], "uid_map")
            try container.kill(.kill)
        },
        isolated("userNamespaceIsJoinedByPath", "2.4 namespaces") { box in
            let holder = try NamespaceHolder(.user)
            for map in ["uid_map", "gid_map"] {
                try File.writeOnce("/proc/\(holder.pid)/\(map)", "0 200000 1000")
            }
            box.namespace("user", holder.path("user"))
            let report = try box.run()
            try report.expect("ns.user", holder.identity("user"))
            try report.expect("uid", "0 0 0")
        },
        refused("mappingsDoNotOverlap", "2.4 uidMappings") { box in
            box.userNamespace()
            box.linux["uidMappings"] = [
                ["containerID": 0, "hostID": 100_000, "size": 1000],
                ["containerID": 500, "hostID": 300_000, "size": 10],
            ]
        },
    ]

    private static func words(_ text: String?) -> [String] {
        (text ?? "").split(whereSeparator: \.isWhitespace).map(String.init)
    }

    /// A bind with a mount below it, whose files are root's outside.
    private static func mapped(_ box: IsolationBox, _ word: String, below: String) throws {
        box.userNamespace()
        let (place, other) = (try box.outside("nest"), try box.outside("other"))
        try File.makeDirectories(place + "/sub", mode: 0o755)
        for path in [place, other] { try File.writeAtomically(path + "/a", [], mode: 0o644, durable: false) }
        // Of the same kind as the one above: not every kernel maps a tmpfs.
        box.hostScript = "mount --bind \(place) \(place); mount --bind \(other) \(place)/sub"
        box.bind(place, "/tmp", ["rbind", word])
        let report = try box.run("stat=/tmp/a", "stat=/tmp/sub/a")
        try report.expect("stat=/tmp/a", "- 0:0 644 0 0")
        try report.expect("stat=/tmp/sub/a", "- 0:0 644 \(below)")
    }
}
