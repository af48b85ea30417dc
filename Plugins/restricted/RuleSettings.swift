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

    /// As the document says; nil when it says nothing.
    let mode: Mode?
    /// Whether the container is on the host's network.
    let sharesHostNetwork: Bool
    /// Whether it shares all namespaces with the host.
    let sharesNamespaces: Bool

    init(_ specification: RuntimeSpec) throws(BackendError) {
        let text = specification.annotations?[GuardSettings.Name.landlock]
        mode = text.flatMap { Mode(rawValue: $0) }
        guard mode != nil || text == nil else {
            let choices = Mode.allCases.map(\.rawValue).joined(separator: ", ")
            throw Self.invalid(GuardSettings.Name.landlock, "'\(text ?? "")' is none of \(choices)")
        }
        let namespaces = specification.annotations?[GuardSettings.Name.namespaces]
        guard namespaces == nil || namespaces == "none" else {
            throw Self.invalid(GuardSettings.Name.namespaces, "'\(namespaces ?? "")' is not none")
        }
        sharesNamespaces = namespaces == "none"
        guard !sharesNamespaces || specification.linux?.namespaces?.isEmpty != false else {
            throw Self.invalid(GuardSettings.Name.namespaces, "none, and linux.namespaces has some")
        }
        sharesHostNetwork = specification.linux?.namespaces?.contains { $0.type == .network } != true
    }

    private static func invalid(_ name: String, _ detail: String) -> BackendError {
        .refused(
            stage: "rules",
            operation: "read annotation",
            object: name,
            code: .invalidArgument,
            detail: detail
        )
    }

    /// How `backend info` says what this kernel has.
    static var ability: String {
        let version = Landlock.version
        return version >= SandboxRules.oldestVersion ? "landlock-\(version)" : "no-landlock"
    }

    /// Why there are none.
    var reason: String { mode == .off ? "turned off" : Self.lack }

    private static var lack: String { lack(SandboxRules.oldestVersion, "Linux 5.19") }

    private static func lack(_ wanted: Int, _ release: String) -> String {
        let version = Landlock.version
        let found = version == 0 ? "the kernel has no Landlock" : "the kernel has version \(version) of Landlock"
        return "\(found); version \(wanted) (\(release)) is needed"
    }

    /// The rules of a container.
    ///
    /// Signals are no part of them where there are namespaces: who has one of processes sees nobody else, who shares one was given it for that, and
    /// a further process of the container, which is held to equal rules and not to the same, could signal none of the others. Without
    /// namespaces they are: the host's processes of the same user are otherwise within reach.
    func rules() throws(BackendError) -> SandboxRules? {
        if mode == .off { return nil }
        if sharesNamespaces, mode != .available, Landlock.version < SandboxRules.scopesVersion {
            let lack = Self.lack(SandboxRules.scopesVersion, "Linux 6.12")
            throw Self.unsupported(
                "without namespaces rules must bind signals too, and \(lack); 'available' does with what there is, 'off' without"
            )
        }
        do throws(SandboxError) {
            let scopes: Landlock.Scopes =
                sharesNamespaces ? [.abstractSockets, .signals] : sharesHostNetwork ? .abstractSockets : []
            if let rules = try SandboxRules.make(scoping: scopes) { return rules }
        } catch {
            throw .refused(stage: "rules", operation: "make", code: error.code, detail: error.description)
        }
        if mode == .required { throw Self.unsupported("required, and \(Self.lack)") }
        return nil
    }

    private static func unsupported(_ detail: String) -> BackendError {
        .refused(
            stage: "rules",
            operation: "make",
            object: GuardSettings.Name.landlock,
            code: .unsupported,
            detail: detail
        )
    }
}
