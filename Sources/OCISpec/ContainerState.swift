/// The state of a container as hooks and `state` see it (OCI runtime-spec "State").
public struct ContainerState: Codable, Sendable, Equatable {
    /// Version of the specification.
    public var ociVersion: String
    /// Id of the container, unique on the host.
    public var id: String
    /// Where in its life the container is.
    public var status: Status
    /// Process id in the runtime's namespace; present when created or running.
    public var pid: Int32?
    /// Absolute path of the bundle.
    public var bundle: String
    /// The annotations of the document.
    public var annotations: [String: String]?

    /// Creates the object from its fields.
    public init(
        ociVersion: String,
        id: String,
        status: Status,
        pid: Int32? = nil,
        bundle: String,
        annotations: [String: String]? = nil
    ) {
        self.ociVersion = ociVersion
        self.id = id
        self.status = status
        self.pid = pid
        self.bundle = bundle
        self.annotations = annotations
    }
}

extension ContainerState {
    /// Where in its life a container is.
    public enum Status: String, Codable, Sendable, CaseIterable {
        /// Being created.
        case creating
        /// Created, the program not yet started.
        case created
        /// The program runs.
        case running
        /// The program has exited.
        case stopped
    }
}
