import Foundation
import SystemFixture
import Testing

/// A change of a file: cut off, or one byte another one.
enum Change {
    case cut(Int)
    case flip(Int, UInt8)

    func applied(to content: Data) -> Data {
        switch self {
        case .cut(let count): return Data(content.prefix(count))
        case .flip(let place, let bits):
            var changed = content
            changed[changed.startIndex + place] ^= bits
            return changed
        }
    }
}

/// What is still to be done to the files of each kind.
final class DamagePlan {
    /// Files up to this size are cut and changed in every place.
    private static let small = 160
    private static let places = 40

    private var open: [String: [Change]] = [:]
    private(set) var count = 0
    /// The kinds that had no turn yet.
    private(set) var untried: Set<String> = []
    let kinds: [String]
    var isDone: Bool { open.values.allSatisfy(\.isEmpty) }

    init(_ files: DamagedState.Files) {
        for file in files.own + files.shared {
            let size = files.contents[file]?.count ?? 0
            let places = size <= Self.small ? size : Self.places
            // Of files of one kind the first decides; they differ by a few bytes at most.
            if open[Self.kind(file)] == nil { open[Self.kind(file)] = Self.changes(of: size, places: places) }
        }
        kinds = open.keys.sorted()
        untried = Set(open.filter { !$0.value.isEmpty }.keys)
    }

    /// Files that are written and read by the same code.
    static func kind(_ file: URL) -> String {
        let folder = file.deletingLastPathComponent().lastPathComponent
        let name = file.lastPathComponent
        let isUnnamed = { (text: String) in text.count >= 8 && text.allSatisfy(\.isHexDigit) }
        if isUnnamed(name) { return "\(folder)/*" }
        if name.hasSuffix(".bpf"), folder == "seccomp" { return "seccomp/*" }
        return name.hasPrefix("exit-") ? "exit" : isUnnamed(folder) ? name : "\(folder)/\(name)"
    }

    /// The next change of a file; nil when its kind is done.
    func next(_ file: URL, size: Int) -> Change? {
        // A file that was made anew may be shorter; nothing is no change.
        while size > 0, let change = open[Self.kind(file)]?.popLast() {
            if case .cut(let length) = change, length >= size { continue }
            if case .flip(let place, _) = change, place >= size { continue }
            count += 1
            untried.remove(Self.kind(file))
            return change
        }
        return nil
    }

    /// Cuts and changed bytes in so many places, in an order whose every beginning is spread over the file.
    static func changes(of size: Int, places: Int) -> [Change] {
        guard size > 0, places > 0 else { return [] }
        let order = (0..<places).sorted { ($0 &* 2_654_435_761) & 0xFFFF < ($1 &* 2_654_435_761) & 0xFFFF }
        return order.flatMap { index -> [Change] in
            let place = index * size / places
            return [.cut(place), .flip(place, [0x01, 0x80, 0xFF, 0x20][index % 4])]
        } + [.flip(size - 1, 0x01), .cut(size - 1), .cut(0)]
    }
}

/// A file that was damaged.
struct Damaged: CustomStringConvertible {
    let file: URL
    let change: Change
    var kind: String { DamagePlan.kind(file) }
    var description: String { "\(kind) \(change)" }
}

/// Files of which a changed byte is not told, and why that is right; docs/operations.md has the same list.
enum Unread {
    static let kinds = [
        "container.log": "what a container has written is its own, and is shown as it is",
        "hosts": "users and containers may change it",
        "resolv.conf": "users and containers may change it",
        "hostname": "users and containers may change it",
        "shim.log": "no program reads it",
    ]

    /// Blobs of layers are too long to be read at each start; their bytes are checked whenever they are read, their length at the start.
    static func isExcused(_ damage: Damaged, isLayer: (URL) -> Bool) -> Bool {
        if kinds[damage.kind] != nil { return true }
        guard damage.kind == "sha256/*", case .flip = damage.change else { return false }
        return isLayer(damage.file)
    }
}

/// Containers in all phases, and the files that they and the manager have written.
final class DamagedState {
    /// The files of one kind are damaged in another container in each round, so one start tests many.
    static let running = 24

    private let daemon: Daemon
    private var pids: [String: String] = [:]
    private var ids: [String: String] = [:]
    /// When the worker was started, and a second later: what is exact to a hundredth may be in the next minute.
    private(set) var workerBegan = ("", "")

    /// The files of single containers, and all others but the database.
    struct Files {
        var own: [URL] = []
        var shared: [URL] = []
        var contents: [URL: Data] = [:]
    }

