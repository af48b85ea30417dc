internal import OCISpec

/// The verdicts of a filter, SECCOMP_RET_* of seccomp(2); libseccomp's actions have the same values.
package enum Verdict {
    /// Kills the process.
    package static let killProcess: UInt32 = 0x8000_0000
    /// Lets the call through.
    package static let allow: UInt32 = 0x7fff_0000
    /// Fails with an errno in the low half.
    package static func errno(_ number: UInt32) -> UInt32 { 0x0005_0000 | number & 0xffff }

    /// Rank of a verdict from the strictest (0) on, in the order of the kernel, which lets the strictest of several filters win.
    static func leniency(_ verdict: UInt32) -> Int {
        let order: [UInt32] = [
            0x8000_0000, 0, 0x0003_0000, 0x0005_0000, 0x7fc0_0000, 0x7ff0_0000, 0x7ffc_0000, 0x7fff_0000,
        ]
        return order.firstIndex(of: verdict & 0xffff_0000) ?? 0
    }

    static func of(_ action: RuntimeSpec.Seccomp.Action, errno number: UInt32?) throws(SeccompError) -> UInt32 {
        if number != nil, action != .errno, action != .trace {
            throw .invalidProfile("errnoRet does not go with \(action.rawValue)")
        }
        let number = number ?? 1
        guard number <= 4095 else { throw .invalidProfile("errno \(number) is out of range") }
        return switch action {
        case .killProcess: killProcess
        case .kill, .killThread: 0
        case .trap: 0x0003_0000
        case .errno: errno(number)
        case .trace: 0x7ff0_0000 | number
        case .notify: 0x7fc0_0000
        case .log: 0x7ffc_0000
        case .allow: allow
        }
    }
}
