package import EngineModel
package import EngineSpec
package import Kernel

/// One row of `containers`.
package struct ContainerRecord: Sendable, Equatable {
    package var id: ContainerID
    package var name: String
    package var created: Timestamp
    package var configuration: ContainerConfiguration
    package var plan: ContainerPlan
    package var state: PersistedState

    package init(
        id: ContainerID,
        name: String,
        created: Timestamp,
        configuration: ContainerConfiguration,
        plan: ContainerPlan,
        state: PersistedState
    ) {
        self.id = id
        self.name = name
        self.created = created
        self.configuration = configuration
        self.plan = plan
        self.state = state
    }
}
