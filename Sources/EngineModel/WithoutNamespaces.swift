extension ContainerConfiguration {
    /// The security option.
    static let namespacesOption = "berth.namespaces"
    /// Annotation by which the backend is told.
    package static let namespacesAnnotation = "dev.berth.namespaces"
    /// The only value of both.
    package static let noNamespaces = "none"

    /// Makes it a container that shares all namespaces with the host, and takes away what only namespaces make safe.
    ///
    /// - Throws: ``EngineError`` `.invalidArgument` that names what was asked for and takes a namespace, or a right that leads out.
    mutating func shareNamespaces() throws {
        let asked: [(String, Bool)] = [
            ("hostname", !hostname.isEmpty), ("domainname", !domainname.isEmpty), ("volume", !binds.isEmpty),
            ("volume", !volumes.isEmpty), ("mount", !mounts.isEmpty), ("tmpfs", !tmpfs.isEmpty),
            ("shm-size", shmSizeInBytes != nil), ("device", !devices.isEmpty), ("sysctl", !sysctls.isEmpty),
            ("init", useInit == true), ("add-host", !extraHosts.isEmpty),
            ("dns", !(dns + dnsSearch + dnsOptions).isEmpty),
            ("userns", userNamespace != nil && userNamespace != .host),
            ("masked paths", maskedPaths?.isEmpty == false), ("read-only paths", readonlyPaths?.isEmpty == false),
        ]
        if let name = asked.first(where: \.1)?.0 {
            throw Self.shared(name, "takes a namespace of the container's own")
        }
        let rights: [(String, Bool)] = [
            ("privileged", privileged), ("cap-add", !capabilitiesToAdd.isEmpty),
            ("no-new-privileges=false", !noNewPrivileges), ("seccomp=unconfined", seccomp == .unconfined),
        ]
        if let name = rights.first(where: \.1)?.0 {
            throw Self.shared(name, "leads out of a container that has nothing but rights to keep it in")
        }
        sharesNamespaces = true
        (network, userNamespace) = (.host, .host)
        (pidMode, ipcMode, utsMode, cgroupMode) = (.host, .host, .host, .host)
        capabilitiesToDrop = ["ALL"]
    }

    private static func shared(_ name: String, _ reason: String) -> EngineError {
        .invalid("security option '\(namespacesOption)=\(noNamespaces)' and '\(name)' exclude each other: it \(reason)")
    }
}
