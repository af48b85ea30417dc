internal import Kernel

extension Conformance {
    /// Further processes: in everything that the first is in (runtime-spec "exec" of the runtimes' command line).
    static let sessions: [Check] = [
        isolated("execIsInAllNamespaces", "exec namespaces") { box in
            box.namespace("cgroup")
            let (container, first) = try box.hold("report")
            let report = try box.exec(container)
            for (name, identity) in first.members("ns.") { try report.expect("ns.\(name)", identity) }
            try container.kill(.kill)
        },
        isolated("execIsInTheTimeNamespace", "exec namespaces") { box in
            box.namespace("time")
            box.linux["timeOffsets"] = ["monotonic": ["secs": 86400]]
            let (container, first) = try box.hold("report")
            let report = try box.exec(container)
            try report.expect("ns.time", first["ns.time"] ?? "")
            let times = [first, report].map { Int64($0["monotonic"] ?? "") ?? 0 }
            try require(times[0] > 0 && times[1] - times[0] < 60_000_000_000, "clocks: \(times)")
            try container.kill(.kill)
        },
        isolated("execIsInTheCgroup", "exec cgroup") { box in
            let (container, first) = try box.hold("report")
            let report = try box.exec(container)
            for group in first.all("cgroup") where !group.hasPrefix("0::") || KernelFeature.cgroup2.isPresent {
                // In a group of its own below the container's, where there is such a thing.
                try require(
                    report.all("cgroup").contains { $0.hasPrefix(group) },
                    "not in \(group): \(report.all("cgroup"))"
                )
            }
            try container.kill(.kill)
        },
        isolated("execIsInTheContainersRoot", "exec root") { box in
            try box.write("/here", "")
            let (container, first) = try box.hold("report")
            let report = try box.exec(container, ["stat=/here", "report"])
            try report.expectSuccess("stat=/here")
            try requireEqual(report.mounts.map(\.place), first.mounts.map(\.place), "mounts")
            try container.kill(.kill)
        },
        isolated("execIsWhoItSays", "exec user") { box in
            let (container, _) = try box.hold()
            let report = try box.exec(container) { process in
                process["user"] = ["uid": 1000, "gid": 2000, "additionalGids": [55], "umask": 0o77]
            }
            try report.expect("uid", "1000 1000 1000")
            try report.expect("gid", "2000 2000 2000")
            try require(report["groups"]?.split(separator: " ").contains("55") ?? false, "groups")
            try report.expect("umask", "77")
            try container.kill(.kill)
        },
        isolated("execHasItsCapabilities", "exec capabilities") { box in
            box.capabilities(["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN"])
            let (container, _) = try box.hold()
            let report = try box.exec(container) { process in
                let set: Document = ["CAP_KILL"]
                process["capabilities"] = ["bounding": set, "permitted": set, "effective": set]
            }
            for set in ["CapPrm", "CapEff", "CapBnd"] { try report.expect(set, "0000000000000020") }
            try report.expect("CapAmb", "0000000000000000")
            try container.kill(.kill)
        },
        isolated("execHasItsPrivileges", "exec noNewPrivileges") { box in
            let (container, _) = try box.hold()
            try box.exec(container) { $0["noNewPrivileges"] = true }.expect("NoNewPrivs", "1")
            try container.kill(.kill)
        },
        isolated("execHasItsLimits", "exec rlimits") { box in
            let (container, _) = try box.hold()
            let report = try box.exec(container) { process in
                process["rlimits"] = [["type": "RLIMIT_SIGPENDING", "soft": 100, "hard": 200]]
            }
            try report.expect("rlimit.SIGPENDING", "100 200")
            try container.kill(.kill)
        },
        isolated("execHasItsOOMScore", "exec oomScoreAdj") { box in
            let (container, _) = try box.hold()
            try box.exec(container) { $0["oomScoreAdj"] = 432 }.expect("oom_score_adj", "432")
            try container.kill(.kill)
        },
        isolated("execHasItsEnvironmentAndDirectory", "exec env, cwd") { box in
            try box.makeDirectory("/some/place")
            let (container, _) = try box.hold()
            let environment = ["PATH=/bin", "HOME=/home", "OWN=1"]
            let report = try box.exec(container) { process in
                process["env"] = .texts(environment)
                process["cwd"] = "/some/place"
            }
            try requireEqual(report.series("env"), environment, "environment")
            try report.expect("cwd", "/some/place")
            try container.kill(.kill)
        },
        isolated("execHasThreeDescriptors", "exec terminal") { box in
            let (container, _) = try box.hold()
            let report = try box.exec(container)
            try requireEqual(report.members("fd.").keys.sorted(), ["0", "1", "2"], "open descriptors")
            try container.kill(.kill)
        },
        isolated("execHasATerminalOfItsSize", "exec consoleSize") { box in
            let (container, _) = try box.hold()
            let report = try box.exec(container, terminal: true) { process in
                process["consoleSize"] = ["height": 33, "width": 111]
            }
            try report.expect("winsize", "33 111")
            try report.expect("controlling", "1")
            try container.kill(.kill)
        },
        isolated("execIsNotTraceable", "exec confinement") { box in
            let (container, first) = try box.hold("report")
            let report = try box.exec(container, ["report", "link=/proc/1/root"])
            try report.expect("dumpable", first["dumpable"] ?? "")
            try report.expectSuccess("link=/proc/1/root")
            try container.kill(.kill)
        },
        isolated("execHasItsScheduling", "exec scheduler") { box in
            let (container, _) = try box.hold()
            let report = try box.exec(container) { process in
                process["scheduler"] = ["policy": "SCHED_BATCH", "nice": 4]
                process["ioPriority"] = ["class": "IOPRIO_CLASS_BE", "priority": 5]
            }
            try report.expect("sched.policy", "3")
            try report.expect("sched.nice", "4")
            try report.expect("ioprio", "2 5")
            try container.kill(.kill)
        },
        isolated("execOfAStoppedContainerIsRefused", "exec states") { box in
            let container = try box.open(["exit=0"])
            try container.run()
            _ = try container.waitForExit()
            try expectRefusal("exec in a stopped container") { _ = try box.exec(container) }
        },
    ]
}
