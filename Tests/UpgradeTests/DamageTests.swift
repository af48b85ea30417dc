import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Every file that Berth wrote is cut off and changed: the manager starts, says what it cannot read, deletes nothing, and all
    /// else works.
    @Suite struct DamageTests {
        /// BERTH_TEST_DAMAGE=all: every place of small files, and many of large ones, in minutes; else as many as fit into half a one.
        private static let isWhole = ProcessInfo.processInfo.environment["BERTH_TEST_DAMAGE"] == "all"

        @Test func noFileThatIsDamagedStopsTheManager() throws {
            try Daemon.with { (daemon) throws in
                let state = try DamagedState(daemon)
                try daemon.stop()
                let files = try state.files()
                let plan = DamagePlan(files)
                try #require(plan.kinds.count > 20, "\(plan.kinds)")
                var round = 0
                while Self.isWhole ? !plan.isDone : round < 15 {
                    let what = try state.damage(files, plan, round: round)
                    try daemon.start()
                    try state.check("round \(round): \(what)")
                    try daemon.stop()
                    try state.restore(files)
                    round += 1
                }
                print("damaged files: \(plan.count) times, each of \(plan.kinds.count) kinds, in \(round) starts")
                try daemon.start()
                try state.check("the end")
            }
        }

        @Test func listOfImagesThatIsDamagedIsNamedAndSetAside() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                try daemon.stop()
                let file = daemon.root.appendingPathComponent("content/index.json")
                let damaged = try Data(contentsOf: file).prefix(40)
                try damaged.write(to: file)
                try daemon.start()
                #expect(try daemon.berth("info").errors.contains("index.json"))
                #expect(try Data(contentsOf: URL(fileURLWithPath: file.path + ".damaged")) == damaged)
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                try daemon.ok("load", "-i", try DefaultImage.archive())
                #expect(try daemon.ok("run", "--rm", "--network", "none", "berth/default", "echo", "new") == "new")
            }
        }

        @Test(arguments: ["kill", "adopt"]) func recordOfAShimThatIsWrongIsNoDeath(_ policy: String) throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "--shim-death", policy, "berth/default", "sleep", "1000")
                let pid = try daemon.field(".State.Pid", "one")
                let (shim, file) = (try daemon.shim("one"), try daemon.bundle("one").appendingPathComponent("shim.pid"))
                try daemon.crash()
                // The last digit of its start time.
                var text = try String(contentsOf: file, encoding: .utf8)
                let digit = try #require(text.lastIndex { $0.isNumber })
                text.replaceSubrange(digit...digit, with: text[digit] == "7" ? "8" : "7")
                try Data(text.utf8).write(to: file)
                try daemon.start()
                try eventually("it is supervised") {
                    try daemon.berth("exec", "one", "echo", "alive").output == "alive\n"
                }
                #expect(try daemon.field(".State.Pid", "one") == pid && isAlive(shim))
                #expect(try daemon.told("one").filter { ["die", "shim_die", "shim_adopt"].contains($0) }.isEmpty)
            }
        }

        @Test func changedExitRecordIsNotBelieved() throws {
            try Daemon.with { (daemon) throws in
                let script = "trap 'exit 1' USR1; while :; do sleep 0.1; done"
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sh", "-c", script)
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                let (shim, bundle) = (try daemon.shim("one"), try daemon.bundle("one"))
                let folder = daemon.root.appendingPathComponent("containers/\(bundle.lastPathComponent)")
                try daemon.crash()
                var record: URL?
                #expect(kill(pid, SIGUSR1) == 0)
                try eventually("its end is on record") {
                    record = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
                        .first { $0.lastPathComponent.hasPrefix("exit-") && $0.pathExtension == "json" }
                    return record != nil
                }
                // As after a boot.
                #expect(kill(shim, SIGKILL) == 0)
                try FileManager.default.removeItem(at: bundle)
                let file = try #require(record)
                let text = try String(contentsOf: file, encoding: .utf8)
                #expect(text.contains(#""code":1"#))
                try Data(text.replacingOccurrences(of: #""code":1"#, with: #""code":0"#).utf8).write(to: file)
                try daemon.start()
                try eventually("its end is known") { try daemon.field(".State.Running", "one") == "false" }
                #expect(try daemon.field(".State.ExitCode", "one") == "255")
                #expect(try daemon.field(".State.Error", "one").contains("damaged"))
                #expect(try daemon.berth("info").errors.contains(file.lastPathComponent))
                #expect(FileManager.default.fileExists(atPath: file.path + ".bad"))
            }
        }

        /// The numbers of all events that are kept.
        private static func cursors(_ daemon: Daemon) throws -> [Int] {
            let now = String(Int(Date().timeIntervalSince1970) + 1)
            let arguments = ["events", "--since", "0", "--until", now, "--format", "{{.Cursor}}"]
            return try daemon.client(arguments).finish().lines.compactMap { Int($0) }
        }

        @Test func databaseThatIsDamagedIsMadeAgain() throws {
            try Daemon.with { (daemon) throws in
                let state = try DamagedState(daemon)
                let cursors = try Self.cursors(daemon)
                // All of it is in one file then.
                try daemon.stop()
                try tryChanges(daemon, state, of: "berth.db", cursors)
            }
        }

        @Test func logOfTheDatabaseThatIsDamagedIsNoHarm() throws {
            try Daemon.with { (daemon) throws in
                let state = try DamagedState(daemon)
                let cursors = try Self.cursors(daemon)
                // Nearly all of it is in the log then.
                try daemon.crash()
                try tryChanges(daemon, state, of: "berth.db-wal", cursors)
            }
        }

        /// Starts the manager with `name` changed, and puts the database back, again and again.
        private func tryChanges(_ daemon: Daemon, _ state: DamagedState, of name: String, _ before: [Int]) throws {
            let files = ["berth.db", "berth.db-wal", "berth.db-shm"].map { daemon.root.appendingPathComponent($0) }
            let contents = files.map { try? Data(contentsOf: $0) }
            let changed = daemon.root.appendingPathComponent(name)
            let whole = try Data(contentsOf: changed)
            let highest = try #require(before.max())
            for (index, change) in DamagePlan.changes(of: whole.count, places: Self.isWhole ? 100 : 4).enumerated() {
                let damaged = change.applied(to: whole)
                try damaged.write(to: changed)
                try daemon.start()
                try state.check("\(name) \(index) \(change)")
                if damaged.isEmpty, name == "berth.db" {
                    #expect(try daemon.berth("info").errors.contains("cannot be read"))
                }
                // No number is given out twice: an event is the one that had it before, or has a new one.
                let told = try Self.cursors(daemon)
                #expect(told.filter { $0 <= highest }.allSatisfy(before.contains) && Set(told).count == told.count)
                try daemon.stop()
                for (file, content) in zip(files, contents) {
                    try? FileManager.default.removeItem(at: file)
                    try content?.write(to: file)
                }
            }
            try daemon.start()
            try state.check("the end")
        }
    }
}

