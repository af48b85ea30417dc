import FoundationEssentials
import Kernel
import NativeShim
import Seccomp
import ShimKit
import ShimProtocol
import SwiftProtobuf

/// What of a container needs more than its native part.
enum GuardState {
    /// Name of a filter's listener.
    static func name(_ number: UInt32) -> String { "filter-\(number)" }
}

extension ShimRestrictedState {
    init(_ native: ShimNativeState, _ guardian: SyscallGuard?) {
        self.init()
        self.native = native
        guard let guardian else { return }
        profile = guardian.settings.profile
        mode = guardian.settings.mode.rawValue
        filter = .init(guardian.program.encoded)
        lastListener = guardian.lastNumber
        listeners = guardian.filters.values.sorted { $0.number < $1.number }.map { filter in
            ShimRestrictedListener.with { ($0.number, $0.execID) = (filter.number, filter.execID) }
        }
    }
}
