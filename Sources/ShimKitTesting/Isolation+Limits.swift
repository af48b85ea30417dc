internal import Kernel
internal import ShimProtocol

extension Conformance {
    /// The cgroup, and that limits reach its files (runtime-spec "linux.resources"); that they bite is tested elsewhere.
    static let limits: [Check] = [
        isolated("cgroupIsWhereTheDocumentSays", "2.4 cgroupsPath") { box in
            let (container, _) = try box.hold()
            let groups = try File.readText("/proc/\(container.state().pid)/cgroup").split(separator: "\n")
            let controllers =
                ["memory", "pids", "devices", "cpu", "freezer"] + (KernelFeature.cgroup2.isPresent ? [""] : [])
            for group in groups {
                let parts = group.split(separator: ":", omittingEmptySubsequences: false)
                guard parts.count == 3, controllers.contains(String(parts[1])) else { continue }
                try requireEqual(String(parts[2]), box.bundle.cgroupPath, "cgroup of '\(parts[1])'")
            }
            try container.kill(.kill)
        },
        isolated("cgroupNamespaceHidesThePath", "2.4 namespaces") { box in
            box.namespace("cgroup")
            let report = try box.run()
            for group in report.all("cgroup") where group.contains("memory") || group.contains("pids") {
                try require(group.hasSuffix(":/"), group)
            }
            try require(!report.all("cgroup").contains { $0.contains(box.bundle.cgroupPath) }, "the path is seen")
        },
        isolated("relativePathIsSomewhere", "2.4 cgroupsPath") { box in
            box.linux["cgroupsPath"] = .text("berth-\(box.bundle.id)")
            let (container, _) = try box.hold()
            let groups = try File.readText("/proc/\(container.state().pid)/cgroup")
            try require(groups.contains(box.bundle.id), groups)
            try container.kill(.kill)
        },
        landed(
            "memoryLimit",
            ["memory": ["limit": 67_108_864]],
            [
                .v1("memory", "memory.limit_in_bytes", "67108864"), .v2("memory.max", "67108864"),
            ]
        ),
        landed(
            "memoryReservation",
            ["memory": ["limit": 67_108_864, "reservation": 33_554_432]],
            [
                .v1("memory", "memory.soft_limit_in_bytes", "33554432"), .v2("memory.low", "33554432"),
            ]
        ),
        landed(
            "swapLimit",
            ["memory": ["limit": 67_108_864, "swap": 100_663_296]],
            [
                .v1("memory", "memory.memsw.limit_in_bytes", "100663296"), .v2("memory.swap.max", "33554432"),
            ]
        ),
        landed(
            "cpuShares",
            ["cpu": ["shares": 512]],
            [
                .v1("cpu", "cpu.shares", "512"), .v2("cpu.weight", "20", "59"),
            ]
        ),
        landed(
            "cpuQuota",
            ["cpu": ["quota": 50_000, "period": 200_000]],
            [
                .v1("cpu", "cpu.cfs_quota_us", "50000"), .v1("cpu", "cpu.cfs_period_us", "200000"),
                .v2("cpu.max", "50000 200000"),
            ]
        ),
        landed(
            "cpuBurst",
            ["cpu": ["quota": 50_000, "period": 100_000, "burst": 10_000]],
            [
                .v1("cpu", "cpu.cfs_burst_us", "10000"), .v2("cpu.max.burst", "10000"),
            ]
        ),
        landed("cpuIdle", ["cpu": ["idle": 1]], [.v1("cpu", "cpu.idle", "1"), .v2("cpu.idle", "1")]),
        landed(
            "cpuSet",
            ["cpu": ["cpus": "0", "mems": "0"]],
            [
                .v1("cpuset", "cpuset.cpus", "0"), .v1("cpuset", "cpuset.mems", "0"), .v2("cpuset.cpus", "0"),
                .v2("cpuset.mems", "0"),
            ]
        ),
        landed("pidsLimit", ["pids": ["limit": 77]], [.v1("pids", "pids.max", "77"), .v2("pids.max", "77")]),
        landed("pidsLimitOfNone", ["pids": ["limit": -1]], [.v1("pids", "pids.max", "max"), .v2("pids.max", "max")]),
        landed(
            "hugePages",
            ["hugepageLimits": [["pageSize": "2MB", "limit": 4_194_304]]],
            [
                .v1("hugetlb", "hugetlb.2MB.limit_in_bytes", "4194304"), .v2("hugetlb.2MB.max", "4194304"),
            ]
        ),
        landed(
            "unifiedFiles",
            ["unified": ["memory.high": "50331648", "pids.max": "55"]],
            needs: .cgroup2,
            [
                .v2("memory.high", "50331648"), .v2("pids.max", "55"),
            ]
        ),
        refused("unifiedFileOfAnAbsentController", "2.5 unified", needs: .cgroup2) { box in
            box.linux["resources"]["unified"] = ["nosuch.max": "1"]
        },
        refused("limitBelowNothingIsRefused", "2.1 valid values") { box in
            box.linux["resources"]["memory"] = ["limit": -7]
        },
        isolated("cgroupOfAMappedContainerIsItsOwn", "2.4 cgroup ownership", needs: .cgroup2) { box in
            box.userNamespace()
            box.namespace("cgroup")
            try box.makeDirectory("/sys")
            box.mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev"])
            box.mount("/sys/fs/cgroup", "cgroup2", "cgroup", ["nosuid", "noexec", "nodev", "rw"])
            let report = try box.run("stat=/sys/fs/cgroup/cgroup.procs", "mkdir=/sys/fs/cgroup/below")
            try report.expect("stat=/sys/fs/cgroup/cgroup.procs", "- 0:0 644 0 0")
            try report.expectSuccess("mkdir=/sys/fs/cgroup/below")
        },
        isolated("readOnlyCgroupMountIsSo", "2.1 mounts") { box in
            box.namespace("cgroup")
            box.mount("/sys", "sysfs", "sysfs", ["nosuid", "noexec", "nodev", "ro"])
            box.mount("/sys/fs/cgroup", "cgroup", "cgroup", ["nosuid", "noexec", "nodev", "relatime", "ro"])
            let place = KernelFeature.cgroup2.isPresent ? "" : "/memory"
            let report = try box.run("stat=/sys/fs/cgroup\(place)/cgroup.procs", "mkdir=/sys/fs/cgroup\(place)/new")
            try report.expectSuccess("stat=/sys/fs/cgroup\(place)/cgroup.procs")
            try report.expectError("mkdir=/sys/fs/cgroup\(place)/new", "EROFS")
        },
    ]

