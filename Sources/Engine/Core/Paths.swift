/// Where everything of one engine is: the one place that knows the names on disk.
struct Paths: Sendable {
    let root: String
    let state: String

    var database: String { "\(root)/berth.db" }
    var lock: String { "\(root)/lock" }
    var content: String { "\(root)/content" }
    var snapshots: String { "\(root)/snapshots" }
    var volumes: String { "\(root)/volumes" }
    var seccomp: String { "\(root)/seccomp" }
    var containers: String { "\(root)/containers" }
    var bundles: String { "\(state)/containers" }

    func container(_ id: ContainerID) -> ContainerPaths {
        ContainerPaths(durable: "\(containers)/\(id)", bundle: "\(bundles)/\(id)")
    }

    func volume(_ name: String) -> String { "\(volumes)/\(name)/_data" }
}

/// Where everything of one container is.
struct ContainerPaths: Sendable {
    /// `<root>/containers/<id>`.
    let durable: String
    /// `<state>/containers/<id>`.
    let bundle: String

    var log: String { "\(durable)/container.log" }
    var exitRecord: String { "\(durable)/exit.json" }
    var hosts: String { "\(durable)/hosts" }
    var resolvConf: String { "\(durable)/resolv.conf" }
    var hostname: String { "\(durable)/hostname" }

    var config: String { "\(bundle)/config.json" }
    var rootfs: String { "\(bundle)/rootfs" }
    var shimSocket: String { "\(bundle)/shim.sock" }
    var descriptorSocket: String { "\(bundle)/fd.sock" }
    var address: String { "\(bundle)/address" }
    var token: String { "\(bundle)/token" }
    var journal: String { "\(bundle)/journal" }
    var shimPid: String { "\(bundle)/shim.pid" }
    var shimLog: String { "\(bundle)/shim.log" }
    var execs: String { "\(bundle)/execs" }
}
