import Kernel

/// What the public methods call.
final class EngineCore: Sendable {
    static func open(_ configuration: EngineConfiguration) async throws -> EngineCore { throw missing }
    func run() async throws { throw Self.missing }
    func shutdown() async {}
    static let missing = EngineError.unsupported("this part of the engine is not built yet")
}
extension EngineCore {
    func createContainer(_ configuration: ContainerConfiguration, name: String?) async throws -> CreatedContainer {
        throw Self.missing
    }
    func start(_ reference: String) async throws { throw Self.missing }
    func stop(_ reference: String, signal: String?, timeout: Int?) async throws { throw Self.missing }
    func restart(_ reference: String, signal: String?, timeout: Int?) async throws { throw Self.missing }
    func kill(_ reference: String, signal: String) async throws { throw Self.missing }
    func pause(_ reference: String) async throws { throw Self.missing }
    func unpause(_ reference: String) async throws { throw Self.missing }
    func rename(_ reference: String, to name: String) async throws { throw Self.missing }
    func update(_ reference: String, _ update: ContainerUpdate) async throws -> [String] { throw Self.missing }
    func remove(_ reference: String, force: Bool, volumes: Bool) async throws { throw Self.missing }
    func wait(_ reference: String, _ condition: WaitCondition) async throws -> ContainerWait { throw Self.missing }
    func inspect(_ reference: String) async throws -> ContainerSnapshot { throw Self.missing }
    func list(all: Bool, limit: Int?, filters: Filters) async throws -> [ContainerSnapshot] { throw Self.missing }
    func prune(filters: Filters) async throws -> [ContainerID] { throw Self.missing }
    func writableSize(_ reference: String) async throws -> Int64 { throw Self.missing }
    func top(_ reference: String) async throws -> ProcessTable { throw Self.missing }
    func statistics(_ reference: String) async throws -> ContainerStatistics { throw Self.missing }
    func resize(_ reference: String, to size: TerminalSize) async throws { throw Self.missing }
    func attach(_ reference: String, _ options: AttachOptions) async throws -> AttachSession { throw Self.missing }
    func logs(_ reference: String, _ options: LogOptions) async throws -> LogSequence { throw Self.missing }
    func createExec(_ reference: String, _ configuration: ExecConfiguration) async throws -> ExecID {
        throw Self.missing
    }
    func startExec(_ id: String, terminal: Bool?, consoleSize: TerminalSize?) async throws -> ExecSession {
        throw Self.missing
    }
    func inspectExec(_ id: String) async throws -> ExecSnapshot { throw Self.missing }
    func resizeExec(_ id: String, to size: TerminalSize) async throws { throw Self.missing }
    func events(_ request: EventRequest) async throws -> EventSequence { throw Self.missing }
    func loadImages(from archive: SharedDescriptor) async throws -> [String] { throw Self.missing }
    func listImages(all: Bool, filters: Filters) async throws -> [ImageSnapshot] { throw Self.missing }
    func inspectImage(_ reference: String) async throws -> ImageSnapshot { throw Self.missing }
    func imageHistory(_ reference: String) async throws -> [ImageHistoryEntry] { throw Self.missing }
    func tagImage(_ reference: String, as name: String) async throws { throw Self.missing }
    func removeImage(_ reference: String, force: Bool) async throws -> [ImageDeletion] { throw Self.missing }
    func pruneImages(filters: Filters) async throws -> (deleted: [ImageDeletion], reclaimed: Int64) {
        throw Self.missing
    }
    func systemInfo() async throws -> SystemInfo { throw Self.missing }
    func diskUsage() async throws -> DiskUsage { throw Self.missing }
}
final class PendingAttach: Sendable {
    func handOver(_ connection: ClientConnection) async throws { throw EngineCore.missing }
    func cancel() {}
}
actor LogIterationSource {
    func next() async throws -> [LogRecord]? { throw EngineCore.missing }
}
