import DocumentTexts
package import Kernel
package import ShimProtocol

/// What happened to the container, numbered, until the manager has acknowledged it.
///
/// Every event is a line of the file before anybody is told, so that a manager that finds the shim dead reads there what
/// it has missed. The events that are not acknowledged yet are also in memory, for `Supervisor.Events`.
package final class Journal {
    /// Events kept in memory for a manager that is away; older ones are only in the file.
    static let maximumEventsInMemory = 1024
    /// A file that is longer is emptied when everything in it is acknowledged.
    static let lengthWorthEmptying = 64 << 10

    /// Bytes of a file that are read.
    private static let maximumLength = 1 << 30

    package private(set) var lastSeq: UInt64 = 0
    package private(set) var acknowledged: UInt64 = 0
    private var events: [ShimEvent] = []
    private var file: SharedDescriptor?
    private var length = 0
    /// Lines that the file did not take, until it does.
    private var unwritten: [UInt8] = []
    /// Called before the file is emptied: what is to know the last number must know it then.
    package var beforeEmptying: (() -> Void)?

    /// Opens the file, or keeps no file where there is no path.
    package init(path: String?) throws(KernelError) {
        if let path {
            file = SharedDescriptor(try File.open(path, [.write, .create, .append, .noFollow], mode: 0o600))
        } else {
            file = nil
        }
    }

    /// Numbers an event and writes it down.
    ///
    /// - Returns: What went wrong with the file; the event is in memory all the same.
    package func append(_ event: TaskEvent, containerID: String, at time: Timestamp) -> KernelError? {
        append(
            event.message(seq: lastSeq + 1, time: time, containerID: containerID),
            event.line(seq: lastSeq + 1, time: time, containerID: containerID)
        )
    }

    private func append(_ message: ShimEvent, _ line: [UInt8]) -> KernelError? {
        lastSeq = message.seq
        events.append(message)
        if events.count > Self.maximumEventsInMemory {
            events.removeFirst(events.count - Self.maximumEventsInMemory)
        }
        guard let file else {
            return nil
        }
        // The manager has them from memory; what the file misses of very many, a successor does.
        if unwritten.count > Self.lengthWorthEmptying { unwritten = [] }
        unwritten += line
        do throws(KernelError) {
            try file.writeAll(unwritten)
            length += unwritten.count
            unwritten = []
            return nil
        } catch {
            // Half of a line would spoil the next one; where it cannot be cut off either, a reader leaves both out.
            try? file.truncate(to: Int64(length))
            return error
        }
    }

    /// The events after a number, oldest first.
    package func events(after seq: UInt64) -> [ShimEvent] {
        events.filter { $0.seq > seq }
    }

    /// The manager has made everything up to a number durable.
    package func acknowledge(_ seq: UInt64) {
        acknowledged = max(acknowledged, min(seq, lastSeq))
        events.removeAll { $0.seq <= acknowledged }
        if events.isEmpty {
            events = []
        }
        guard let file, acknowledged == lastSeq, length > Self.lengthWorthEmptying else {
            return
        }
        beforeEmptying?()
        // A file that cannot be emptied only stays long.
        if (try? file.truncate(to: 0)) != nil {
            length = 0
            unwritten = []
        }
    }

    // Restoring ---------------------------------------------------------------------------------------------------------

    /// Goes on where another program has stopped, in its place.
    package func restore(_ state: ShimJournalState) throws(KernelError) {
        lastSeq = state.lastSeq
        acknowledged = state.acknowledged
        events = Array(state.events.suffix(Self.maximumEventsInMemory))
        length = Int(clamping: try file?.status().size ?? 0)
    }

    /// Goes on where a program has stopped that died: what it had written down counts.
    ///
    /// - Parameters:
    ///   - state: what that program had known when it last wrote its state.
    ///   - path: of the file.
    /// - Returns: Every event that the file holds, and what was wrong with it: then there is another one in its place.
    /// - Throws: `KernelError` when the file cannot be read, or a damaged one not be replaced.
    package func recover(
        _ state: ShimJournalState,
        path: String
    ) throws(KernelError) -> (events: [ShimEvent], damage: ShimFileDamage?) {
        let bytes = try File.read(path, limit: Self.maximumLength)
        let whole = (bytes.lastIndex(of: 0x0a) ?? -1) + 1
        let written = JournalLine.events(bytes[..<whole])
        length = bytes.count
        lastSeq = max(state.lastSeq, written.last?.seq ?? 0)
        acknowledged = min(state.acknowledged, lastSeq)
        events = written.filter { $0.seq > acknowledged }.suffix(Self.maximumEventsInMemory)
        let missing =
            state.lastSeq > state.acknowledged
            ? Set(state.acknowledged + 1...state.lastSeq).subtracting(written.map(\.seq)) : []
        let reason =
            CheckedObject.damage(ofLines: bytes)
            ?? (missing.isEmpty ? nil : "\(missing.count) events of those up to number \(state.lastSeq) are missing")
        return (written, try reason.map { reason throws(KernelError) in try renew(path, bytes, reason) })
    }

    /// Writes down what the other program had decided and could not write.
    ///
    /// - Returns: What went wrong with the file.
    package func complete(_ announced: ShimEvent) -> KernelError? {
        guard announced.seq > lastSeq, let event = TaskEvent(announced) else {
            return nil
        }
        return append(
            announced,
            event.line(seq: announced.seq, time: Timestamp(announced.time), containerID: announced.containerID)
        )
    }

    /// What a state says of the journal.
    ///
    /// - Parameter isComplete: whether what the file has too is in it.
    /// - Returns: The state.
    package func state(isComplete: Bool) -> ShimJournalState {
        var state = ShimJournalState()
        state.lastSeq = lastSeq
        state.acknowledged = acknowledged
        if isComplete {
            state.events = events
        }
        return state
    }

    // Damage ------------------------------------------------------------------------------------------------------------

    /// Looks whether the file is as it was written; if not, it is set aside and another one takes its place.
    ///
    /// - Parameter path: of the file.
    /// - Returns: What was wrong; nil for nothing.
    /// - Throws: `KernelError` when the file cannot be read or replaced.
    package func check(path: String) throws(KernelError) -> ShimFileDamage? {
        guard file != nil else {
            return nil
        }
        guard File.exists(path) else {
            return try renew(path, [], "it is not there")
        }
        let bytes = try File.read(path, limit: Self.maximumLength)
        let reason =
            CheckedObject.damage(ofLines: bytes)
            ?? (bytes.count == length ? nil : "it has \(bytes.count) bytes, and \(length) were written")
        return try reason.map { reason throws(KernelError) in try renew(path, bytes, reason) }
    }

    /// Writes the file anew: what of it can be read and is in memory, as far as it is not acknowledged.
    private func renew(_ path: String, _ bytes: [UInt8], _ reason: String) throws(KernelError) -> ShimFileDamage {
        var damage = ShimFileDamage()
        (damage.path, damage.reason) = (path, reason)
        if !bytes.isEmpty {
            damage.setAside = DamagedFile.place(path)
            try File.writeAtomically(damage.setAside, bytes, mode: 0o600, durable: false)
        }
        let whole = (bytes.lastIndex(of: 0x0a) ?? -1) + 1
        var lines: [UInt64: [UInt8]] = [:]
        // A probe's result is in no event that could be written again; its report tells.
        for event in JournalLine.events(bytes[..<whole]) + events where event.seq > acknowledged {
            lines[event.seq] = TaskEvent(event)?.line(
                seq: event.seq,
                time: Timestamp(event.time),
                containerID: event.containerID
            )
        }
        let content = lines.sorted { $0.key < $1.key }.flatMap(\.value)
        try File.writeAtomically(path, content, mode: 0o600, durable: false)
        file = SharedDescriptor(try File.open(path, [.write, .append, .noFollow]))
        (length, unwritten) = (content.count, [])
        return damage
    }
}
