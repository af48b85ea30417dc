internal import Cgroups
internal import Kernel

extension ProcessPlan {
    /// Gives the process what only somebody outside can give: a child in a user namespace has no rights over the machine.
    ///
    /// Limits are only made possible here; the process sets them itself when it needs none of what they take away.
    func applyFromOutside(to pid: Int32) throws(SandboxError) {
        if let score = oomScoreAdjustment {
            do throws(KernelError) { try File.writeOnce("/proc/\(pid)/oom_score_adj", String(score)) } catch {
                throw .refused(.limits, "set", "process.oomScoreAdj", "\(score): \(error.errno)", code: error.code)
            }
        }
        try limiting { () throws(CgroupError) in try resourceControl?.enter(pid) }
        for entry in limits { try makePossible(entry.resource, entry.limit, pid) }
        try step(.limits) { () throws(KernelError) in
            if let scheduler, scheduler.policy != .deadline {
                do throws(KernelError) { try scheduler.apply(to: pid) } catch { throw error.about("process.scheduler") }
            }
            if let ioPriority {
                do throws(KernelError) { try ioPriority.apply(to: pid) } catch {
                    throw error.about("process.ioPriority")
                }
            }
        }
    }

    /// Whether a copy of the process would not have its scheduling: one with a deadline cannot even be copied, and a flag makes
    /// copies ordinary.
    var schedulingEndsWithFork: Bool {
        scheduler.map { $0.policy == .deadline || $0.flags & SchedulingAttributes.resetOnFork != 0 } ?? false
    }

    private func makePossible(_ resource: Rlimit.Resource, _ limit: Rlimit, _ pid: Int32) throws(SandboxError) {
        let field = "process.rlimits: \(resource.name)"
        let current = try step(.limits) { () throws(KernelError) in try Rlimit.get(resource, of: pid) }
        guard limit.hard > current.hard else { return }
        do throws(KernelError) {
            try Rlimit.set(resource, Rlimit(soft: current.soft, hard: limit.hard), of: pid)
        } catch {
            let reason = "hard limit \(limit.hard) is above the runtime's own of \(current.hard): \(error.errno)"
            throw .refused(.limits, "raise", field, reason, code: error.code)
        }
    }
}
