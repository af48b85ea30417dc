import DockerAPI
import EngineModel
import EngineShim
import FoundationEssentials
import Kernel

/// What one program gives to the next in the same process: a document in sealed memory, and open descriptors.
struct Handover {
    /// Names the descriptor of the document.
    static let variable = "BERTH_HANDOVER"
    private static let limit = 64 << 20

    /// Locks of the directories.
    var locks: [SharedDescriptor] = []
    /// Listening sockets.
    var listeners: [SharedDescriptor] = []
    /// Clients between two requests.
    var connections: [CarriedConnection] = []
    /// What is held of shims, for those that would have to take over.
    var held: [HeldDescriptors.Entry] = []
    /// Who asked for the change and waits for its answer.
    var caller: SharedDescriptor?
    /// The program that gives.
    var previous: SharedDescriptor?
    /// Path of that program.
    var previousPath = ""
    /// Version of the program that gives.
    var from = ""
    /// Why the program that was to take over did not: the one that reads this serves on.
    var failure: String?
    /// Descriptors that whoever started this process left in it, for example to see it end: they stay as they are.
    var foreign: [Int32] = []

    /// The document; fields are only ever added, and what is not known is left alone.
    private struct Document: Codable {
        struct Connection: Codable {
            var descriptor: Int32
            var leftover: String
        }

        struct Held: Codable {
            var container: String
            var name: String
            var descriptor: Int32
        }

        /// Version of the document; documents of before had none, and are version 1.
        var version: Int? = HandoverVersions.written
        /// The least version of a reader; a program that cannot read it says so and gives the process back.
        var readsFrom = HandoverVersions.readsFrom
        var locks: [Int32]
        var listeners: [Int32]
        var connections: [Connection]
        var held: [Held]
        var caller: Int32?
        var previous: Int32?
        var previousPath: String
        var from: String
        var failure: String?
        var foreign: [Int32]?
    }

    // Taking

    /// The descriptors that a process was started with beyond the first three; to be asked before it opens any.
    static func foreignDescriptors() -> [Int32] {
        let passed = CurrentProcess.environment("LISTEN_FDS").flatMap { Int32($0) } ?? 0
        // Without procfs there is nothing to be found out, and nothing is kept.
        guard let directory = try? File.open("/proc/self/fd", [.directory]),
            let entries = try? directory.readDirectory()
        else { return [] }
        return entries.compactMap { Int32($0.name) }.filter { number in
            number > 2 + passed && (try? BorrowedDescriptor(number).isCloseOnExec()) == false
        }
    }

    /// What the program before left in this process; nil in a process that was started anew.
    static func take() throws -> Handover? {
        guard let number = CurrentProcess.environment(variable).flatMap({ Int32($0) }) else { return nil }
        let memory = Descriptor(adopting: number)
        let bytes = try SealedMemory.read(memory.raw, limit: limit)
        // First: another version's document need not have the same form.
        try HandoverVersions.present.check(bytes)
        let document = try JSON.decode(Document.self, bytes)
        var handover = Handover()
        handover.locks = try document.locks.map(adopt)
        handover.listeners = try document.listeners.map(adopt)
        handover.connections = try document.connections.map {
            CarriedConnection(
                descriptor: try adopt($0.descriptor),
                leftover: Data(base64Encoded: $0.leftover).map(Array.init) ?? []
            )
        }
        handover.held = try document.held.compactMap { entry in
            let descriptor = try adopt(entry.descriptor)
            return ContainerID(entry.container).map {
                HeldDescriptors.Entry(container: $0, name: entry.name, descriptor: descriptor)
            }
        }
        handover.caller = try document.caller.map(adopt)
        handover.previous = try document.previous.map(adopt)
        handover.previousPath = document.previousPath
        handover.from = document.from
        handover.failure = document.failure
        handover.foreign = document.foreign ?? []
        return handover
    }

    private static func adopt(_ number: Int32) throws -> SharedDescriptor {
        let descriptor = SharedDescriptor(Descriptor(adopting: number))
        try descriptor.setCloseOnExec(true)
        return descriptor
    }

    // Giving

    /// Replaces this process's program by `program`, which gets everything here.
    ///
    /// - Parameters:
    ///   - program: The program, open.
    ///   - path: Its path.
    ///   - arguments: The arguments behind its name.
    /// - Throws: What the kernel says; this process goes on, and everything here is as it was.
    func give(to program: SharedDescriptor, path: String, arguments: [String]) throws -> Never {
        let memory = try SealedMemory.make("berth-handover", try JSON.bytes(document))
        let kept = descriptors + [memory.raw]
        // Event loops and libraries open descriptors that would stay open for ever.
        try DescriptorTable.setCloseOnExec(from: 3)
        defer {
            // Could be done a moment ago.
            try? DescriptorTable.setCloseOnExec(from: 3)
            for number in foreign { try? BorrowedDescriptor(number).setCloseOnExec(false) }
        }
        for number in kept { try BorrowedDescriptor(number).setCloseOnExec(false) }
        var environment = ProcessInfo.processInfo.environment
        for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { environment[name] = nil }
        environment[Self.variable] = String(memory.raw)
        let mask = Signals.setMask(SignalSet([]))
        defer { Signals.setMask(mask) }
        for signal: Signal in [.terminate, .interrupt, .hangUp, .user2] { Signals.restoreDefault(signal) }
        try Exec.replace(
            program.raw,
            arguments: try ArgumentVector([path] + arguments),
            environment: try ArgumentVector(environment.map { "\($0)=\($1)" })
        )
    }

    private var descriptors: [Int32] {
        (locks + listeners).map(\.raw) + connections.map(\.descriptor.raw) + held.map(\.descriptor.raw)
            + [caller, previous].compactMap { $0?.raw } + foreign
    }

    private var document: Document {
        Document(
            locks: locks.map(\.raw),
            listeners: listeners.map(\.raw),
            connections: connections.map {
                Document.Connection(
                    descriptor: $0.descriptor.raw,
                    leftover: Data($0.leftover).base64EncodedString()
                )
            },
            held: held.map {
                Document.Held(container: $0.container.description, name: $0.name, descriptor: $0.descriptor.raw)
            },
            caller: caller?.raw,
            previous: previous?.raw,
            previousPath: previousPath,
            from: from,
            failure: failure,
            foreign: foreign
        )
    }
}
