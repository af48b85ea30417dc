import Cgroups
import Kernel
import NativeContainer
import OCISpec

extension Runtime {
    func kill(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let operands = arguments.operands
        guard (1...2).contains(operands.count) else {
            throw .usage(
                operands.isEmpty ? "a container id is missing" : "too many operands: '\(operands[2])' is not expected"
            )
        }
        let text = operands.count > 1 ? operands[1] : "TERM"
        // 0 only asks whether there is a process to send to.
        let signal = Signal(name: text)
        guard signal != nil || text == "0" else { throw .usage("unknown signal '\(text)'") }
        let directory = try store.open(operands[0])
        let record = try directory.read()
        if let signal, arguments.has("all") {
            try native { () throws(NativeError) in
                try NativeContainer.signalAll(
                    signal,
                    cgroup: record.cgroup,
                    owner: record.groupOwner,
                    manager: record.manager
                )
            }
            return 0
        }
        guard let container = try attach(directory, record, directory.configuration()) else {
            throw .forbidden("container not running: '\(record.id)' has stopped")
        }
        guard let signal else { return 0 }
        try native { () throws(NativeError) in
            try container.signal(signal, ownsProcesses: record.ownsProcesses)
        }
        return 0
    }

    func pause(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let directory = try store.open(id(arguments))
        try directory.lock()
        let container = try attach(directory, "pause", in: [.created, .running])
        try native { () throws(NativeError) in try container.pause() }
        return 0
    }

    func resume(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let directory = try store.open(id(arguments))
        try directory.lock()
        let container = try attach(directory, "resume", in: [.paused])
        try native { () throws(NativeError) in try container.resume() }
        return 0
    }

    func processes(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        guard let id = arguments.operands.first else { throw .usage("a container id is missing") }
        let directory = try store.open(id)
        let container = try attach(directory, "list the processes of", in: [.created, .running, .paused])
        let pids = try native { () throws(NativeError) in try container.processes() }
        switch arguments.last("format") ?? "table" {
        case "json": return try print(JSONValue.array(pids.map(JSONValue.number)).text() + "\n")
        case "table": return try print(ProcessTable.text(pids, Array(arguments.operands.dropFirst())))
        case let other: throw .usage("--format: '\(other)' is neither table nor json")
        }
    }
}

/// The host's `ps`, with only some of its lines.
enum ProcessTable {
    static func text(_ pids: [Int32], _ options: [String]) throws(RuntimeError) -> String {
        let lines = try output(options.isEmpty ? ["-ef"] : options).split(separator: "\n")
        guard let title = lines.first,
            let column = title.split(separator: " ").firstIndex(of: "PID")
        else { throw .usage("ps prints no column PID with these options") }
        let wanted = lines.dropFirst().filter { line in
            let words = line.split(separator: " ")
            return words.indices.contains(column) && Int32(words[column]).map(pids.contains) == true
        }
        return ([title] + wanted).map { $0 + "\n" }.joined()
    }

    private static func output(_ options: [String]) throws(RuntimeError) -> String {
        try kernel { () throws(KernelError) in
            let (child, reader) = try start(options)
            let bytes = try reader.readToEnd(limit: 1 << 26)
            guard try Pidfd.waitForEnd(child.raw) == .exited(0) else { throw .failed("run ps", .cancelled) }
            return String(decoding: bytes, as: UTF8.self)
        }
    }

    /// Starts `ps`.
    ///
    /// In a function of its own, because the caller must not keep the writing end: its close is the end of the output.
    private static func start(
        _ options: [String]
    ) throws(KernelError) -> (child: SharedDescriptor, reader: SharedDescriptor) {
        let pipe = try Pipe().ends()
        var spawn = Spawn(arguments: ["ps"] + options, environment: ["COLUMNS=32000"])
        spawn.descriptors = [1: pipe.writer.raw, 2: 2]
        let child = try spawn.start(File.exists("/bin/ps") ? "/bin/ps" : "/usr/bin/ps")
        return (child.sharedPidfd(), pipe.reader)
    }
}
