import Kernel
import OCISpec
import Sandbox
import ShimKit

/// What the document says of access rules for files, in its annotations.
struct RuleSettings {
    /// When there are rules.
    enum Mode: String, CaseIterable {
        /// Where the kernel has them.
        case available
        /// Always: a kernel without them is an error.
        case required
        /// Never.
        case off
    }

    let mode: Mode
    /// Whether the container is on the host's network.
    let sharesHostNetwork: Bool

    init(_ specification: RuntimeSpec) throws(BackendError) {
        let text = specification.annotations?[GuardSettings.Name.landlock] ?? Mode.available.rawValue
        guard let mode = Mode(rawValue: text) else {
            throw .refused(
                stage: "rules",
                operation: "read annotation",
                object: GuardSettings.Name.landlock,
                code: .invalidArgument,
                detail: "'\(text)' is none of \(Mode.allCases.map(\.rawValue).joined(separator: ", "))"
            )
        }
        self.mode = mode
        sharesHostNetwork = specification.linux?.namespaces?.contains { $0.type == .network } != true
    }

    /// How `backend info` says what this kernel has.
    static var ability: String {
        let version = Landlock.version
        return version >= SandboxRules.oldestVersion ? "landlock-\(version)" : "no-landlock"
    }

    /// Why there are none.
    var reason: String { mode == .off ? "turned off" : Self.lack }

    private static var lack: String {
        let version = Landlock.version
        let found = version == 0 ? "the kernel has no Landlock" : "the kernel has version \(version) of Landlock"
        return "\(found); version \(SandboxRules.oldestVersion) (Linux 5.19) is needed"
    }

    /// The rules of a container.
    ///
    /// Signals are no part of them: who has a process namespace sees nobody else, who shares one was given it for that, and a further process
    /// of the container, which is held to equal rules and not to the same, could signal none of the others.
    func rules() throws(BackendError) -> SandboxRules? {
        if mode == .off { return nil }
        do throws(SandboxError) {
            if let rules = try SandboxRules.make(scoping: sharesHostNetwork ? .abstractSockets : []) { return rules }
        } catch {
            throw .refused(stage: "rules", operation: "make", code: error.code, detail: error.description)
        }
        guard mode == .available else {
            throw .refused(
                stage: "rules",
                operation: "make",
                object: GuardSettings.Name.landlock,
                code: .unsupported,
                detail: "required, and \(Self.lack)"
            )
        }
        return nil
    }
}
