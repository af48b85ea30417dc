package import EngineModel
package import EngineSpec
package import EngineStore
import Kernel
import OCISpec

/// A container of which a part of the configuration is lost: what can be told of it by what else is left.
///
/// It is listed, and can be stopped and removed. It is not started or changed: nobody knows what it was to be.
package struct DamagedContainer: Sendable {
    package var record: ContainerRecord
    /// What is lost, and why.
    package var reason: String

    /// Puts together what there is; blocks.
    ///
    /// `parts` is what of its row is as it was written, `name` its name when the row has none that can be believed, `range` the ids that it
    /// holds, and `place` where its cgroup is when nothing says so.
    package init(
        _ id: ContainerID,
        _ parts: RowParts,
        name: String?,
        range: IDRange?,
        place: CgroupPlace,
        paths: ContainerPaths,
        reason: String,
        _ damage: DamageLog
    ) {
        // The bundle's document says what runs; without a bundle nothing does.
        let document = (try? File.read(paths.config, limit: 1 << 24)).flatMap { try? RuntimeSpec(parsing: $0) }
        let configuration = parts.configuration ?? ContainerConfiguration(image: "")
        let plan = parts.plan ?? Self.plan(id, document, range, place)
        record = ContainerRecord(
            id: id,
            name: parts.name ?? name ?? "damaged-\(id.short)",
            created: parts.created ?? .now,
            configuration: configuration,
            plan: plan,
            state: parts.state ?? ContainerCopy.state(id, configuration, paths, damage)
        )
        self.reason = reason
    }

    private static func plan(
        _ id: ContainerID,
        _ document: RuntimeSpec?,
        _ range: IDRange?,
        _ place: CgroupPlace
    ) -> ContainerPlan {
        let resolved = ResolvedConfiguration(
            entrypoint: [],
            command: document?.process?.args ?? [],
            environment: document?.process?.env ?? [],
            labels: [:],
            workingDirectory: document?.process?.cwd ?? "/",
            user: "",
            stopSignal: "SIGTERM",
            hostname: document?.hostname ?? id.short,
            exposedPorts: []
        )
        return ContainerPlan(
            imageID: "",
            chain: [],
            manifest: "",
            resolved: resolved,
            mounts: [],
            // Nobody knows which one.
            backend: "",
            log: LogConfiguration(),
            userNamespace: UserNamespaceSetting(range: range, reason: "its plan is damaged"),
            cgroupsPath: document?.linux?.cgroupsPath ?? place.text
        )
    }
}
