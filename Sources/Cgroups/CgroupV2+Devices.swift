internal import Kernel
internal import OCISpec

extension CgroupV2 {
    /// Puts the new filter in force before the old ones go, so that at no moment everything is allowed.
    func apply(_ rules: [RuntimeSpec.DeviceRule]) throws(CgroupError) {
        let filter = try DeviceFilter(rules)
        do throws(KernelError) {
            let group = try File.open(".", [.directory], at: member.directory.raw)
            let old = try DeviceProgram.attached(to: group.raw)
            let program = try DeviceProgram.load(filter.program)
            try DeviceProgram.attach(program.raw, to: group.raw)
            for former in old { try DeviceProgram.detach(former.raw, from: group.raw) }
        } catch {
            throw .failed("set devices", field: "devices", error)
        }
    }
}
