internal import Kernel

extension Conformance {
    /// Priorities and the like (runtime-spec "process" and "linux").
    static let scheduling: [Check] = [
        isolated("oomScoreIsSet", "2.3 oomScoreAdj") { box in
            box.process["oomScoreAdj"] = 321
            try box.run().expect("oom_score_adj", "321")
        },
        isolated("absentOOMScoreIsUntouched", "2.3 oomScoreAdj") { box in
            let container = try box.open()
            try container.run()
            let own = try File.readText("/proc/\(container.shimPid)/oom_score_adj").filter { !$0.isWhitespace }
            try box.finish(container).expect("oom_score_adj", own)
        },
        isolated("schedulerIsSet", "2.3 scheduler") { box in
            box.process["scheduler"] = ["policy": "SCHED_BATCH", "nice": 7]
            let report = try box.run()
            try report.expect("sched.policy", "3")
            try report.expect("sched.nice", "7")
        },
        isolated("idleSchedulerIsSet", "2.3 scheduler") { box in
            box.process["scheduler"] = ["policy": "SCHED_IDLE"]
            try box.run().expect("sched.policy", "5")
        },
        isolated("schedulerFlagsAreSet", "2.3 scheduler") { box in
            box.process["scheduler"] = ["policy": "SCHED_OTHER", "nice": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]]
            let report = try box.run()
            try report.expect("sched.nice", "3")
            try report.expect("sched.flags", "1")
        },
        isolated("realTimeSchedulerIsSet", "2.3 scheduler", needs: .realTime) { box in
            box.process["scheduler"] = ["policy": "SCHED_FIFO", "priority": 11]
            let report = try box.run()
            try report.expect("sched.policy", "1")
            try report.expect("sched.priority", "11")
        },
        refused("unknownSchedulerIsRefused", "2.3 scheduler") { $0.process["scheduler"] = ["policy": "SCHED_NONE"] },
        refused("unknownSchedulerFlagIsRefused", "2.3 scheduler") { box in
            box.process["scheduler"] = ["policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_NONE"]]
        },
        isolated("ioPriorityIsSet", "2.3 ioPriority") { box in
            box.process["ioPriority"] = ["class": "IOPRIO_CLASS_BE", "priority": 6]
            try box.run().expect("ioprio", "2 6")
        },
        isolated("idleIOPriorityIsSet", "2.3 ioPriority") { box in
            box.process["ioPriority"] = ["class": "IOPRIO_CLASS_IDLE", "priority": 0]
            try box.run().expect("ioprio", "3 0")
        },
        refused("unknownIOClassIsRefused", "2.3 ioPriority") { box in
            box.process["ioPriority"] = ["class": "IOPRIO_CLASS_NONE_SUCH", "priority": 0]
        },
        isolated("affinityIsForExecsAlone", "2.3 execCPUAffinity") { box in
            box.process["execCPUAffinity"] = ["initial": "0", "final": "0"]
            let all = try CPUList.ofThisProcess()
            try box.run().expect("affinity", all)
        },
        isolated("execHasItsAffinity", "2.3 execCPUAffinity") { box in
            let (container, _) = try box.hold()
            let report = try box.exec(container) { $0["execCPUAffinity"] = ["initial": "0", "final": "0"] }
            try report.expect("affinity", "0")
            try container.kill(.kill)
        },
        isolated("personalityIsSet", "2.4 personality") { box in
            box.linux["personality"] = ["domain": "LINUX32"]
            let report = try box.run()
            try report.expect("personality", "0x8")
            try report.expect("machine", "i686")
        },
        isolated("usualPersonality", "2.4 personality") { box in
            box.linux["personality"] = ["domain": "LINUX"]
            try box.run().expect("personality", "0")
        },
        refused("unknownPersonalityIsRefused", "2.4 personality") { $0.linux["personality"] = ["domain": "PLAN9"] },
        isolated("memoryPolicyIsSet", "2.4 memoryPolicy", needs: .memoryPolicy) { box in
            box.linux["memoryPolicy"] = ["mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]]
            try box.run().expect("mempolicy", "0x8003 0x1")
        },
        refused("unknownMemoryPolicyIsRefused", "2.4 memoryPolicy") {
            $0.linux["memoryPolicy"] = ["mode": "MPOL_NONE"]
        },
        refused("resourceControlNeedsItsFileSystem", "2.4 intelRdt", needs: .noResctrl) { box in
            box.linux["intelRdt"] = ["closID": "berth-test", "l3CacheSchema": "L3:0=f"]
        },
    ]
}

/// CPUs as the probe writes them: `0,1`.
enum CPUList {
    static func ofThisProcess() throws -> String {
        let line = try File.readText("/proc/self/status").split(separator: "\n")
            .first { $0.hasPrefix("Cpus_allowed_list:") }
        let ranges = line?.split(separator: "\t").last?.split(separator: ",") ?? []
        return ranges.flatMap { range in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            return ends.first.map { Array($0...(ends.last ?? $0)) } ?? []
        }.map(String.init).joined(separator: ",")
    }
}
