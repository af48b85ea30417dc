import Client
import DockerTypes
import Kernel

/// Learns how a container ends, also when the manager is replaced meanwhile.
///
/// It never blocks: the session's loop waits for ``descriptor`` or until ``nextAttempt`` and calls ``advance()``.
final class ExitWaiter {
    /// How a wait came out.
    enum Outcome {
        /// The container's exit status.
        case status(Int32)
        /// It cannot be learned, and why.
        case unknown(String)
    }

    /// Time between two attempts to reach a manager that is gone.
    static let interval = Duration.milliseconds(250)
    /// How long a manager may be gone.
    static let patience = Duration.seconds(120)

    private let client: APIClient
    private let id: String
    private let isRemoved: Bool
    private let began = Timestamp.now
    private var connection: HTTPConnection?
    private var answer: [UInt8] = []
    private var status = 0
    private var lostSince: Timestamp?
    private var isNoted = false
    private(set) var nextAttempt: Timestamp?

    /// A wait for the end of container `id`, or for its removal where it is removed at its end.
    init(_ client: APIClient, id: String, isRemoved: Bool) {
        self.client = client
        self.id = id
        self.isRemoved = isRemoved
    }

    /// Makes the request and blocks until the manager has taken it, so that no end can be missed.
    func begin() throws {
        connection = try client.begin("POST", path, [("condition", isRemoved ? "removed" : "next-exit")])
        status = 200
    }

    /// Waits to the end, blocking: for a container that may have ended already.
    func wait() throws -> Outcome {
        connection = try client.begin("POST", path, [("condition", "not-running")])
        status = 200
        while true {
            var set = PollSet()
            if let descriptor { set.add(descriptor, .readable) }
            _ = try set.wait(timeout: pause)
            if let outcome = advance() { return outcome }
        }
    }

    /// How long to wait for the next attempt; nil while there is a connection.
    var pause: Duration? { nextAttempt.map { max(.zero, $0 - Clock.monotonic.now) } }

    private var path: String { "/containers/\(APIClient.escape(id))/wait" }

    /// What to wait for; nil while there is no connection.
    var descriptor: Int32? { connection?.descriptor }

    /// Goes on after the descriptor became readable or the next attempt is due.
    func advance() -> Outcome? {
        do {
            guard let connection else { return try attempt() }
            try connection.receive()
            while let part = try connection.poll() {
                switch part {
                case .head(let head):
                    status = head.status
                    // Somebody serves again; only an answer that is whole counts in the end.
                    if head.status < 400 { lostSince = nil }
                case .body(let bytes): answer += bytes
                case .end: return finish()
                }
            }
            if connection.isAtEnd { lose() }
        } catch {
            lose()
        }
        return nil
    }

    private func attempt() throws -> Outcome? {
        guard let lostSince, let nextAttempt, Clock.monotonic.now >= nextAttempt else { return nil }
        if Clock.monotonic.now - lostSince >= Outage.quiet, !isNoted {
            isNoted = true
            Output.note("berth: berthd is gone; the exit code follows when it is back\r")
        }
        do {
            connection = try client.open("POST", path, [("condition", isRemoved ? "removed" : "not-running")])
            answer = []
            status = 0
            self.nextAttempt = nil
        } catch  where Clock.monotonic.now - lostSince > Self.patience {
            return .unknown("berthd has not come back: the exit code is not known (\(error))")
        } catch {
            self.nextAttempt = Clock.monotonic.now + Self.interval
        }
        return nil
    }

    private func lose() {
        connection = nil
        // A manager that is only being replaced takes the connection at once.
        nextAttempt = lostSince == nil ? Clock.monotonic.now : Clock.monotonic.now + Self.interval
        if lostSince == nil { lostSince = Clock.monotonic.now }
    }

    private func finish() -> Outcome? {
        connection = nil
        if status == 404 { return recorded() }
        // Refused because the manager is leaving, or an end without a word: the next one is asked.
        if status == 503 || answer.isEmpty {
            lose()
            return nil
        }
        lostSince = nil
        guard status < 400 else {
            return .unknown("wait for \(id): \(decoded(ErrorResponse.self)?.message ?? "HTTP status \(status)")")
        }
        guard let response = decoded(WaitResponse.self) else {
            return .unknown("wait for \(id): the answer is not understood")
        }
        if let error = response.error, !error.message.isEmpty { Output.note("berth: \(error.message)\r") }
        return .status(Int32(clamping: response.statusCode))
    }

    /// The container was removed before the manager could be asked: its last event says how it ended.
    private func recorded() -> Outcome {
        let filters = JSONValue.object(["container": .array([.string(id)]), "event": .array([.string("die")])])
        let query: APIClient.Query = [
            // The clock may have been set back meanwhile: the id says whose end it is.
            ("since", "0"), ("until", String(max(began, .now).seconds + 1)),
            ("filters", filters.text),
        ]
        guard let bytes = try? client.raw("GET", "/events", query),
            let last = bytes.split(separator: UInt8(ascii: "\n")).last,
            let event = try? DockerJSON.decode(EventMessage.self, from: last),
            let code = event.actor.attributes["exitCode"].flatMap({ Int32($0) })
        else { return .unknown("container \(Human.short(id)) is gone, and its exit code is not known") }
        return .status(code)
    }

    private func decoded<Value: Decodable>(_ type: Value.Type) -> Value? {
        // An answer that is not this document is handled by who asks.
        try? DockerJSON.decode(type, from: answer)
    }
}