    init(_ daemon: Daemon, running: Int = DamagedState.running) throws {
        self.daemon = daemon
        for name in (0..<running).map({ "r\($0)" }) + ["worker"] {
            let script = "echo begun; exec sleep 1000000"
            try daemon.ok("run", "-d", "--name", name, "--network", "none", "berth/default", "sh", "-c", script)
            if pids.count < 4 { try daemon.ok("exec", "-d", name, "sleep", "1000000") }
            pids[name] = try daemon.field(".State.Pid", name)
        }
        workerBegan.0 = try daemon.field(".State.StartedAt", "worker")
        let format = ISO8601DateFormatter()
        if let began = format.date(from: "\(workerBegan.0.prefix(19))Z") {
            workerBegan.1 = format.string(from: began.addingTimeInterval(1))
        }
        if pids["r7"] != nil { try daemon.ok("pause", "r7") }
        _ = try daemon.berth("run", "--name", "ended", "berth/default", "sh", "-c", "echo gone; exit 3")
        try daemon.ok("create", "--name", "made", "berth/default", "true")
        for name in try daemon.ok("ps", "-a", "--format", "{{.Names}}").split(separator: "\n").map(String.init) {
            ids[name] = try daemon.field(".Id", name)
        }
        let learning = ["profile", "learn", "--name", "p", "--rm", "--network", "none", "berth/default", "true"]
        try #require(try daemon.client(learning).finish().status == 0)
        try daemon.ok("profile", "promote", "p")
        // Written in the background: the copies of the configurations.
        try eventually("the copies are written") {
            try self.folders().allSatisfy {
                FileManager.default.fileExists(atPath: daemon.root.path + "/containers/\($0)/container.json")
            }
        }
    }

