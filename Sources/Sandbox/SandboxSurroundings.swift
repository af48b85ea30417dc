internal import Cgroups
internal import Kernel
public import OCISpec

/// What every process of a container takes from the container's document, beside what its own section says.
public struct SandboxSurroundings: Sendable {
    /// The container as hooks and listeners see it; status and pid are set where it is shown.
    let state: ContainerState
    let personality: RuntimeSpec.Personality?
    let memoryPolicy: RuntimeSpec.MemoryPolicy?
    let intelRdt: RuntimeSpec.IntelRdt?
    /// Whether the container's root is a directory in a mount namespace of others.
    let joinsMounts: Bool
    /// Whether the container has no namespaces of its own at all.
    let sharesNamespaces: Bool
    let listenerPath: String
    let listenerMetadata: String

    /// Takes the parts out of a document.
    ///
    /// - Parameters:
    ///   - id: Id of the container.
    ///   - specification: Its document.
    ///   - bundle: Absolute path of the bundle.
    public init(id: String, specification: RuntimeSpec, bundle: String) {
        state = ContainerState(
            ociVersion: specification.ociVersion,
            id: id,
            status: .creating,
            pid: nil,
            bundle: bundle,
            annotations: specification.annotations
        )
        personality = specification.linux?.personality
        memoryPolicy = specification.linux?.memoryPolicy
        intelRdt = specification.linux?.intelRdt
        joinsMounts =
            specification.linux?.namespaces?.contains { $0.type == .mount && !($0.path ?? "").isEmpty } ?? false
        sharesNamespaces = specification.linux?.namespaces?.isEmpty != false
        listenerPath = specification.linux?.seccomp?.listenerPath ?? ""
        listenerMetadata = specification.linux?.seccomp?.listenerMetadata ?? ""
    }

    /// Removes what the container's creation has made outside of it beside its cgroup: groups of `linux.intelRdt`.
    ///
    /// For a container whose processes have ended. What is gone already is fine.
    ///
    /// - Parameter root: Where the resctrl filesystem is; nil finds the mounted one.
    public func removeGroups(resourceControl root: String? = nil) {
        guard let intelRdt else { return }
        // Without the filesystem there are no groups.
        (try? ResourceControl(intelRdt, id: state.id, isFirst: false, root: root))?.remove()
    }
}
