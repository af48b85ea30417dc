internal import Kernel
internal import OCISpec

extension CgroupV2 {
    private static let programName = "berth_devices"

    /// Puts the new filter in force before the old ones go, so that at no moment everything is allowed.
    func apply(_ rules: [RuntimeSpec.DeviceRule]) throws(CgroupError) {
        let filter = try DeviceFilter(rules)
        do throws(KernelError) {
            let group = try File.open(".", [.directory], at: member.directory.raw)
            let old = try DeviceProgram.attached(to: group.raw)
            let program = try DeviceProgram.load(filter.program, name: Self.programName)
            try DeviceProgram.attach(program.raw, to: group.raw)
            for former in old {
                if sharesDevices, try DeviceProgram.name(former.raw) != Self.programName { continue }
                try DeviceProgram.detach(former.raw, from: group.raw)
            }
        } catch {
            throw .failed("set devices", field: "devices", error)
        }
    }
}
