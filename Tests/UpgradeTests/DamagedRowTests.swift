import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// Rows of the database that are not as they were written, and what is made of them.
    @Suite struct DamagedRowTests {
        /// Another text of the same length in the database, everywhere.
        private func change(_ daemon: Daemon, _ text: String, to other: String) throws {
            let file = daemon.root.appendingPathComponent("berth.db")
            var content = try Data(contentsOf: file)
            let (old, new) = (Data(text.utf8), Data(other.utf8))
            try #require(old.count == new.count)
            var count = 0
            while let place = content.range(of: old) {
                content.replaceSubrange(place, with: new)
                count += 1
            }
            try #require(count > 0, "the database has no \(text)")
            let handle = try FileHandle(forWritingTo: file)
            try handle.write(contentsOf: content)
            try handle.close()
        }

        private func damages(_ daemon: Daemon) throws -> [String] {
            let now = String(Int(Date().timeIntervalSince1970) + 1)
            let arguments = ["events", "--since", "0", "--until", now, "--filter", "event=damaged"]
            return try daemon.client(arguments + ["--format", "{{.Type}} {{.Actor.ID}}"]).finish().lines
        }

        /// Flips that decode as well as what was written.
        @Test(arguments: ["environment", "name", "name in the table", "id"]) func rowIsMadeAgainFromItsCopy(
            _ what: String
        ) throws {
            try Daemon.with { (daemon) throws in
                let run = ["--env", "MARK=abcdefgh", "--restart", "always", "berth/default", "sleep", "1000"]
                let arguments = ["run", "-d", "--name", "the-victim"] + run
                try #require(try daemon.client(arguments).finish().status == 0)
                try daemon.ok("run", "-d", "--name", "other", "berth/default", "sleep", "1000")
                let (id, pid) = (try daemon.field(".Id", "the-victim"), try daemon.field(".State.Pid", "the-victim"))
                try daemon.stop()
                switch what {
                case "environment": try change(daemon, "MARK=abcdefgh", to: "MARK=abcdefgx")
                case "name": try change(daemon, "the-victim", to: "the-victin")
                case "name in the table": try change(daemon, "\(id)the-victim", to: "\(id)the-victin")
                default: try change(daemon, id, to: String(id.dropLast()) + (id.hasSuffix("7") ? "8" : "7"))
                }
                try daemon.start()
                let names = try daemon.ok("ps", "-a", "--format", "{{.Names}}").split(separator: "\n").sorted()
                #expect(names == ["other", "the-victim"])
                #expect(try daemon.field(".Config.Env", "the-victim").contains("MARK=abcdefgh"))
                try eventually("it is adopted") { try daemon.field(".State.Pid", "the-victim") == pid }
                #expect(try daemon.field(".Id", "the-victim") == id)
                #expect(try daemon.ok("exec", "the-victim", "sh", "-c", "echo $MARK") == "abcdefgh")
                #expect(try daemon.berth("info").errors.contains("of container \(id.prefix(12)) cannot be read"))
                try eventually("an event tells of it") { try damages(daemon).contains("container \(id)") }
                let kept = daemon.root.appendingPathComponent("containers/\(id)/row.json.bad")
                #expect(FileManager.default.fileExists(atPath: kept.path))
                // It is whole again.
                try daemon.ok("rename", "the-victim", "renamed")
                try daemon.stop()
                try daemon.start()
                // The events that had the text in them are told of for as long as they are kept.
                #expect(try daemon.berth("info").errors.contains("of container") == false)
                #expect(try daemon.ok("exec", "renamed", "sh", "-c", "echo $MARK") == "abcdefgh")
            }
        }

        @Test func whatIsLostForGoodIsListedStoppedAndRemoved() throws {
            try Daemon.with { (daemon) throws in
                let script = ["berth/default", "sleep", "1000"]
                for name in ["victim", "second", "at-rest"] {
                    let arguments = ["run", "-d", "--name", name, "--env", "MARK=abcdefgh"] + script
                    try #require(try daemon.client(arguments).finish().status == 0)
                }
                try daemon.ok("kill", "at-rest")
                try eventually("it has ended") { try daemon.field(".State.Running", "at-rest") == "false" }
                var ids: [String: String] = [:]
                for name in ["victim", "second", "at-rest"] { ids[name] = try daemon.field(".Id", name) }
                let pid = try #require(Int32(try daemon.field(".State.Pid", "victim")))
                try daemon.stop()
                try change(daemon, "MARK=abcdefgh", to: "MARK=abcdefgx")
                for id in ids.values {
                    let copy = daemon.root.appendingPathComponent("containers/\(id)/container.json")
                    try FileManager.default.removeItem(at: copy)
                }
                for _ in 0..<2 {
                    try daemon.start()
                    let list = try daemon.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}")
                    let lines = list.split(separator: "\n")
                    #expect(lines.count == 3 && lines.allSatisfy { $0.hasSuffix("(damaged)") }, "\(list)")
                    #expect(lines.count { $0.contains(" Up ") } == 2 && list.contains("at-rest Exited"), "\(list)")
                    try eventually("it is adopted") { try daemon.field(".State.Pid", "victim") == String(pid) }
                    let why = try daemon.field(".State.Berth.Damaged", "victim")
                    #expect(why.contains("configuration") && why.contains("no copy"), "\(why)")
                    #expect(try daemon.field(".State.Error", "victim").contains("damaged"))
                    for id in ids.values {
                        try eventually("an event tells of it") { try damages(daemon).contains("container \(id)") }
                    }
                    #expect(try daemon.berth("create", "--name", "victim", "berth/default", "true").status != 0)
                    for verb in [["start", "at-rest"], ["restart", "victim"], ["rename", "victim", "new"]] {
                        #expect(try daemon.client(verb).finish().status != 0, "\(verb)")
                    }
                    #expect(kill(pid, 0) == 0)
                    try daemon.stop()
                }
                try daemon.start()
                try eventually("it is adopted") { try daemon.field(".State.Pid", "victim") == String(pid) }
                try daemon.ok("stop", "-t", "0", "victim")
                #expect(kill(pid, 0) != 0)
                #expect(try daemon.field(".State.ExitCode", "victim") == "137")
                try daemon.ok("rm", "victim")
                try daemon.ok("rm", "-f", "second")
                try daemon.ok("rm", "at-rest")
                #expect(try daemon.ok("ps", "-aq").isEmpty)
                #expect(try daemon.ok("run", "--rm", "--name", "victim", "berth/default", "echo", "new") == "new")
                try daemon.stop()
                try daemon.start()
                #expect(try daemon.berth("info").errors.contains("cannot be read") == false)
            }
        }

        /// The row of ids whose container's id has changed has the cgroup of one that runs.
        @Test func rowOfIDsUnderAnotherNameEndsNobody() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let (id, pid) = (try daemon.field(".Id", "one"), try daemon.field(".State.Pid", "one"))
                let other = String(id.dropLast()) + (id.hasSuffix("7") ? "8" : "7")
                func sql(_ text: String, _ arguments: String...) throws -> String {
                    let script = """
                        import sqlite3, sys
                        db = sqlite3.connect(sys.argv[1])
                        print(*[row[0] for row in db.execute(sys.argv[2], sys.argv[3:])])
                        db.commit()
                        """
                    let file = daemon.root.appendingPathComponent("berth.db").path
                    let outcome = try Command("python3", ["-c", script, file, text] + arguments, in: daemon.scratch)
                        .finish()
                    try #require(outcome.status == 0, "\(outcome)")
                    return outcome.text
                }
                try daemon.stop()
                try #require(
                    try sql("SELECT container FROM id_range_holders") == id,
                    "the container has no ids of its own"
                )
                _ = try sql("UPDATE id_range_holders SET container = ? WHERE container = ?", other, id)
                try daemon.start()
                try eventually("it is adopted") { try daemon.field(".State.Pid", "one") == pid }
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                #expect(try damages(daemon) == ["container \(id)"])
                try daemon.stop()
                #expect(try sql("SELECT container FROM id_range_holders") == id)
                #expect(isAlive(try #require(Int32(pid))))
                try daemon.start()
                try daemon.ok("rm", "-f", "one")
                try daemon.stop()
                #expect(try sql("SELECT container FROM id_range_holders").isEmpty)
                #expect(try sql("SELECT first FROM id_ranges").isEmpty)
            }
        }

        /// Nobody knows which backend, which shim and which process: it may be what it was, and is not killed for that.
        @Test func whatIsUnsureIsNotKilled() throws {
            try Daemon.with { (daemon) throws in
                var (ids, pids): ([String: String], [String: Int32]) = ([:], [:])
                for name in ["stopped", "ending"] {
                    let run = ["run", "-d", "--name", name, "--env", "MARK=abcdefgh", "berth/default", "sleep", "1000"]
                    try #require(try daemon.client(run).finish().status == 0)
                    ids[name] = try daemon.field(".Id", name)
                    let pid = try #require(Int32(try daemon.field(".State.Pid", name)))
                    pids[name] = pid
                }
                let shims = try pids.keys.map { try daemon.shim($0) }
                try daemon.stop()
                for shim in shims { #expect(kill(shim, SIGKILL) == 0) }
                try change(daemon, "MARK=abcdefgh", to: "MARK=abcdefgx")
                for (name, id) in ids {
                    let pid = String(try #require(pids[name]))
                    try change(daemon, #""pid":\#(pid)"#, to: #""pid":\#(String(pid.map { $0 == "1" ? "2" : "1" }))"#)
                    let copy = daemon.root.appendingPathComponent("containers/\(id)/container.json")
                    try FileManager.default.removeItem(at: copy)
                    let bundle = daemon.state.appendingPathComponent("containers/\(id)")
                    for file in ["journal", "state", "shim.pid"] {
                        try FileManager.default.removeItem(at: bundle.appendingPathComponent(file))
                    }
                }
                for _ in 0..<2 {
                    try daemon.start()
                    for (name, pid) in pids {
                        try eventually("\(name) has no shim") {
                            try !daemon.field(".State.Berth.Unsupervised", name).hasPrefix("<no")
                        }
                        #expect(isAlive(pid))
                        let status = try daemon.ok("ps", "-f", "name=\(name)", "--format", "{{.Status}}")
                        #expect(status.hasSuffix("(unsupervised) (damaged)"), "\(status)")
                    }
                    try daemon.stop()
                }
                try daemon.start()
                try daemon.ok("stop", "-t", "1", "stopped")
                #expect(try kill(#require(pids["ending"]), SIGKILL) == 0)
                #expect(try daemon.ok("wait", "ending") == "255")
                for (name, pid) in pids {
                    #expect(!isAlive(pid))
                    #expect(try daemon.field(".State.ExitCode", name) == "255")
                    #expect(try daemon.told(name).filter { $0 == "die" }.count == 1)
                    try daemon.ok("rm", name)
                }
            }
        }

        /// What was committed and is not in the log any more is taken from what lies beside the rows.
        @Test(arguments: [false, true]) func endOfTheLogThatIsLostIsNamedAndMadeUpFor(_ isFlipped: Bool) throws {
            try Daemon.with { (daemon) throws in
                for name in ["old-name", "gone", "stopped"] {
                    let policy = ["--restart", "unless-stopped"]
                    let options = ["run", "-d", "--name", name] + policy + ["berth/default", "sleep", "1000"]
                    try #require(try daemon.client(options).finish().status == 0)
                }
                let pid = try daemon.field(".State.Pid", "old-name")
                let log = daemon.root.appendingPathComponent("berth.db-wal")
                let size = try Data(contentsOf: log).count
                try daemon.ok("rename", "old-name", "new-name")
                try daemon.ok("rm", "-f", "gone")
                try daemon.ok("stop", "-t", "0", "stopped")
                try daemon.ok("run", "-d", "--name", "late", "berth/default", "sleep", "1000")
                try eventually("the copy has the new name") {
                    let id = try daemon.field(".Id", "new-name")
                    let copy = daemon.root.appendingPathComponent("containers/\(id)/container.json")
                    return try String(contentsOf: copy, encoding: .utf8).contains("new-name")
                }
                let late = try daemon.field(".State.Pid", "late")
                try daemon.crash()
                var bytes = try Data(contentsOf: log)
                try #require(bytes.count > size)
                if isFlipped { bytes[size + 100] ^= 0x10 } else { bytes = bytes.prefix(size) }
                try bytes.write(to: log)
                try daemon.start()
                #expect(try daemon.berth("info").errors.contains("'\(log.path)' cannot be read"))
                #expect(FileManager.default.fileExists(atPath: log.path + ".bad"))
                let names = try daemon.ok("ps", "-a", "--format", "{{.Names}}").split(separator: "\n").sorted()
                #expect(names == ["late", "new-name", "stopped"])
                try eventually("they are adopted") {
                    try daemon.field(".State.Pid", "new-name") == pid && daemon.field(".State.Pid", "late") == late
                }
                #expect(try daemon.field(".State.Running", "stopped") == "false")
                #expect(try daemon.field(".State.ExitCode", "stopped") == "137")
                try eventually("an event tells of it") { try damages(daemon).contains("daemon \(log.path)") }
                try daemon.stop()
                try daemon.start()
                #expect(try daemon.berth("info").errors.contains("cannot be read") == false)
                #expect(try daemon.ok("exec", "late", "echo", "alive") == "alive")
            }
        }

        /// With the transaction the database has lost what the record of an end says, which is nothing any more.
        @Test func exitRecordThatIsDamagedWithTheEndOfTheLogIsNamedAndSetAside() throws {
            try Daemon.with { (daemon) throws in
                try daemon.waiter("one", trapping: "trap 'exit 0' TERM")
                let bundle = try daemon.bundle("one")
                let log = daemon.root.appendingPathComponent("berth.db-wal")
                let size = try Data(contentsOf: log).count
                try daemon.ok("stop", "one")
                try eventually("its end is on record alone") { !FileManager.default.fileExists(atPath: bundle.path) }
                let folder = daemon.root.appendingPathComponent("containers/\(bundle.lastPathComponent)")
                let record = try #require(
                    try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
                        .first { $0.lastPathComponent.hasPrefix("exit-") }
                )
                try daemon.crash()
                try Data(contentsOf: log).prefix(size).write(to: log)
                let text = try String(contentsOf: record, encoding: .utf8)
                #expect(text.contains(#""code":0"#))
                try Data(text.replacingOccurrences(of: #""code":0"#, with: #""code":1"#).utf8).write(to: record)
                try daemon.start()
                #expect(try daemon.field(".State.ExitCode", "one") == "255")
                #expect(try daemon.field(".State.Error", "one").contains("damaged"))
                #expect(try daemon.berth("info").errors.contains("'\(record.path)' of container"))
                #expect(FileManager.default.fileExists(atPath: record.path + ".bad"))
                try eventually("an event tells of it") {
                    try damages(daemon).contains("container \(bundle.lastPathComponent)")
                }
                // What takes its place says as much as is known.
                try daemon.stop()
                try FileManager.default.removeItem(at: daemon.root.appendingPathComponent("berth.db"))
                try daemon.start()
                #expect(try daemon.field(".State.ExitCode", "one") == "255")
                #expect(try daemon.field(".State.Error", "one").contains("damaged"))
                #expect(try daemon.berth("info").errors.contains(record.lastPathComponent) == false)
                try daemon.ok("start", "one")
            }
        }
    }
}
