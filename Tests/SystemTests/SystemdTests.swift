import Foundation
import SystemFixture
import Testing

/// Whether systemd is process 1.
private let systemdIsThere = FileManager.default.fileExists(atPath: "/run/systemd/system")

extension SystemTests {
    /// The units of tools/systemd, with systemd as process 1.
    @Suite(.enabled(if: systemdIsThere, "systemd")) struct SystemdTests {
        @Test func containersOutliveEverythingThatSystemdDoesToTheManager() throws {
            let service = try ManagedService()
            defer { service.takeDown() }
            try service.startWithACounter()
            let pid = try service.ok("inspect", "-f", "{{.State.Pid}}", "one")
            let held = try service.held { $0 > 0 }
            let poller = Poller(service.socket, keepsConnection: false)
            var manager = try service.mainPid()

            for step in ManagedService.Step.allCases {
                try service.perform(step)
                let now = try service.mainPid()
                #expect((now == manager) == step.keepsTheProcess, "\(step): \(manager), then \(now)")
                manager = now
                #expect(try service.ok("inspect", "-f", "{{.State.Pid}}", "one") == pid, "\(step)")
                #expect(try service.ok("exec", "one", "echo", "alive") == "alive", "\(step)")
                #expect(try service.property("SubState") == "running", "\(step)")
                // The same descriptors are in the store as before, no more and no less.
                _ = try service.held { $0 == held }
            }
            let polled = poller.finish()
            #expect(polled.failures.filter { $0.hasPrefix("connect") } == [], "refused")
            let logs = try service.ok("logs", "one").split(separator: "\n").map { String($0) }
            let expected = (1...max(1, logs.count)).map { String($0) }
            #expect(logs == expected)
            try service.ok("rm", "-f", "one")
            _ = try service.held { $0 == 0 }
        }

        @Test func containersOutliveTheStoppedService() throws {
            let service = try ManagedService()
            defer { service.takeDown() }
            try service.startWithACounter()
            let until = "trap 'exit 7' USR1; while :; do usleep 20000; done"
            try service.ok("run", "-d", "--name", "two", "berth/default", "sh", "-c", until)
            let (pid, doomed) = (try service.pid(of: "one"), try service.pid(of: "two"))
            let log = URL(fileURLWithPath: try service.ok("inspect", "-f", "{{.LogPath}}", "one"))
            let held = try service.held { $0 > 0 }

            // The service alone: its socket is open, and the next client has systemd start the manager.
            try service.systemctl("stop", service.unit)
            #expect(try service.property("MainPID") == "0")
            #expect(try service.ok("exec", "one", "echo", "alive") == "alive")
            #expect(try service.property("MainPID") != "0")
            _ = try service.held { $0 == held }

            try service.systemctl("stop", service.socketUnit, service.unit)
            #expect(try service.property("ActiveState") == "inactive")
            // It lets go of what it has kept; docs/operations.md says so.
            #expect(try service.property("NFileDescriptorStore") == "0")
            #expect(kill(doomed, SIGUSR1) == 0)
            try eventually("it has ended") { kill(doomed, 0) != 0 }
            let length = try Data(contentsOf: log).count
            try eventually(within: 2, "the log grows without a manager") {
                try Data(contentsOf: log).count > length + 100
            }
            #expect(kill(pid, 0) == 0)

            try service.systemctl("start", service.unit)
            try eventually(within: 60, "it is adopted") { try service.pid(of: "one") == pid }
            #expect(try service.ok("exec", "one", "echo", "alive") == "alive")
            try eventually(within: 60, "the end is known") {
                try service.ok("inspect", "-f", "{{.State.ExitCode}} {{.State.Running}}", "two") == "7 false"
            }
            let lines = try service.ok("logs", "one").split(separator: "\n").map { String($0) }
            #expect(lines == (1...max(1, lines.count)).map { String($0) })
            // What a shim's successor would need is in the store again, and only that.
            _ = try service.held { $0 > 0 && $0 < held }
            try service.ok("rm", "-f", "one", "two")
            _ = try service.held { $0 == 0 }
        }
    }
}

/// A manager as a service, from the units that are shipped with other names and places in them.
private final class ManagedService {
    enum Step: CaseIterable {
        case restart, kill, reload, upgrade, hang

        /// Whether the manager is the same process before and after.
        var keepsTheProcess: Bool { self == .reload || self == .upgrade }
    }

    private let name = "berth-test-\(UUID().uuidString.prefix(8))"
    private let scratch: URL
    var socket: String { scratch.appendingPathComponent("state/berth.sock").path }

    init() throws {
        scratch = URL(fileURLWithPath: "/tmp/\(name)")
        try FileManager.default.createDirectory(at: scratch, withIntermediateDirectories: true)
    }

