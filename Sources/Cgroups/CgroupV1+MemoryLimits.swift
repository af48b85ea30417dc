internal import Kernel
internal import OCISpec

extension CgroupV1 {
    func apply(_ memory: RuntimeSpec.Memory) throws(CgroupError) {
        if memory.checkBeforeUpdate == true, let limit = memory.givenLimit, limit > 0 {
            let usage = try statistics().memory.usage
            guard usage <= UInt64(limit) else {
                throw .precondition("set memory.limit", field: "memory.limit", "\(usage) bytes are in use")
            }
        }
        if let wanted = memory.useHierarchy { try setHierarchy(wanted) }
        try applyLimits(memory)
        if let value = memory.reservation, value != 0 {
            try set("memory.reservation", "memory", "memory.soft_limit_in_bytes", String(value))
        }
        if let value = memory.kernel, value != 0 { try setKernelMemory(value) }
        if let value = memory.kernelTCP, value != 0 {
            try set("memory.kernelTCP", "memory", "memory.kmem.tcp.limit_in_bytes", String(value))
        }
        if let value = memory.swappiness { try set("memory.swappiness", "memory", "memory.swappiness", String(value)) }
        if let value = memory.disableOOMKiller { try setKiller(disabled: value) }
    }

    /// The kernel wants limit <= memory+swap at every moment, so when one order is refused the other is right.
    private func applyLimits(_ memory: RuntimeSpec.Memory) throws(CgroupError) {
        func limit() throws(CgroupError) {
            guard let value = memory.givenLimit else { return }
            try set("memory.limit", "memory", "memory.limit_in_bytes", String(value))
        }
        func swap() throws(CgroupError) {
            guard let value = memory.givenSwap else { return }
            // Nobody asked for it when only the memory is to be unlimited.
            if memory.swap != -1, value < 0, member("memory")?.has("memory.memsw.limit_in_bytes") != true { return }
            try set("memory.swap", "memory", "memory.memsw.limit_in_bytes", String(value))
        }
        do throws(CgroupError) {
            try limit()
            try swap()
        } catch  where error.cause?.errno == .invalid && memory.givenLimit != nil && memory.givenSwap != nil {
            try swap()
            try limit()
        }
    }

    /// Since Linux 5.11 the answer is always yes and nothing else can be set.
    private func setHierarchy(_ wanted: Bool) throws(CgroupError) {
        let now = try attempt("read memory hierarchy of") { () throws(KernelError) in
            try member("memory")?.read("memory.use_hierarchy").words == ["1"]
        }
        guard now != wanted else { return }
        do throws(CgroupError) {
            try set("memory.useHierarchy", "memory", "memory.use_hierarchy", wanted ? "1" : "0")
        } catch  where error.cause?.errno == .invalid {
            throw .unsupported("memory.useHierarchy", "this kernel always counts what is below")
        }
    }

    /// Kernels since 5.16 take the number and forget it: only what can be read back is in force.
    private func setKernelMemory(_ value: Int64) throws(CgroupError) {
        let field = "memory.kernel"
        do throws(CgroupError) {
            try set(field, "memory", "memory.kmem.limit_in_bytes", String(value))
        } catch  where error.cause?.errno == .notSupported {
            if value > 0 { throw .unsupported(field, "this kernel has no limit for kernel memory alone") }
            return
        }
        let file = "memory.kmem.limit_in_bytes"
        let now = try attempt("read limit of") { () throws(KernelError) in
            try (member("memory")?.read(file)).flatMap(KeyedText.number)
        }
        if value > 0, KeyedText.limit(now) == nil {
            throw .unsupported(field, "this kernel has no limit for kernel memory alone")
        }
    }

    private func setKiller(disabled: Bool) throws(CgroupError) {
        try set("memory.disableOOMKiller", "memory", "memory.oom_control", disabled ? "1" : "0")
    }
}
