import Kernel
import OCISpec
import Seccomp
import ShimKit

/// What the document says of the guard, in its annotations.
struct GuardSettings {
    /// What happens to calls.
    enum Mode: String, CaseIterable {
        /// Every call is counted, and decided by the filter.
        case learn
        /// What the filter refuses is refused and reported.
        case enforce
        /// Who makes a call that the filter refuses is killed and reported.
        case kill
        /// What the filter refuses is made and reported, unless it is dangerous.
        case audit
    }

    /// The annotations.
    enum Name {
        static let profile = "dev.berth.profile"
        static let mode = "dev.berth.profile-mode"
        static let landlock = "dev.berth.landlock"
        static let namespaces = "dev.berth.namespaces"
    }

    /// ENOSYS.
    private static let absent: Int32 = 38

    /// Name of the profile; empty for the document's own filter.
    let profile: String
    let mode: Mode

    init(profile: String, mode: Mode) {
        (self.profile, self.mode) = (profile, mode)
    }

    /// Reads them; without any the document's filter is enforced.
    init(_ specification: RuntimeSpec) throws(BackendError) {
        profile = specification.annotations?[Name.profile] ?? ""
        let text = specification.annotations?[Name.mode] ?? Mode.enforce.rawValue
        guard let mode = Mode(rawValue: text) else {
            throw .refused(
                stage: "seccomp",
                operation: "read annotation",
                object: Name.mode,
                code: .invalidArgument,
                detail: "'\(text)' is none of \(Mode.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        self.mode = mode
    }

    /// Which calls the guard is asked about.
    var asked: AskedCalls { mode == .learn ? .all : .refused }

    /// What becomes of a call about which the filter has decided.
    ///
    /// - Parameters:
    ///   - decision: The filter's.
    ///   - isDangerous: Whether the call is one that is not made without being named.
    /// - Returns: What is answered.
    func answer(_ decision: SeccompDecision, isDangerous: () -> Bool) -> SeccompDecision {
        switch (mode, decision) {
        case (.learn, _), (.enforce, _), (_, .allow): decision
        // Who hears that the kernel has not got a call takes another one: that is how programs find out, and no offence.
        case (.kill, .fail(Self.absent)): decision
        case (.kill, _): .kill
        case (.audit, _): isDangerous() ? decision : .allow
        }
    }
}
