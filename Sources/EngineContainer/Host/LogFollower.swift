package import ContainerIO

/// Tells a reader that follows that its container has ended.
package final class LogFollower: Sendable {
    package let control: LogFollowControl

    package init() throws { control = try LogFollowControl() }

    package func containerEnded() { control.containerEnded() }
}
