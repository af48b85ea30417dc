import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Damage of what nobody looks at before it is needed: files of dead shims, of other backends, of the restart policy, and layers.
    @Suite struct DamagedShimTests {
        private func flip(_ file: URL, at place: Int) throws {
            var content = try Data(contentsOf: file)
            content[place] ^= 0x01
            try overwrite(file, content)
        }

        /// In place: who has the file open has the same one.
        private func overwrite(_ file: URL, _ content: Data) throws {
            let handle = try FileHandle(forWritingTo: file)
            try handle.truncate(atOffset: 0)
            try handle.write(contentsOf: content)
            try handle.close()
        }

        private struct Victim {
            var name: String
            var file: URL
            var pid: Int32
            var shim: Int32
        }

        /// The token of a dead shim is of no use to anybody: its successor gets another one.
        private static let files = ["journal", "state", "token", "shim.pid", "run", "config.json", "address"]

        @Test func filesOfDeadShimsAreNamedAndNoContainerEnds() throws {
            try Daemon.with { (daemon) throws in
                var victims: [Victim] = []
                for (index, file) in (Self.files + Self.files).enumerated() {
                    let name = "v\(index)"
                    let script = ["berth/default", "sh", "-c", "echo begun; exec sleep 1000"]
                    let arguments = ["run", "-d", "--name", name, "--network", "none"] + script
                    try #require(try daemon.client(arguments).finish().status == 0)
                    let pid = try #require(Int32(try daemon.field(".State.Pid", name)))
                    let path = try daemon.bundle(name).appendingPathComponent(file)
                    victims.append(Victim(name: name, file: path, pid: pid, shim: try daemon.shim(name)))
                }
                try daemon.stop()
                for (index, victim) in victims.enumerated() {
                    #expect(kill(victim.shim, SIGKILL) == 0)
                    let content = try Data(contentsOf: victim.file)
                    if index < Self.files.count {
                        try overwrite(victim.file, content.prefix(content.count / 2))
                    } else {
                        try flip(victim.file, at: content.count / 2)
                    }
                }
                try daemon.start()
                var told = ""
                for victim in victims where victim.file.lastPathComponent != "token" {
                    try? eventually("\(victim.file.lastPathComponent) is named") {
                        told = try daemon.berth("info").errors
                        return told.contains(victim.file.path)
                    }
                    #expect(told.contains(victim.file.path), "\(victim.name) \(victim.file.path): \(told)")
                }
                for victim in victims {
                    let what = "\(victim.name) \(victim.file.lastPathComponent)"
                    #expect(kill(victim.pid, 0) == 0, "\(what) was ended")
                    try eventually("\(what) is adopted") {
                        try daemon.field(".State.Pid", victim.name) == String(victim.pid)
                    }
                    #expect(try daemon.ok("logs", victim.name) == "begun", "\(what)")
                }
                try daemon.client(["rm", "-f"] + victims.map(\.name)).finish()
                #expect(try daemon.ok("ps", "-aq").isEmpty)
                // Who is nobody's child any more is reaped when it comes to that.
                for victim in victims { try eventually("\(victim.name) is gone") { !isAlive(victim.pid) } }
            }
        }

        @Test func restartWithADamagedDocumentIsMadeWhenItIsWholeAgain() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 3' USR1", "--restart", "always")
                let pid = try #require(Int32(try daemon.field(".State.Pid", "one")))
                let file = try daemon.bundle("one").appendingPathComponent("config.json")
                try daemon.crash()
                try flip(file, at: try Data(contentsOf: file).count / 2)
                #expect(kill(pid, SIGUSR1) == 0)
                let log = daemon.state.appendingPathComponent("containers")
                try eventually("the restart fails") {
                    try FileManager.default.contentsOfDirectory(atPath: log.path).contains { id in
                        let text = try String(contentsOf: log.appendingPathComponent("\(id)/shim.log"), encoding: .utf8)
                        return text.contains("config.json")
                    }
                }
                try daemon.start()
                try eventually(within: 60, "it runs again") {
                    let now = try daemon.field(".State.Pid", "one")
                    return try now != "0" && now != String(pid) && daemon.field(".State.Running", "one") == "true"
                }
                #expect(try daemon.berth("info").errors.contains(file.path))
                #expect(FileManager.default.fileExists(atPath: file.path + ".bad"))
            }
        }

        @Test func layerThatIsDamagedIsNamedWhenItIsUnpackedAndLoadedAgain() throws {
            try Daemon.with { (daemon) throws in
                try daemon.stop()
                let blobs = daemon.root.appendingPathComponent("content/blobs/sha256")
                let names = try FileManager.default.contentsOfDirectory(atPath: blobs.path)
                let layer = try #require(
                    try names.map { blobs.appendingPathComponent($0) }
                        .max { try Data(contentsOf: $0).count < Data(contentsOf: $1).count }
                )
                let whole = try Data(contentsOf: layer)
                try flip(layer, at: whole.count / 2)
                // As on a node that has loaded the image and not used it.
                let layers = daemon.root.appendingPathComponent("snapshots/layers")
                for name in try FileManager.default.contentsOfDirectory(atPath: layers.path) {
                    try FileManager.default.removeItem(at: layers.appendingPathComponent(name))
                }
                try daemon.start()
                let refused = try daemon.berth("run", "--rm", "berth/default", "true")
                #expect(refused.status != 0 && refused.errors.contains(layer.lastPathComponent), "\(refused)")
                #expect(try daemon.berth("info").errors.contains(layer.path))
                #expect(FileManager.default.fileExists(atPath: layer.path + ".bad"))
                try daemon.ok("load", "-i", try DefaultImage.archive())
                #expect(try Data(contentsOf: layer) == whole)
                #expect(try daemon.ok("run", "--rm", "--network", "none", "berth/default", "echo", "new") == "new")
            }
        }

        private static let shim = "/usr/bin/containerd-shim-runc-v2"
        private static let runc = "/usr/sbin/runc"
        private static var areInstalled: Bool {
            [shim, runc].allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }
        }

        @Test(.enabled(if: areInstalled, "runc and containerd's shim are not installed"))
        func recordsOfOtherBackendsAreNamedAndWrittenAnew() throws {
            try Daemon.with { (daemon) throws in
                let configuration = daemon.scratch.appendingPathComponent("berthd.toml")
                let text =
                    "[backends.theirs]\nshim = \"\(Self.shim)\"\n[backends.runtime]\nruntime = \"\(Self.runc)\"\n"
                try Data(text.utf8).write(to: configuration)
                try daemon.stop()
                try daemon.start(["--config", configuration.path])
                var files: [String: URL] = [:]
                for (name, file) in [("theirs", "foreign.json"), ("runtime", "oci.json")] {
                    let script = ["berth/default", "sleep", "1000"]
                    let arguments = ["run", "-d", "--name", name, "--runtime", name, "--network", "none"] + script
                    let run = try daemon.client(arguments).finish()
                    try #require(run.status == 0, "\(run)")
                    files[name] = try daemon.bundle(name).appendingPathComponent(file)
                }
                try daemon.stop()
                let whole = try files.mapValues { try Data(contentsOf: $0) }
                for (name, file) in files { try flip(file, at: (whole[name]?.count ?? 0) / 2) }
                try daemon.start(["--config", configuration.path])
                for (name, file) in files {
                    try? eventually("\(name) is named") { try daemon.berth("info").errors.contains(file.path) }
                    #expect(try daemon.berth("info").errors.contains(file.path), "\(name)")
                    #expect(FileManager.default.fileExists(atPath: file.path + ".bad"), "\(name)")
                    #expect(try Data(contentsOf: file) == whole[name], "\(name)")
                    #expect(try daemon.ok("exec", name, "echo", "alive") == "alive")
                }
                // A dead shim's, where a successor goes on from it.
                let shim = try daemon.shim("runtime")
                let pid = try daemon.field(".State.Pid", "runtime")
                try daemon.stop()
                #expect(kill(shim, SIGKILL) == 0)
                let file = try #require(files["runtime"])
                try overwrite(file, Data())
                try daemon.start(["--config", configuration.path])
                try eventually("it has a shim again") {
                    try daemon.berth("exec", "runtime", "echo", "alive").output == "alive\n"
                }
                #expect(try daemon.field(".State.Pid", "runtime") == pid)
                try? eventually("it is written anew") { try Data(contentsOf: file) == whole["runtime"] }
                #expect(try Data(contentsOf: file) == whole["runtime"])
                try daemon.ok("rm", "-f", "theirs", "runtime")
            }
        }
    }
}
