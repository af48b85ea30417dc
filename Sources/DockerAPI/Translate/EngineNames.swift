package import EngineModel

// Names that both DockerTypes and Engine have. The module Engine has a class of its own name, so its types cannot be written with
// the module's name in front; this file sees only Engine.

/// The engine's restart policy.
package typealias EngineRestartPolicy = RestartPolicy
/// The engine's limit of a process.
package typealias EngineUlimit = Ulimit
/// The engine's device.
package typealias EngineDevice = DeviceRequest
/// The engine's container state.
package typealias EngineContainerState = ContainerState
/// The engine's mount.
package typealias EngineMountPoint = MountPoint
