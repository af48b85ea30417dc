import Kernel
import ShimProtocol

/// What happened to the container, numbered, until the manager has acknowledged it.
///
/// Every event is a line of the file before anybody is told, so that a manager that finds the shim dead reads there what
/// it has missed. The events that are not acknowledged yet are also in memory, for `Supervisor.Events`.
final class Journal {
    /// Events kept in memory for a manager that is away; older ones are only in the file.
    static let maximumEventsInMemory = 1024
    /// A file that is longer is emptied when everything in it is acknowledged.
    static let lengthWorthEmptying = 64 << 10

    private(set) var lastSeq: UInt64 = 0
    private var acknowledged: UInt64 = 0
    private var events: [ShimEvent] = []
    private let file: SharedDescriptor?
    private var length = 0

    /// Opens the file, or keeps no file where there is no path.
    init(path: String?) throws(KernelError) {
        if let path {
            file = SharedDescriptor(try File.open(path, [.write, .create, .append, .noFollow], mode: 0o600))
        } else {
            file = nil
        }
    }

    /// Numbers an event and writes it down.
    ///
    /// - Returns: What went wrong with the file; the event is in memory all the same.
    func append(_ event: TaskEvent, containerID: String, at time: Timestamp) -> KernelError? {
        lastSeq += 1
        events.append(event.message(seq: lastSeq, time: time, containerID: containerID))
        if events.count > Self.maximumEventsInMemory {
            events.removeFirst(events.count - Self.maximumEventsInMemory)
        }
        guard let file else {
            return nil
        }
        let line = event.line(seq: lastSeq, time: time, containerID: containerID)
        do throws(KernelError) {
            try file.writeAll(line)
            length += line.count
            return nil
        } catch {
            return error
        }
    }

    /// The events after a number, oldest first.
    func events(after seq: UInt64) -> [ShimEvent] {
        events.filter { $0.seq > seq }
    }

    /// The manager has made everything up to a number durable.
    func acknowledge(_ seq: UInt64) {
        acknowledged = max(acknowledged, min(seq, lastSeq))
        events.removeAll { $0.seq <= acknowledged }
        if events.isEmpty {
            events = []
        }
        guard let file, acknowledged == lastSeq, length > Self.lengthWorthEmptying else {
            return
        }
        // A file that cannot be emptied only stays long.
        if (try? file.truncate(to: 0)) != nil {
            length = 0
        }
    }
}