    private func start() throws {
        let library = ProcessInfo.processInfo.environment["LD_LIBRARY_PATH"] ?? ""
        let program = "\(Binaries.path("berthd")) --root \(scratch.path)/root --state \(scratch.path)/state"
        try install(
            "service",
            [
                ("/usr/bin/berthd", program), ("berthd.socket", "\(name).socket"),
                // A guest is slow; what hangs is to be found in the time of a test.
                ("WatchdogSec=30", "WatchdogSec=10\nEnvironment=LD_LIBRARY_PATH=\(library)"),
            ]
        )
        try install("socket", [("/run/berth/berth.sock", socket)])
        try systemctl("daemon-reload")
        try systemctl("start", "\(name).service")
    }

    /// Starts it, and a container `one` that counts in its log.
    func startWithACounter() throws {
        try start()
        try ok("load", "-i", try DefaultImage.archive())
        let count = "i=0; while :; do i=$((i+1)); echo $i; usleep 50000; done"
        try ok("run", "-d", "--name", "one", "berth/default", "sh", "-c", count)
    }

    private func install(_ kind: String, _ changes: [(String, String)]) throws {
        let shipped = Binaries.repository.appendingPathComponent("tools/systemd/berthd.\(kind)")
        var text = try String(contentsOf: shipped, encoding: .utf8)
        for (old, new) in changes {
            try #require(text.contains(old), "the unit has no '\(old)'")
            text = text.replacingOccurrences(of: old, with: new)
        }
        try Data(text.utf8).write(to: URL(fileURLWithPath: "/run/systemd/system/\(name).\(kind)"))
    }

    func perform(_ step: Step) throws {
        let before = try mainPid()
        switch step {
        case .restart: try systemctl("restart", "\(name).service")
        case .kill: try systemctl("kill", "--kill-who=main", "-s", "KILL", "\(name).service")
        case .reload: try systemctl("reload", "\(name).service")
        case .upgrade: try ok("system", "upgrade")
        case .hang: try systemctl("kill", "--kill-who=main", "-s", "STOP", "\(name).service")
        }
        try eventually(within: 120, "\(step) is over") {
            let now = try mainPid()
            guard now != "0", try property("SubState") == "running" else { return false }
            return step.keepsTheProcess || now != before
        }
        try eventually(within: 120, "the manager answers after \(step)") {
            try Command(Binaries.path("berth"), ["--host", "unix://\(socket)", "version"], in: scratch)
                .finish(within: 120).status == 0
        }
    }

    var unit: String { "\(name).service" }
    var socketUnit: String { "\(name).socket" }

    func pid(of container: String) throws -> Int32 {
        try #require(Int32(try ok("inspect", "-f", "{{.State.Pid}}", container)))
    }

    func mainPid() throws -> String { try property("MainPID") }

    func property(_ property: String) throws -> String {
        try systemctl("show", "-P", property, "\(name).service")
    }

    /// Waits until the number of descriptors in the store is as wanted.
    func held(_ isWanted: (Int) -> Bool) throws -> Int {
        var count = 0
        try eventually(within: 60, "the store has the descriptors, and not \(count)") {
            count = Int(try property("NFileDescriptorStore")) ?? -1
            return isWanted(count)
        }
        return count
    }

    @discardableResult
    func systemctl(_ arguments: String...) throws -> String {
        let outcome = try Command("systemctl", arguments, in: scratch).finish(within: 180)
        try #require(outcome.status == 0, "systemctl \(arguments): \(outcome)\n\(journal())")
        return outcome.text
    }

    @discardableResult
    func ok(_ arguments: String...) throws -> String {
        let outcome = try Command(Binaries.path("berth"), ["--host", "unix://\(socket)"] + arguments, in: scratch)
            .finish(within: 180)
        try #require(outcome.status == 0, "berth \(arguments): \(outcome)\n\(journal())")
        return outcome.text
    }

    private func journal() -> String {
        (try? Command("journalctl", ["--no-pager", "-n", "100", "-u", name], in: scratch).finish().output) ?? ""
    }

    func takeDown() {
        _ = try? Command(Binaries.path("berth"), ["--host", "unix://\(socket)", "rm", "-f", "one", "two"], in: scratch)
            .finish()
        _ = try? Command("systemctl", ["stop", "\(name).socket", "\(name).service"], in: scratch).finish()
        for kind in ["service", "socket"] {
            try? FileManager.default.removeItem(atPath: "/run/systemd/system/\(name).\(kind)")
        }
        _ = try? Command("systemctl", ["daemon-reload"], in: scratch).finish()
        HostState.killAll(of: scratch)
        try? FileManager.default.removeItem(at: scratch)
    }
}
