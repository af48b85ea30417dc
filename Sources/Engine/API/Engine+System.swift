public import EngineModel

extension Engine {
    /// What the node and the engine are; answers without asking a shim.
    public func systemInfo() async throws -> SystemInfo {
        try await core.systemInfo()
    }

    /// Bytes on disk.
    ///
    /// Walks files on a thread of its own.
    public func diskUsage() async throws -> DiskUsage {
        try await core.diskUsage()
    }
}