    /// A file of one version that must hold one of some values.
    private struct Landing: Sendable {
        var isUnified: Bool
        var directory: String
        var name: String
        var values: [String]

        static func v1(_ controller: String, _ name: String, _ values: String...) -> Landing {
            Landing(isUnified: false, directory: "/sys/fs/cgroup/\(controller)", name: name, values: values)
        }

        static func v2(_ name: String, _ values: String...) -> Landing {
            Landing(isUnified: true, directory: "/sys/fs/cgroup", name: name, values: values)
        }

        /// The same in the second version's tree beside those of the first; nil where that has no such controller.
        func besideVersion1() throws -> Landing? {
            let tree = "/sys/fs/cgroup/unified"
            guard isUnified, File.exists(tree + "/cgroup.controllers") else { return nil }
            let controllers = try File.readText(tree + "/cgroup.controllers").split(whereSeparator: \.isWhitespace)
            guard controllers.contains(where: { name.hasPrefix($0 + ".") }) else { return nil }
            return Landing(isUnified: true, directory: tree, name: name, values: values)
        }

        /// Whether the kernel has the file for groups below the top.
        func exists(_ group: String) -> Bool { File.exists("\(directory)\(group)/\(name)") }
    }

    private static func landed(
        _ name: String,
        _ resources: Document,
        needs: KernelFeature? = nil,
        _ places: [Landing]
    ) -> Check {
        isolated("\(name)ReachesItsFile", "2.5 resources", needs: needs) { box in
            box.linux["resources"] = resources
            let isUnified = KernelFeature.cgroup2.isPresent
            var relevant = places.filter { $0.isUnified == isUnified && File.exists($0.directory) }
            if relevant.isEmpty { relevant = try places.compactMap { try $0.besideVersion1() } }
            // A controller that no hierarchy has: the limit cannot be honoured, and must not be ignored.
            guard !relevant.isEmpty else { return try box.expectRefusal(name) }
            let (container, _) = try box.hold()
            for place in relevant {
                let group = box.bundle.cgroupPath
                try require(place.exists(group), "\(place.directory)\(group)/\(place.name) is missing")
                let seen = try File.readText("\(place.directory)\(group)/\(place.name)").filter { $0 != "\n" }
                try require(place.values.contains(seen), "\(place.name): \(seen), not \(place.values)")
            }
            try container.kill(.kill)
        }
    }
}
