import Foundation
import SystemFixture
import Testing

extension UpgradeTests {
    /// What a shim knows of its container is not read again from a file that somebody may have changed.
    @Suite struct ChangedDocumentTests {
        /// A container that uses memory without end when the gate opens.
        private func start(_ daemon: Daemon) throws -> URL {
            let gate = daemon.scratch.appendingPathComponent("gate")
            try FileManager.default.createDirectory(at: gate, withIntermediateDirectories: false)
            let script = "until [ -e /gate/go ]; do usleep 10000; done; exec tail /dev/zero"
            let limits = ["-m", "32m", "--memory-swap", "32m", "-v", "\(gate.path):/gate"]
            let words = ["run", "-d", "--name", "one"] + limits + ["berth/default", "sh", "-c", script]
            #expect(try daemon.client(words).finish().status == 0)
            return gate.appendingPathComponent("go")
        }

        @Test(arguments: [false, true]) func aShimGoesOnWithWhatItKnew(_ isKilled: Bool) throws {
            try Daemon.with { (daemon) throws in
                let go = try start(daemon)
                let (old, bundle) = (try daemon.shim("one"), try daemon.bundle("one"))
                let file = bundle.appendingPathComponent("config.json")
                let document = try JSONDecoder().decode(Document.self, from: try Data(contentsOf: file))
                let group = try #require(document.linux.cgroupsPath)
                try Data("{".utf8).write(to: file)
                if isKilled {
                    try daemon.signal(SIGKILL, shimOf: "one")
                    try eventually("a new shim has taken over") {
                        try daemon.shim("one") != old && !daemon.field("json .State.Berth", "one").contains("Reachable")
                    }
                } else {
                    _ = try daemon.ok("shim", "upgrade", "one")
                }
                #expect(try daemon.ok("exec", "one", "echo", "alive") == "alive")
                try Data().write(to: go)
                #expect(try daemon.ok("wait", "one") == "137")
                // Also of a limit that the shim before has set, the new one knows that it was in the way.
                let folder = daemon.root.appendingPathComponent("containers/\(bundle.lastPathComponent)")
                let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
                let name = try #require(names.first { $0.hasPrefix("exit-") }, "\(names)")
                let record = try Data(contentsOf: folder.appendingPathComponent(name))
                #expect(try JSONDecoder().decode(Exit.self, from: record).oomOwner == group)
                try daemon.ok("rm", "one")
                #expect(!["", "/unified", "/memory"].contains { isThere("/sys/fs/cgroup\($0)\(group)") })
            }
        }

        /// Neither shim nor manager live: what is left is found where the shim has written that it is.
        @Test func cleaningUpFindsTheGroupThatTheShimHadMade() throws {
            try Daemon.with { (daemon) throws in
                try daemon.ok("run", "-d", "--name", "one", "berth/default", "sleep", "1000")
                let process = try #require(Int32(try daemon.field(".State.Pid", "one")))
                let (bundle, shim) = (try daemon.bundle("one"), try daemon.shim("one"))
                let file = bundle.appendingPathComponent("config.json")
                let document = try JSONDecoder().decode(Document.self, from: try Data(contentsOf: file))
                let group = try #require(document.linux.cgroupsPath)
                try daemon.crash()
                #expect(kill(shim, SIGKILL) == 0)
                let text = try String(contentsOf: file, encoding: .utf8)
                let name = try #require(group.split(separator: "/").last)
                try Data(text.replacingOccurrences(of: name, with: "another").utf8).write(to: file)
                let words = ["-namespace", "berth", "-id", bundle.lastPathComponent, "-bundle", bundle.path, "delete"]
                let outcome = try Command(Binaries.path("berth-shim-native"), words, in: daemon.scratch).finish()
                #expect(outcome.status == 0, "\(outcome)")
                #expect(!isAlive(process))
                #expect(!["", "/unified", "/memory"].contains { isThere("/sys/fs/cgroup\($0)\(group)") })
            }
        }

        private struct Document: Decodable {
            struct Linux: Decodable { var cgroupsPath: String? }
            var linux: Linux
        }

        private struct Exit: Decodable { var oomOwner: String? }

        private func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
    }
}
