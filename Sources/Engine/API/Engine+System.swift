public import EngineModel
import EngineSpec

extension Engine {
    /// What the node and the engine are; answers without asking a shim.
    public func systemInfo() async throws -> SystemInfo {
        try await core.systemInfo()
    }

    /// Version of this build; the kernel's and the machine's name.
    ///
    /// Known without opening anything: whoever asks whether the engine is there gets an answer when there are no descriptors left.
    public var versions: (engine: String, kernel: String, machine: String) {
        (configuration.version, SystemFacts.kernelRelease, SystemFacts.architecture)
    }

    /// Bytes on disk.
    ///
    /// Walks files on a thread of its own.
    public func diskUsage() async throws -> DiskUsage {
        try await core.diskUsage()
    }
}
