internal import Kernel
internal import ShimModel
internal import ShimProtocol

extension BackendContext {
    /// What the backend of this container has last given as its `state()`, for who cleans up after it.
    ///
    /// - Returns: The bytes; nil when nothing was written or it cannot be read, as before the creation or with a shim that is not the
    ///   manager's.
    public func writtenState() -> [UInt8]? {
        guard let bytes = try? File.read("\(bundle)/\(StateFile.name)", limit: StateDocument.maximumByteCount),
            let state = try? StateDocument.decode(bytes), state.id == id, !state.backendState.isEmpty
        else { return nil }
        return Array(state.backendState)
    }
}
