/// Where everything of one engine is: the one place that knows the names on disk.
package struct Paths: Sendable {
    package let root: String
    package let state: String

    package init(
        root: String,
        state: String
    ) {
        self.root = root
        self.state = state
    }

    package var database: String { "\(root)/berth.db" }
    package var lock: String { "\(root)/lock" }
    package var content: String { "\(root)/content" }
    package var snapshots: String { "\(root)/snapshots" }
    package var volumes: String { "\(root)/volumes" }
    package var seccomp: String { "\(root)/seccomp" }
    package var profiles: String { "\(root)/profiles" }
    package var containers: String { "\(root)/containers" }
    package var bundles: String { "\(state)/containers" }

    package func container(_ id: ContainerID) -> ContainerPaths {
        ContainerPaths(durable: "\(containers)/\(id)", bundle: "\(bundles)/\(id)")
    }

    package func volume(_ name: String) -> String { "\(volumes)/\(name)/_data" }
}

/// Where everything of one container is.
package struct ContainerPaths: Sendable {
    /// `<root>/containers/<id>`.
    package let durable: String
    /// `<state>/containers/<id>`.
    package let bundle: String

    package var log: String { "\(durable)/container.log" }
    /// How the run of this name ended; each run has a record of its own, so that none is taken for another's.
    package func exitRecord(_ run: String) -> String { "\(durable)/\(Self.exitRecordPrefix)\(run).json" }
    /// The beginning of the names of exit records.
    package static let exitRecordPrefix = "exit-"
    package var hosts: String { "\(durable)/hosts" }
    package var resolvConf: String { "\(durable)/resolv.conf" }
    package var hostname: String { "\(durable)/hostname" }

    package var config: String { "\(bundle)/config.json" }
    package var rootfs: String { "\(bundle)/rootfs" }
    package var shimSocket: String { "\(bundle)/shim.sock" }
    package var descriptorSocket: String { "\(bundle)/fd.sock" }
    package var address: String { "\(bundle)/address" }
    package var token: String { "\(bundle)/token" }
    /// The name of the run that the bundle is for.
    package var run: String { "\(bundle)/run" }
    /// What a new shim needs to know to take over; only where the backend can.
    package var shimState: String { "\(bundle)/state" }
    /// Locked by the shim as long as it lives.
    package var lock: String { "\(bundle)/lock" }
    package var journal: String { "\(bundle)/journal" }
    package var shimPid: String { "\(bundle)/shim.pid" }
    package var shimLog: String { "\(bundle)/shim.log" }
    package var execs: String { "\(bundle)/execs" }
}
