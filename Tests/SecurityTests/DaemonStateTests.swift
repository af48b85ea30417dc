import Foundation
import Kernel
import SystemFixture
import Testing

extension SecurityTests {
    /// Row 27: what root of a container with ids of its own has made, and what its ids are worth on the host.
    @Suite struct DaemonStateTests {
        /// A running container that has filled its root and a volume with traps for who walks over them later.
        private func withTraps(_ body: (Daemon, _ folders: [String]) throws -> Void) throws {
            try Daemon.with(image: false) { (daemon) throws in
                try Images.load("attack", into: daemon)
                try Host.makeCanary(daemon.canary)
                let canary = daemon.canary
                let traps = """
                    cp /bin/busybox busybox-tool; chmod 4755 busybox-tool; ln busybox-tool other-name
                    cp busybox-tool /tmp/tool; chown 1000:50 /tmp/tool
                    for link in etc data work merged upper fs passwd .wh.gone; do ln -s \(canary) t-$link; done
                    ln -s \(canary)/secret token; ln -s /../../../../../../..\(canary) up; ln -s /proc/1/root out
                    mkdir -p deep/er closed open; touch closed/file; chown -R 7:7 deep; chmod 0 closed; chmod 7777 open
                    mkfifo pipe; echo x > plain; chown 65535:65535 plain; touch berth.db lock container.json
                    """
                // Once: in another life of the container everything is as it was.
                let all = "for place in / /data; do cd $place\n\(traps)\ndone; touch /done"
                let script = "if [ ! -e /done ]; then \(all); fi; exec sleep 1000"
                let words = ["run", "-d", "--name", "box", "-v", "data:/data", "attack", "sh", "-c", script]
                #expect(try daemon.client(words).finish().status == 0)
                try eventually("the traps are set") {
                    try daemon.berth("exec", "box", "test", "-e", "/done").status == 0
                }
                let id = try daemon.field(".Id", "box")
                let root = daemon.root.path
                try body(daemon, ["\(root)/snapshots/containers/\(id)/upper", "\(root)/volumes/data/_data"])
            }
        }

        /// Every name with type, mode, owner, times and content: also an owner that is set to what it was is seen.
        private func facts(_ folders: [String]) throws -> [[String: String]] {
            try folders.map { try Host(canary: $0).canary }
        }

        @Test func aManagerThatComesBackChangesNothingThatAContainerHasMade() throws {
            try withTraps { daemon, folders in
                try daemon.guarded {
                    let before = try facts(folders)
                    // The traps are there, as root's: the container's root is root in what it has made.
                    for entry in before {
                        #expect(entry["busybox-tool"]?.contains(" 4755 0:0 ") == true && entry["closed/file"] != nil)
                    }
                    for round in 0..<2 {
                        if round == 0 { try daemon.stop() } else { try daemon.crash() }
                        try daemon.start()
                        #expect(try daemon.field(".State.Running", "box") == "true")
                        #expect(try facts(folders) == before, "round \(round)")
                    }
                    // Another life of the container and another container with the same volume add nothing, and change nothing.
                    try daemon.ok("restart", "-t", "0", "box")
                    try daemon.ok("run", "--rm", "-v", "data:/data", "attack", "ls", "/data")
                    #expect(try facts(folders) == before)
                }
            }
        }

        /// Not even by the numbers that its processes have on the host does a container reach what the manager keeps.
        @Test func theIdsOfAContainerReachNothingOfTheManager() throws {
            try withTraps { daemon, folders in
                let first = try #require(Int(daemon.field(".Berth.UserNamespace.HostID", "box")))
                #expect(first >= 65_536)
                for id in [first, first + 1000, first + 65_535] {
                    func asContainer(_ words: [String]) throws -> Outcome {
                        let ids = ["--reuid", "\(id)", "--regid", "\(id)", "--clear-groups", "--"]
                        return try Command("setpriv", ids + words, in: daemon.scratch).finish()
                    }
                    for folder in folders + [daemon.root.path + "/volumes", daemon.state.path + "/containers"] {
                        #expect(File.exists(folder))
                        #expect(try asContainer(["test", "-e", folder + "/."]).status == 1, "\(id): \(folder)")
                    }
                    for folder in folders {
                        // A program of root's with the set-user-id bit that the container has made.
                        #expect(try File.status(folder + "/busybox-tool").permissions == 0o4755)
                        let run = try asContainer(["sh", "-c", "exec \"$0\" id -u", folder + "/busybox-tool"])
                        #expect(run.status == 126 || run.status == 127, "\(run)")
                        #expect(run.output.isEmpty)
                    }
                    for folder in [daemon.root.path, daemon.state.path] {
                        let found = try asContainer(["find", folder, "-mindepth", "1", "-readable", "-o", "-writable"])
                        #expect(found.output.isEmpty, "\(found)")
                    }
                }
            }
        }
    }
}
