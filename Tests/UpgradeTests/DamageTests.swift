import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Every file that Berth wrote is cut off and changed: the manager starts, says what it cannot read, deletes nothing, and all
    /// else works.
    @Suite struct DamageTests {
        @Test func noFileThatIsDamagedStopsTheManager() throws {
            try Daemon.with { (daemon) throws in
                let state = try DamagedState(daemon)
                try daemon.stop()
                let files = try state.files()
                try #require(files.own.count > 20 && files.shared.count > 6, "\(files)")
                for round in 0..<DamagedState.rounds {
                    try state.damage(files, round: round)
                    try daemon.start()
                    try state.check("round \(round)")
                    try daemon.stop()
                    try state.restore(files)
                }
                try daemon.start()
                try state.check("the end")
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
                let cursor = try Self.cursors(daemon).max() ?? 0
                #expect(cursor > 0)
                try daemon.crash()
                let database = daemon.root.appendingPathComponent("berth.db")
                let whole = try Data(contentsOf: database)
                let log = try? Data(contentsOf: URL(fileURLWithPath: database.path + "-wal"))
                for (index, damaged) in DamagedState.variants(of: whole).enumerated() {
                    try damaged.write(to: database)
                    try daemon.start()
                    try state.check("variant \(index)")
                    if damaged.isEmpty || damaged.count < 200 {
                        #expect(try daemon.berth("info").errors.contains("cannot be read"))
                        #expect(try Self.cursors(daemon).allSatisfy { $0 > cursor })
                    }
                    try daemon.stop()
                    for suffix in ["", "-wal", "-shm"] {
                        try? FileManager.default.removeItem(atPath: database.path + suffix)
                    }
                    try whole.write(to: database)
                    try log?.write(to: URL(fileURLWithPath: database.path + "-wal"))
                }
                try daemon.start()
                try state.check("the end")
            }
        }
    }
}

/// Containers in all phases, and the files that they and the manager have written.
private final class DamagedState {
    /// The files of one kind are damaged in another container in each round, so one start tests many.
    static let rounds = 40
    private static let running = 8

    private let daemon: Daemon
    private var pids: [String: String] = [:]
    private var phases: [String: String] = [:]

    /// The files of single containers, and all others but the database.
    struct Files {
        var own: [URL] = []
        var shared: [URL] = []
        var contents: [URL: Data] = [:]
    }

    init(_ daemon: Daemon) throws {
        self.daemon = daemon
        for name in (0..<Self.running).map({ "r\($0)" }) + ["worker"] {
            try daemon.ok("run", "-d", "--name", name, "berth/default", "sh", "-c", "echo begun; exec sleep 1000000")
            try daemon.ok("exec", "-d", name, "sleep", "1000000")
            pids[name] = try daemon.field(".State.Pid", name)
        }
        try daemon.ok("pause", "r7")
        _ = try daemon.berth("run", "--name", "ended", "berth/default", "sh", "-c", "echo gone; exit 3")
        try daemon.ok("create", "--name", "made", "berth/default", "true")
        for name in try daemon.ok("ps", "-a", "--format", "{{.Names}}").split(separator: "\n").map(String.init) {
            phases[name] = try daemon.field(".State.Status", name)
        }
        // Written in the background: the copies of the configurations.
        try eventually("the copies are written") {
            try self.ids().allSatisfy {
                FileManager.default.fileExists(atPath: daemon.root.path + "/containers/\($0)/container.json")
            }
        }
    }

    private func ids() throws -> [String] {
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

    /// Damages one file of every running container, each another one, and one that all share.
    func damage(_ files: Files, round: Int) throws {
        let worker = try id("worker")
        let containers = Dictionary(grouping: files.own.filter { !$0.path.contains(worker) }) { file in
            file.path.split(separator: "/").map(String.init).first { $0.count == 64 } ?? ""
        }
        for (index, key) in containers.keys.sorted().enumerated() {
            let own = containers[key] ?? []
            guard !own.isEmpty else { continue }
            try change(own[(round + index) % own.count], files, round / own.count + index)
        }
        try change(files.shared[round % files.shared.count], files, round / files.shared.count)
    }

    private func id(_ name: String) throws -> String {
        let folder = daemon.root.appendingPathComponent("containers")
        for id in try FileManager.default.contentsOfDirectory(atPath: folder.path) {
            let copy = folder.appendingPathComponent("\(id)/container.json")
            if try String(contentsOf: copy, encoding: .utf8).contains("\\\"name\\\":\\\"\(name)\\\"") { return id }
        }
        throw Command.Overdue(description: "no container \(name)")
    }

    private func change(_ file: URL, _ files: Files, _ number: Int) throws {
        guard let content = files.contents[file] else { return }
        let variants = Self.variants(of: content)
        try write(variants[number % variants.count], to: file)
    }

    /// In place: who has the file open has the same one.
    private func write(_ content: Data, to file: URL) throws {
        let handle = try FileHandle(forWritingTo: file)
        try handle.truncate(atOffset: 0)
        try handle.write(contentsOf: content)
        try handle.close()
    }

    /// Cut off in several places, and with single bytes changed at the beginning, in the middle and at the end.
    static func variants(of content: Data) -> [Data] {
        var result = [Data(), content.prefix(1), content.prefix(content.count / 2), content.dropLast()].map { Data($0) }
        for place in [0, 1, 20, content.count / 3, content.count / 2, content.count - 20, content.count - 1]
        where place >= 0 && place < content.count {
            for bits: UInt8 in [0x01, 0x80, 0xFF] {
                var changed = content
                changed[changed.startIndex + place] ^= bits
                result.append(changed)
            }
        }
        return result
    }

    /// Everything that is not damaged is as it was, and new work is done.
    func check(_ what: String) throws {
        let names = Set(try daemon.ok("ps", "-a", "--format", "{{.Names}}").split(separator: "\n").map(String.init))
        #expect(names.isSuperset(of: phases.keys), "\(what): \(names)")
        for (name, pid) in pids {
            #expect(kill(Int32(pid) ?? -1, 0) == 0, "\(what): \(name) was ended")
        }
        #expect(try daemon.field(".State.Pid", "worker") == pids["worker"], "\(what)")
        try eventually("exec works in \(what)") { try daemon.berth("exec", "worker", "echo", "alive").text == "alive" }
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
