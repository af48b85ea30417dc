/// What a seccomp listener is told with the descriptor (OCI runtime-spec "The Container Process State").
public struct ContainerProcessState: Sendable, Equatable {
    /// The process whose filter it is, in the runtime's namespace.
    public var pid: Int32
    /// The document's `listenerMetadata`; empty is left out.
    public var metadata: String
    /// The container.
    public var state: ContainerState

    /// Name of the one descriptor that is sent along.
    public static let descriptorName = "seccompFd"

    /// Creates the object from its fields.
    public init(pid: Int32, metadata: String, state: ContainerState) {
        self.pid = pid
        self.metadata = metadata
        self.state = state
    }

    /// The document as JSON text.
    public var json: [UInt8] {
        var members: [(key: String, value: JSONValue)] = [
            ("ociVersion", .string(state.ociVersion)), ("fds", .strings([Self.descriptorName])), ("pid", .number(pid)),
        ]
        if !metadata.isEmpty { members.append(("metadata", .string(metadata))) }
        members.append(("state", state.jsonValue))
        return Array(JSONValue.object(members).text().utf8)
    }
}
