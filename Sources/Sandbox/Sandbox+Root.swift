internal import Kernel
public import OCISpec

extension Sandbox {
    /// Who the root of a container is outside, where the container's users are not its maker's.
    ///
    /// - Parameter specification: Its document.
    /// - Returns: The host's numbers. Nil for a container in its maker's user namespace, and where nobody outside is its root, which
    ///   `create` refuses by name.
    /// - Throws: A user namespace that exists and cannot be looked into.
    public static func root(of specification: RuntimeSpec) throws(SandboxError) -> (user: UInt32, group: UInt32)? {
        guard let linux = specification.linux,
            let namespace = linux.namespaces?.first(where: { $0.type == .user })
        else { return nil }
        guard let path = namespace.path, !path.isEmpty else {
            guard let user = linux.uidMappings?.first(where: { $0.containerID == 0 })?.hostID,
                let group = linux.gidMappings?.first(where: { $0.containerID == 0 })?.hostID
            else { return nil }
            return (user, group)
        }
        return try step(.namespaces) { () throws(KernelError) in
            let joined = try Namespace.open(path)
            guard try Namespace.kind(of: joined.raw) == .user,
                try !HostNamespaces.contain(joined.status(), .user)
            else { return nil }
            let mappings = try IDMapNamespace.mappings(of: joined.raw)
            guard let user = mappings.hostUser(0), let group = mappings.hostGroup(0) else { return nil }
            return (user, group)
        }
    }
}
