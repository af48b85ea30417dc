import DockerTypes
import Engine
import EngineModel
import HTTPTypes
import HummingbirdCore
import Kernel
import NIOCore

/// Ping, version, info, events, disk usage.
struct SystemRoutes: Sendable {
    let engine: Engine

    func register(in table: inout RouteTable<APIHandler>) {
        table.add(.get, "/_ping", ping)
        table.add(.head, "/_ping", ping)
        table.add(.get, "/version", version)
        table.add(.get, "/info", info)
        table.add(.get, "/events", events)
        table.add(.get, "/berth/v1/events", resumableEvents)
        table.add(.get, "/system/df", diskUsage)
    }

    private func ping(_ request: APIRequest) async throws -> Reply {
        var headers: HTTPFields = [.contentType: "text/plain; charset=utf-8"]
        headers[.cacheControl] = "no-cache, no-store, must-revalidate"
        headers[.pragma] = "no-cache"
        headers[.builderVersion] = "1"
        headers[.swarm] = "inactive"
        let body = request.head.method == .head ? ResponseBody() : ResponseBody(byteBuffer: .init(string: "OK"))
        return .response(Response(status: .ok, headers: headers, body: body))
    }

    private func version(_ request: APIRequest) async throws -> Reply {
        let versions = engine.versions
        var reply = VersionResponse()
        var platform = PlatformName()
        platform.name = "Berth"
        reply.platform = platform
        var component = ComponentVersion()
        component.name = "Engine"
        component.version = versions.engine
        component.details = [
            "ApiVersion": DockerAPIVersions.maximum.description,
            "MinAPIVersion": DockerAPIVersions.minimum.description,
            "Arch": Self.goArchitecture(versions.machine),
            "Os": "linux",
            "KernelVersion": versions.kernel,
            "Experimental": "false",
        ]
        reply.components = [component]
        reply.version = versions.engine
        reply.apiVersion = DockerAPIVersions.maximum.description
        reply.minAPIVersion = DockerAPIVersions.minimum.description
        reply.goVersion = "none (Swift)"
        reply.os = "linux"
        reply.arch = Self.goArchitecture(versions.machine)
        reply.kernelVersion = versions.kernel
        return try .json(reply)
    }

    /// The architecture by the name that image platforms use.
    private static func goArchitecture(_ machine: String) -> String {
        switch machine {
        case "x86_64": "amd64"
        case "aarch64": "arm64"
        default: machine
        }
    }

    private func info(_ request: APIRequest) async throws -> Reply {
        let info = try await engine.systemInfo()
        var reply = DockerTypes.SystemInfo()
        reply.id = info.id
        reply.containers = info.running + info.paused + info.stopped
        reply.containersRunning = info.running
        reply.containersPaused = info.paused
        reply.containersStopped = info.stopped
        reply.images = info.images
        reply.driver = "overlay2"
        reply.driverStatus = [["Backing Filesystem", "overlayfs"]]
        reply.dockerRootDir = info.root
        reply.plugins.volume = ["local"]
        reply.plugins.network = ["host", "null"]
        reply.plugins.log = ["json-file", "local", "none"]
        limits(&reply)
        reply.systemTime = Timestamp.now.description
        reply.loggingDriver = "json-file"
        reply.cgroupDriver = info.cgroupManager.rawValue
        reply.cgroupVersion = "\(info.cgroupVersion)"
        reply.kernelVersion = info.kernelVersion
        reply.operatingSystem = info.operatingSystem
        reply.osType = "linux"
        reply.architecture = info.architecture
        reply.ncpu = info.cpus
        reply.memTotal = Int(info.memory)
        reply.name = info.hostname
        reply.serverVersion = info.version
        reply.runtimes = info.backends.mapValues { path in
            var runtime = RuntimeInfo()
            runtime.path = path
            return runtime
        }
        reply.defaultRuntime = info.defaultBackend
        reply.swarm.localNodeState = "inactive"
        reply.liveRestoreEnabled = true
        reply.initBinary = "berth-init"
        reply.containerdCommit.id = "N/A"
        reply.runcCommit.id = "N/A"
        reply.initCommit.id = "N/A"
        reply.securityOptions = ["name=seccomp,profile=builtin", "name=cgroupns", "name=no-new-privileges"]
        if info.userNamespaces.isDefault { reply.securityOptions.append("name=userns") }
        reply.berth = Self.berth(info.userNamespaces)
        reply.berth?.adopting = info.adopting
        reply.warnings = info.warnings.isEmpty ? nil : info.warnings
        return try .json(reply)
    }

    private static func berth(_ status: UserNamespaceStatus) -> BerthNode {
        var node = BerthNode()
        node.userNamespaces.default = status.isDefault
        node.userNamespaces.configured = status.configured
        node.userNamespaces.missing = status.missing
        node.userNamespaces.pool = status.pool
        node.userNamespaces.poolSource = status.poolSource
        node.userNamespaces.ids = Int(clamping: status.ids)
        node.userNamespaces.held = Int(clamping: status.held)
        return node
    }

    private func limits(_ reply: inout DockerTypes.SystemInfo) {
        reply.memoryLimit = true
        reply.cpuCfsPeriod = true
        reply.cpuCfsQuota = true
        reply.cpuShares = true
        reply.cpuSet = true
        reply.pidsLimit = true
    }

    private func events(_ request: APIRequest) async throws -> Reply {
        let sequence = try await engine.events(
            EventRequest(
                // The beginning of time is a time: everything that was kept.
                since: try request.query.time("since", countsFromZero: true),
                until: try request.query.time("until"),
                filters: try request.query.filters()
            )
        )
        return .stream(type: "application/json") { writer in
            for try await event in sequence { try await writer.write(json: EventTranslation.message(event)) }
        }
    }

    /// The same with cursors.
    ///
    /// `after` asks for what follows one; the first line says where reading starts.
    private func resumableEvents(_ request: APIRequest) async throws -> Reply {
        let query = request.query
        let sequence = try await engine.events(
            EventRequest(
                since: try query.time("since", countsFromZero: true),
                after: try query.number("after", in: 0 ... .max).map { Int64($0) },
                until: try query.time("until"),
                filters: try query.filters()
            )
        )
        return .stream(type: "application/json") { writer in
            var start = BerthEventStart()
            start.start = Int(sequence.start)
            start.missed = sequence.missed
            try await writer.write(json: start)
            for try await event in sequence {
                var message = EventTranslation.message(event)
                message.cursor = Int(event.sequence)
                try await writer.write(json: message)
            }
        }
    }

    private func diskUsage(_ request: APIRequest) async throws -> Reply {
        let usage = try await engine.diskUsage()
        var reply = DockerTypes.DiskUsage()
        let now = Timestamp.now
        reply.layersSize = Int(usage.layers)
        reply.images = usage.images.map { image in
            let users = usage.containers.filter { $0.container.imageID == image.id }.count
            var row = ImageTranslation.summary(image, containers: users)
            row.sharedSize = 0
            return row
        }
        reply.containers = usage.containers.map { entry in
            var row = ListTranslation.summary(entry.container, now: now)
            row.sizeRw = Int(entry.size)
            return row
        }
        return try .json(reply)
    }
}
