import DockerTypes
import EngineModel
import Kernel

/// Turns the engine's snapshots into the rows of Docker's container list.
package enum ListTranslation {
    static func summary(_ container: ContainerSnapshot, now: Timestamp) -> ContainerSummary {
        var row = ContainerSummary()
        row.id = container.id.description
        row.names = ["/" + container.name]
        row.image = container.configuration.image
        row.imageID = container.imageID
        row.command = command([container.path] + container.arguments)
        row.created = Int(container.created.seconds)
        row.ports = container.resolved.exposedPorts.compactMap(port)
        row.labels = container.resolved.labels
        row.state = container.state.status.rawValue
        row.status = status(container.state, now: now)
        row.hostConfig.networkMode = InspectTranslation.networkMode(container.configuration.network)
        row.networkSettings.networks = InspectTranslation.endpoints(container)
        row.mounts = container.mounts.map(InspectTranslation.mount)
        return row
    }

    private static func port(_ text: String) -> Port? {
        let parts = text.split(separator: "/")
        guard let first = parts.first, let number = Int(first) else { return nil }
        var port = Port()
        port.privatePort = number
        port.type = parts.count > 1 ? String(parts[1]) : "tcp"
        return port
    }

    /// The words as a shell would need them, for reading only.
    package static func command(_ words: [String]) -> String {
        words.filter { !$0.isEmpty }.map { word in
            let plain = word.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"): true
                default: "-_./:=,@%+".utf8.contains(byte)
                }
            }
            return plain
                ? word
                : "'" + word.split(separator: "'", omittingEmptySubsequences: false).joined(separator: #"'\''"#) + "'"
        }.joined(separator: " ")
    }

    /// The state for people.
    private static func status(_ state: EngineContainerState, now: Timestamp) -> String {
        let text =
            switch state.status {
            case .created: "Created"
            case .running: "Up \(since(state.startedAt, now))" + trouble(state) + health(state)
            case .paused: "Up \(since(state.startedAt, now)) (Paused)"
            case .restarting: "Restarting (\(state.exitCode)) \(since(state.finishedAt, now)) ago"
            case .removing: "Removal In Progress"
            case .dead: "Dead"
            case .exited: exited(state, now)
            }
        return state.damaged == nil ? text : text + " (damaged)"
    }

    private static func health(_ state: EngineContainerState) -> String {
        switch state.health?.status {
        case .starting: " (health: starting)"
        case .healthy: " (healthy)"
        case .unhealthy: " (unhealthy)"
        case nil: ""
        }
    }

    private static func trouble(_ state: EngineContainerState) -> String {
        if let task = state.stuck?.tasks.first { return " (Stuck: \(task.command) \(task.pid))" }
        if state.unsupervised != nil { return " (unsupervised)" }
        return state.reachable ? "" : " (unreachable)"
    }

    private static func exited(_ state: EngineContainerState, _ now: Timestamp) -> String {
        guard state.finishedAt != nil else { return "Created" }
        if case .unknown? = state.exit?.status { return "Exited (unknown) \(since(state.finishedAt, now)) ago" }
        return "Exited (\(state.exitCode)) \(since(state.finishedAt, now)) ago"
    }

    private static func since(_ time: Timestamp?, _ now: Timestamp) -> String {
        HumanDuration.text(seconds: time.map { now.seconds - $0.seconds } ?? 0)
    }
}
