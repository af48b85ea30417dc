import Foundation
import SystemFixture
import Testing

extension SystemTests.HostileBackendTests {
    /// A shim says with each answer which version of the protocol it speaks: the number that stands in a file.
    private struct Speaker {
        let neighbour: Neighbour
        let name: String

        func speaks(_ version: Int) throws {
            try Data("\(version)".utf8).write(to: neighbour.folder.appendingPathComponent("protocol"))
        }

        func shim(is expected: String, within seconds: Double = 20) throws {
            let format = "{{.Name}} {{.State}} {{.Protocol}}"
            try eventually(within: seconds, "\(name) is \(expected)") {
                let lines = try neighbour.daemon.ok("shim", "ls", "--format", format).split(separator: "\n")
                return lines.contains { $0 == "\(name) \(expected)" }
            }
        }

        /// It is named, and its container runs as the process that it was.
        func isLeftAlone(_ pid: String) throws {
            let daemon = neighbour.daemon
            #expect(try daemon.field(".State.Status", name) == "running")
            #expect(try daemon.field(".State.Pid", name) == pid)
            #expect(Int32(pid).map { kill($0, 0) } == 0)
            #expect(try daemon.field(".State.Berth.Reachable", name) == "false")
            #expect(try daemon.field(".State.Error", name).contains("protocol"))
            let session = try daemon.berth("exec", name, "true")
            #expect(session.status == 125 && session.output.contains("protocol"), "\(session)")
            try neighbour.isUnharmed()
        }
    }

    /// By a manager that starts, and behind an upgrade of the shim; what it speaks later is heard by itself.
    @Test func aShimOfAnotherProtocolIsNamedAndLeftAlone() throws {
        let name = "protocol.one"
        try Self.with([name]) { before in
            var speaker = Speaker(neighbour: before, name: name)
            try speaker.speaks(1)
            #expect(try before.run(name).status == 0)
            let pid = try before.daemon.field(".State.Pid", name)
            for (version, shown) in [(4, "incompatible 4"), (0, "incompatible -"), (3, "reachable 3")] {
                try speaker.speaks(version)
                speaker = Speaker(neighbour: try speaker.neighbour.restart(), name: name)
                try speaker.shim(is: shown)
                if version != 3 { try speaker.isLeftAlone(pid) }
            }
            try speaker.speaks(4)
            let upgrade = try before.daemon.berth("shim", "upgrade", name)
            #expect(upgrade.status == 1, "\(upgrade)")
            try speaker.shim(is: "incompatible 4")
            try speaker.isLeftAlone(pid)
            let again = try before.daemon.berth("shim", "upgrade", name)
            #expect(again.status == 1 && again.errors.contains("protocol 4"), "\(again)")
            try speaker.speaks(2)
            try speaker.shim(is: "reachable 2", within: 60)
            #expect(try before.daemon.field(".State.Pid", name) == pid)
            #expect(try before.daemon.berth("exec", "-d", name, "true").status == 0)
        }
    }

    /// Who is not understood can be stopped, and starts nothing.
    @Test func aContainerOfAnotherProtocolIsStoppedAndNotStarted() throws {
        let name = "protocol.two"
        try Self.with([name]) { before in
            var speaker = Speaker(neighbour: before, name: name)
            try speaker.speaks(1)
            #expect(try before.run(name).status == 0)
            try speaker.speaks(4)
            speaker = Speaker(neighbour: try before.restart(), name: name)
            try speaker.shim(is: "incompatible 4")
            let daemon = before.daemon
            try daemon.ok("stop", "-t", "0", name)
            #expect(try daemon.field(".State.Status", name) == "exited")
            try before.nothingIsLeft(of: name)
            let start = try daemon.berth("start", name)
            #expect(start.status == 1 && start.errors.contains("protocol 4"), "\(start)")
            #expect(try daemon.field(".State.Status", name) == "exited")
            try before.nothingIsLeft(of: name)
            try speaker.speaks(3)
            try daemon.ok("start", name)
        }
    }
}
