internal import DocumentTexts
internal import Kernel
internal import OCISpec

// How scheduler, I/O priority, limits, capabilities and memory policy of a document are read.

extension ProcessPlan {
    static func scheduler(_ scheduler: RuntimeSpec.Scheduler) throws(SandboxError) -> SchedulingAttributes {
        let field = "process.scheduler"
        var result = SchedulingAttributes(policy: try policy(scheduler.policy, "\(field).policy"))
        let nice = scheduler.nice ?? 0
        guard (-20...19).contains(nice) else { throw .invalid("\(field).nice", "\(nice) is not in -20...19") }
        result.nice = nice

        let priority = scheduler.priority ?? 0
        let priorities: ClosedRange<Int32> = result.policy.isRealTime ? 1...99 : 0...0
        guard priorities.contains(priority) else {
            let range = result.policy.isRealTime ? "1...99" : "0"
            throw .invalid("\(field).priority", "\(priority) does not go with \(scheduler.policy): \(range)")
        }
        result.priority = UInt32(priority)

        for flag in scheduler.flags ?? [] {
            guard let bit = schedulerFlags.firstIndex(of: flag) else {
                throw .invalid("\(field).flags", "unknown flag '\(flag)'")
            }
            result.flags |= 1 << UInt64(bit)
        }
        for (name, value) in [
            ("runtime", scheduler.runtime), ("deadline", scheduler.deadline), ("period", scheduler.period),
        ] where value ?? 0 != 0 && result.policy != .deadline {
            throw .invalid("\(field).\(name)", "only SCHED_DEADLINE has one, not \(scheduler.policy)")
        }
        result.runtime = scheduler.runtime ?? 0
        result.deadline = scheduler.deadline ?? 0
        result.period = scheduler.period ?? 0
        return result
    }

    private static func policy(
        _ name: String,
        _ field: String
    ) throws(SandboxError) -> SchedulingAttributes.Policy {
        switch name {
        case "SCHED_OTHER": return .other
        case "SCHED_FIFO": return .firstInFirstOut
        case "SCHED_RR": return .roundRobin
        case "SCHED_BATCH": return .batch
        case "SCHED_IDLE": return .idle
        case "SCHED_DEADLINE": return .deadline
        // A number that the kernel has reserved and never filled.
        case "SCHED_ISO": throw .unsupported(field)
        default: throw .invalid(field, "unknown policy '\(name)'")
        }
    }

    /// By bit.
    private static let schedulerFlags = [
        "SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN", "SCHED_FLAG_KEEP_POLICY",
        "SCHED_FLAG_KEEP_PARAMS", "SCHED_FLAG_UTIL_CLAMP_MIN", "SCHED_FLAG_UTIL_CLAMP_MAX",
    ]

    static func ioPriority(_ priority: RuntimeSpec.IOPriority) throws(SandboxError) -> IOPriorityValue {
        let ioClass: IOPriorityValue.Class
        switch priority.ioClass {
        case "IOPRIO_CLASS_RT": ioClass = .realTime
        case "IOPRIO_CLASS_BE": ioClass = .bestEffort
        case "IOPRIO_CLASS_IDLE": ioClass = .idle
        case let other: throw .invalid("process.ioPriority.class", "unknown class '\(other)'")
        }
        guard (0...7).contains(priority.priority) else {
            throw .invalid("process.ioPriority.priority", "\(priority.priority) is not in 0...7")
        }
        return IOPriorityValue(ioClass, level: Int32(priority.priority))
    }

    static func limits(
        _ limits: [RuntimeSpec.Rlimit]
    ) throws(SandboxError) -> [(resource: Rlimit.Resource, limit: Rlimit)] {
        var result: [(resource: Rlimit.Resource, limit: Rlimit)] = []
        for entry in limits {
            guard let resource = Rlimit.Resource(name: entry.type), entry.type == resource.name else {
                throw .invalid("process.rlimits", "unknown limit '\(entry.type)'")
            }
            guard !result.contains(where: { $0.resource == resource }) else {
                throw .invalid("process.rlimits", "\(entry.type) is listed twice")
            }
            guard entry.soft <= entry.hard else {
                throw .invalid("process.rlimits", "\(entry.type): soft \(entry.soft) is above hard \(entry.hard)")
            }
            result.append((resource, Rlimit(soft: entry.soft, hard: entry.hard)))
        }
        return result
    }

