package import EngineModel

/// What create made of a request: never changed afterwards.
package struct ContainerPlan: Sendable, Equatable, Codable {
    package var imageID: String
    /// Chain ids of the image's layers, base first.
    package var chain: [String]
    /// Digest of the image's manifest.
    package var manifest: String
    package var resolved: ResolvedConfiguration
    package var mounts: [MountPlan.Entry]
    package var backend: String
    package var log: LogConfiguration
    /// What became of its user namespace; nil for a container of a version that had none.
    package var userNamespace: UserNamespaceSetting?
    /// `linux.cgroupsPath` of the document; nil for a container of a version that had one form only.
    package var cgroupsPath: String?

    package init(
        imageID: String,
        chain: [String],
        manifest: String,
        resolved: ResolvedConfiguration,
        mounts: [MountPlan.Entry],
        backend: String,
        log: LogConfiguration,
        userNamespace: UserNamespaceSetting? = nil,
        cgroupsPath: String? = nil
    ) {
        self.imageID = imageID
        self.chain = chain
        self.manifest = manifest
        self.resolved = resolved
        self.mounts = mounts
        self.backend = backend
        self.log = log
        self.userNamespace = userNamespace
        self.cgroupsPath = cgroupsPath
    }
}