/// A change of a file: cut off, or one byte another one.
private enum Change {
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
private final class DamagePlan {
    /// Files up to this size are cut and changed in every place.
    private static let small = 160
    private static let places = 40

    private var open: [String: [Change]] = [:]
    private(set) var count = 0
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
    }

    /// Files that are written and read by the same code.
    static func kind(_ file: URL) -> String {
        let folder = file.deletingLastPathComponent().lastPathComponent
        let name = file.lastPathComponent
        let isUnnamed = { (text: String) in text.count >= 8 && text.allSatisfy(\.isHexDigit) }
        if isUnnamed(name) { return "\(folder)/*" }
        return name.hasPrefix("exit-") ? "exit" : isUnnamed(folder) ? name : "\(folder)/\(name)"
    }

    /// The next change of a file; nil when its kind is done.
    func next(_ file: URL, size: Int) -> Change? {
        guard let change = open[Self.kind(file)]?.popLast() else { return nil }
        count += 1
        switch change {
        case .cut(let length): return .cut(min(length, size))
        case .flip(let place, let bits): return size == 0 ? nil : .flip(min(place, size - 1), bits)
        }
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

/// Containers in all phases, and the files that they and the manager have written.
private final class DamagedState {
    /// The files of one kind are damaged in another container in each round, so one start tests many.
    private static let running = 24

    private let daemon: Daemon
    private var pids: [String: String] = [:]
    private var ids: [String: String] = [:]

    /// The files of single containers, and all others but the database.
    struct Files {
        var own: [URL] = []
        var shared: [URL] = []
        var contents: [URL: Data] = [:]
    }

    init(_ daemon: Daemon) throws {
        self.daemon = daemon
        for name in (0..<Self.running).map({ "r\($0)" }) + ["worker"] {
            let script = "echo begun; exec sleep 1000000"
            try daemon.ok("run", "-d", "--name", name, "--network", "none", "berth/default", "sh", "-c", script)
            if pids.count < 4 { try daemon.ok("exec", "-d", name, "sleep", "1000000") }
            pids[name] = try daemon.field(".State.Pid", name)
        }
        try daemon.ok("pause", "r7")
        _ = try daemon.berth("run", "--name", "ended", "berth/default", "sh", "-c", "echo gone; exit 3")
        try daemon.ok("create", "--name", "made", "berth/default", "true")
        for name in try daemon.ok("ps", "-a", "--format", "{{.Names}}").split(separator: "\n").map(String.init) {
            ids[name] = try daemon.field(".Id", name)
        }
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
                let isData = ["/snapshots/layers/", "/snapshots/containers/", "/volumes/", "/rootfs/"].contains {
                    path.contains($0)
                }
                if isData || file.lastPathComponent.hasPrefix("berth.db") { continue }
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
    func damage(_ files: Files, _ plan: DamagePlan, round: Int) throws -> [String] {
        let worker = try id("worker")
        let containers = Dictionary(grouping: files.own.filter { !$0.path.contains(worker) }) { file in
            file.path.split(separator: "/").map(String.init).first { $0.count == 64 } ?? ""
        }
        var done: [String] = []
        func change(_ candidates: [URL], _ first: Int) throws {
            for index in candidates.indices {
                let file = candidates[(first + index) % candidates.count]
                guard let content = files.contents[file], let change = plan.next(file, size: content.count) else {
                    continue
                }
                try write(change.applied(to: content), to: file)
                return done.append("\(DamagePlan.kind(file)) \(change)")
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

    /// Puts every file back as it was, whatever became of it.
    func restore(_ files: Files) throws {
        for (file, content) in files.contents {
            try? FileManager.default.removeItem(atPath: file.path + ".bad")
            if FileManager.default.fileExists(atPath: file.path) {
                if try Data(contentsOf: file) != content { try write(content, to: file) }
            } else {
                try content.write(to: file)
            }
        }
    }
}