    private func folders() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: daemon.root.path + "/containers")
    }

    /// Every regular file below both directories, without what images and containers have in theirs, and what nothing reads.
    func files() throws -> Files {
        var files = Files()
        for folder in [daemon.root, daemon.state] {
            let found = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: [.isRegularFileKey])
            while let file = found?.nextObject() as? URL {
                let path = file.path
                let isData = ["/fs/", "/snapshots/containers/", "/volumes/", "/rootfs/"].contains {
                    path.contains($0)
                }
                if isData || ["berth.db", "berthd"].contains(where: file.lastPathComponent.hasPrefix) { continue }
                if path.contains(".bad") || path.contains(".damaged") { continue }
                guard try file.resourceValues(forKeys: [.isRegularFileKey]).isRegularFile == true else { continue }
                files.contents[file] = try Data(contentsOf: file)
                if path.contains("/containers/") { files.own.append(file) } else { files.shared.append(file) }
            }
        }
        files.own.sort { $0.path < $1.path }
        files.shared.sort { $0.path < $1.path }
        return files
    }

    /// Damages one file of every container, each of another kind, and one that all share; says which.
    func damage(_ files: Files, _ plan: DamagePlan, round: Int) throws -> [Damaged] {
        let worker = try id("worker")
        let containers = Dictionary(grouping: files.own.filter { !$0.path.contains(worker) }) { file in
            file.path.split(separator: "/").map(String.init).first { $0.count == 64 } ?? ""
        }
        var done: [Damaged] = []
        func change(_ candidates: [URL], _ first: Int) throws {
            for index in candidates.indices {
                let file = candidates[(first + index) % candidates.count]
                guard let content = files.contents[file], let change = plan.next(file, size: content.count) else {
                    continue
                }
                try write(change.applied(to: content), to: file)
                return done.append(Damaged(file: file, change: change))
            }
        }
        for (index, key) in containers.keys.sorted().enumerated() { try change(containers[key] ?? [], round + index) }
        try change(files.shared, round)
        return done
    }

    private func id(_ name: String) throws -> String {
        let folder = daemon.root.appendingPathComponent("containers")
        for id in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let copy = folder.appendingPathComponent("\(id)/container.json")
            if try String(contentsOf: copy, encoding: .utf8).contains("\\\"name\\\":\\\"\(name)\\\"") { return id }
        }
        throw Command.Overdue(description: "no container \(name)")
    }

    /// In place: who has the file open has the same one.
    private func write(_ content: Data, to file: URL) throws {
        let handle = try FileHandle(forWritingTo: file)
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: content)
        try handle.close()
    }

    /// Everything that is not damaged is as it was, and new work is done.
    func check(_ what: String) throws {
        let names = Set(try daemon.ok("ps", "-a", "--format", "{{.Names}}").split(separator: "\n").map(String.init))
        // A row that cannot be read hides its container, and is told of.
        let missing = ids.keys.filter { !names.contains($0) }
        let told = missing.isEmpty ? "" : try daemon.berth("info").errors
        #expect(missing.allSatisfy { told.contains((ids[$0] ?? "?").prefix(12)) }, "\(what): \(missing); told: \(told)")
        #expect(missing.count <= 1, "\(what): \(missing)")
        for (name, pid) in pids {
            #expect(kill(Int32(pid) ?? -1, 0) == 0, "\(what): \(name) was ended")
        }
        let worker = missing.contains("worker") ? "r0" : "worker"
        // The manager answers before it has met the shims.
        try eventually("the worker is known in \(what)") {
            try daemon.field(".State.Pid", worker) == pids[worker]
        }
        try eventually("exec works in \(what)") { try daemon.berth("exec", worker, "echo", "alive").text == "alive" }
        // An image that is damaged is loaded again.
        if try daemon.berth("create", "--name", "new", "berth/default", "true").status != 0 {
            _ = try daemon.berth("load", "-i", try DefaultImage.archive())
            try daemon.ok("create", "--name", "new", "berth/default", "true")
        }
        try daemon.ok("rm", "new")
        #expect(daemon.isRunning, "\(what)")
    }

    /// Each damage is told with the path of the file, and what Berth makes anew is there again.
    func expectNamed(_ damages: [Damaged], _ what: String) throws {
        let expected = damages.filter { !Unread.isExcused($0, isLayer: isLayer) }
        var told = ""
        func untold() throws -> [Damaged] {
            told = try daemon.berth("info").errors
            return expected.filter { !told.contains($0.file.path) }
        }
        try? eventually("all damages are told of") { try untold().isEmpty }
        let rest = try untold()
        #expect(rest.isEmpty, "\(what): nothing is said of \(rest); told: \(told)")
        for damage in expected where Self.renewed.contains(damage.kind) {
            #expect(FileManager.default.fileExists(atPath: damage.file.path), "\(what): \(damage) is not made anew")
            if case .cut(0) = damage.change { continue }  // there is nothing to keep
            #expect(FileManager.default.fileExists(atPath: damage.file.path + ".bad"), "\(what): \(damage) is not kept")
        }
        for damage in expected where Self.dropped.contains(damage.kind) {
            #expect(FileManager.default.fileExists(atPath: damage.file.path + ".bad"), "\(what): \(damage) is not kept")
        }
        for damage in expected where damage.file.path.contains("/execs/") {
            let container = damage.file.pathComponents.first { $0.count == 64 } ?? ""
            let sessions = try daemon.ok("exec", "ls", container)
            #expect(
                sessions.contains(damage.file.lastPathComponent) && sessions.contains("Running"),
                "\(what): \(sessions)"
            )
        }
    }

    /// What is written again from what else is known.
    private static let renewed: Set<String> = [
        "token", "run", "shim.pid", "address", "config.json", "seccomp.bpf", "state", "journal", "container.json",
        "exit",
        "layer.json", "layer.copy.json",
    ]
    /// What is set aside, and absent from then on.
    private static let dropped: Set<String> = ["profiles/p.json", "profiles/p.promoted.json"]

    /// Whether a blob is none of the documents.
    private func isLayer(_ blob: URL) -> Bool {
        (try? Data(contentsOf: blob).count) ?? 0 > 65536
    }

    /// Puts every file back as it was, whatever became of it, but for those that Berth has made anew.
    func restore(_ files: Files, _ damages: [Damaged]) throws {
        for damage in damages {
            let file = damage.file
            guard let content = files.contents[file] else { continue }
            let isEmptied = if case .cut(0) = damage.change { Self.renewed.contains(damage.kind) } else { false }
            let isRenewed = isEmptied || FileManager.default.fileExists(atPath: file.path + ".bad")
            try? FileManager.default.removeItem(atPath: file.path + ".bad")
            if !FileManager.default.fileExists(atPath: file.path) {
                try content.write(to: file)
            } else if !isRenewed {
                try write(content, to: file)
            }
        }
        let index = daemon.root.appendingPathComponent("content/index.json")
        try? FileManager.default.removeItem(atPath: index.path + ".damaged")
        if let content = files.contents[index], try Data(contentsOf: index) != content {
            try write(content, to: index)
            try FileManager.default.removeItem(atPath: index.path + ".check")
        }
    }
}