    static func personality(_ personality: RuntimeSpec.Personality) throws(SandboxError) -> UInt {
        // The specification defines none, and an execution domain is not changed by guesses.
        if let flag = personality.flags?.first { throw .invalid("linux.personality.flags", "unknown flag '\(flag)'") }
        switch personality.domain {
        case "LINUX": return 0
        case "LINUX32": return 8
        case let other: throw .invalid("linux.personality.domain", "unknown domain '\(other)'")
        }
    }

    static func memoryPolicy(_ policy: RuntimeSpec.MemoryPolicy) throws(SandboxError) -> MemoryPolicy {
        let field = "linux.memoryPolicy"
        guard let mode = memoryModes.firstIndex(of: policy.mode) else {
            throw .invalid("\(field).mode", "unknown mode '\(policy.mode)'")
        }
        var bits = Int32(mode)
        for flag in policy.flags ?? [] {
            guard let bit = memoryFlags[flag] else { throw .invalid("\(field).flags", "unknown flag '\(flag)'") }
            bits |= bit
        }
        let text = policy.nodes ?? ""
        // MPOL_DEFAULT and MPOL_LOCAL name no nodes; a preference for none means the local one.
        let takesNodes = !["MPOL_DEFAULT", "MPOL_LOCAL"].contains(policy.mode)
        guard takesNodes || text.isEmpty else {
            throw .invalid("\(field).nodes", "\(policy.mode) takes no nodes")
        }
        guard !takesNodes || !text.isEmpty || policy.mode == "MPOL_PREFERRED" else {
            throw .invalid("\(field).nodes", "\(policy.mode) needs nodes")
        }
        let nodes = try reading(.specification) { () throws(TextError) in
            text.isEmpty ? NumberSet() : try NumberList.parse(text, field: "\(field).nodes")
        }
        return MemoryPolicy(mode: bits, nodes: nodes)
    }

    static let memoryFlags: [String: Int32] = [
        "MPOL_F_STATIC_NODES": 1 << 15, "MPOL_F_RELATIVE_NODES": 1 << 14, "MPOL_F_NUMA_BALANCING": 1 << 13,
    ]

    /// By number.
    static let memoryModes = [
        "MPOL_DEFAULT", "MPOL_PREFERRED", "MPOL_BIND", "MPOL_INTERLEAVE", "MPOL_LOCAL", "MPOL_PREFERRED_MANY",
        "MPOL_WEIGHTED_INTERLEAVE",
    ]
}

/// The capability sets of a document as bits, and what could not be granted of them.
struct GrantedCapabilities {
    var sets: Capabilities
    var warnings: [String] = []

    /// Reads the sets.
    ///
    /// What is unknown or cannot be granted is left out with a warning, as the specification asks.
    ///
    /// - Parameters:
    ///   - wanted: The sets; nil is empty.
    ///   - grantable: All that the process can be given.
    init(_ wanted: RuntimeSpec.Capabilities?, grantable: CapabilitySet) {
        var warnings: [String] = []
        func bits(_ set: String, _ names: [String]?, within bound: CapabilitySet, _ reason: String) -> CapabilitySet {
            var bits = CapabilitySet()
            for name in names ?? [] {
                let field = "process.capabilities.\(set)"
                guard name.hasPrefix("CAP_"), let capability = CapabilitySet(name: name) else {
                    warnings.append("\(field): unknown capability '\(name)' is left out")
                    continue
                }
                if !grantable.contains(capability) {
                    warnings.append("\(field): \(name) is left out: this runtime does not have it")
                } else if !bound.contains(capability) {
                    warnings.append("\(field): \(name) is left out: \(reason)")
                } else {
                    bits.formUnion(capability)
                }
            }
            return bits
        }
        let any = CapabilitySet(rawValue: .max)
        let permitted = bits("permitted", wanted?.permitted, within: any, "")
        let inheritable = bits("inheritable", wanted?.inheritable, within: any, "")
        sets = Capabilities(
            effective: bits("effective", wanted?.effective, within: permitted, "it is not permitted"),
            permitted: permitted,
            inheritable: inheritable,
            ambient: bits(
                "ambient",
                wanted?.ambient,
                within: permitted.intersection(inheritable),
                "it is not both permitted and inheritable"
            ),
            bounding: bits("bounding", wanted?.bounding, within: any, "")
        )
        self.warnings = warnings
    }
}
