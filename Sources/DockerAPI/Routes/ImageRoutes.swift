import DockerTypes
import Engine
import EngineModel
import HTTPTypes
import HummingbirdCore
import Kernel
import NIOCore
import NIOPosix

/// Images.
struct ImageRoutes: Sendable {
    let engine: Engine

    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.get, "/images/json", list)
        table.add(.post, "/images/load", body: .stream, load)
        table.add(.post, "/images/prune", prune)
        table.add(.get, "/images/{name...}/json", inspect)
        table.add(.get, "/images/{name...}/history", history)
        table.add(.post, "/images/{name...}/tag", tag)
        table.add(.delete, "/images/{name...}", remove)
    }

    private func list(_ request: APIRequest) async throws -> Reply {
        let images = try await engine.listImages(
            all: request.query.flag("all"),
            filters: try request.query.filters()
        )
        var users: [String: Int] = [:]
        if request.version >= APIVersion(1, 51) {
            for container in try await engine.listContainers(all: true) { users[container.imageID, default: 0] += 1 }
        }
        return try .json(
            images.map { image in
                let count = request.version >= APIVersion(1, 51) ? users[image.id, default: 0] : -1
                return ImageTranslation.summary(image, containers: count)
            }
        )
    }

    private func inspect(_ request: APIRequest) async throws -> Reply {
        let image = try await engine.inspectImage(request.parameter("name"))
        return try .json(ImageTranslation.inspect(image, version: request.version))
    }

    private func history(_ request: APIRequest) async throws -> Reply {
        let entries = try await engine.imageHistory(request.parameter("name"))
        return try .json(
            entries.map { entry in
                var item = ImageHistoryItem()
                item.id = entry.id
                item.created = Int(entry.created?.seconds ?? 0)
                item.createdBy = entry.createdBy
                item.tags = entry.tags.isEmpty ? nil : entry.tags
                item.size = Int(entry.size)
                item.comment = entry.comment
                return item
            }
        )
    }

    private func tag(_ request: APIRequest) async throws -> Reply {
        guard let repository = request.query.text("repo") else { throw APIError.invalid("the new name is missing") }
        let tag = request.query.text("tag").map { ":" + $0 } ?? ""
        try await engine.tagImage(request.parameter("name"), as: repository + tag)
        return .empty(.created)
    }

    private func remove(_ request: APIRequest) async throws -> Reply {
        let gone = try await engine.removeImage(request.parameter("name"), force: request.query.flag("force"))
        return try .json(gone.map(ImageTranslation.deletion))
    }

    private func prune(_ request: APIRequest) async throws -> Reply {
        let result = try await engine.pruneImages(filters: try request.query.filters())
        var reply = ImagePruneResponse()
        reply.imagesDeleted = result.deleted.map(ImageTranslation.deletion)
        reply.spaceReclaimed = UInt64(max(0, result.reclaimed))
        return try .json(reply)
    }

    private func load(_ request: APIRequest) async throws -> Reply {
        let names = try await receive(request.stream)
        var text: [UInt8] = []
        for name in names {
            var line = ProgressMessage()
            let what = name.hasPrefix("sha256:") ? "Loaded image ID" : "Loaded image"
            line.stream = "\(what): \(name)\n"
            text += try DockerJSON.encode(line) + Array("\r\n".utf8)
        }
        return .response(
            Response(
                status: .ok,
                headers: [.contentType: "application/json"],
                body: ResponseBody(byteBuffer: ByteBuffer(bytes: text))
            )
        )
    }

    /// Feeds the body to the engine through a pipe: what is in memory is one chunk, whatever the archive's size.
    private func receive(_ body: RequestBody) async throws -> [String] {
        let loading = try LoadPipe()
        return try await withThrowingTaskGroup(of: [String]?.self) { group in
            group.addTask { [engine] in try await loading.read { try await engine.loadImages(from: $0) } }
            group.addTask {
                do {
                    for try await part in body { try await loading.write(part) }
                } catch let error as KernelError where error.errno == .brokenPipe {
                    // The engine stopped reading: its own error says why.
                }
                await loading.close()
                return nil
            }
            var names: [String]?
            do {
                while let result = try await group.next() { names = result ?? names }
            } catch {
                await loading.close()
                throw error
            }
            return names ?? []
        }
    }
}

/// The writing end of a pipe whose reader may be slow: each write blocks a thread of its own, not the cooperative pool.
private actor LoadPipe {
    /// Each end is held here alone while it is wanted: the other side sees its end as soon as it is given up.
    private var reader: SharedDescriptor?
    private var end: SharedDescriptor?
    private let thread = NIOThreadPool(numberOfThreads: 1)

    init() throws {
        let ends = try Pipe().ends()
        reader = ends.reader
        end = ends.writer
        thread.start()
    }

    /// Lends the reading end to `body` and closes it then, so that a writer does not wait for a reader that gave up.
    func read(_ body: (SharedDescriptor) async throws -> [String]) async throws -> [String] {
        defer { reader = nil }
        guard let reader else { return [] }
        return try await body(reader)
    }

    func write(_ buffer: ByteBuffer) async throws {
        guard let end else { return }
        try await thread.runIfActive { try end.writeAll(Array(buffer: buffer)) }
    }

    func close() async {
        guard end != nil else { return }
        end = nil
        // Shutting down only waits for the last write.
        try? await thread.shutdownGracefully()
    }
}
