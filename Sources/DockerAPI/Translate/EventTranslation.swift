import DockerTypes
import EngineModel
import Kernel

/// Turns the engine's events into Docker's.
enum EventTranslation {
    static func message(_ event: EngineEvent) -> EventMessage {
        var message = EventMessage()
        message.type = event.kind.rawValue
        message.action = event.action
        message.actor.id = event.id
        message.actor.attributes = event.attributes
        message.scope = "local"
        message.time = Int(event.time.seconds)
        message.timeNano = Int(event.time.nanosecondsSinceEpoch)
        if event.kind == .container || event.kind == .image {
            message.status = event.action
            message.id = event.id
        }
        if event.kind == .container { message.from = event.attributes["image"] }
        return message
    }
}
