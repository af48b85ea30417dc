import Foundation
import SystemFixture
import Testing

/// Whether the kernel has AppArmor, and the machine a program that can load a profile.
private let canConfine =
    (try? String(contentsOfFile: "/sys/module/apparmor/parameters/enabled", encoding: .utf8))?.hasPrefix("Y") == true
    && FileManager.default.isExecutableFile(atPath: "/sbin/apparmor_parser")

/// AppArmor: the profile of the document is that of the first process and of every other, and it binds them.
@Suite(.enabled(if: canConfine, "AppArmor"), .serialized) struct ProfileTests {
    /// A profile in the kernel for as long as this lives.
    private final class Profile {
        let name: String
        private let folder: URL
        private var file: String { folder.appendingPathComponent(name).path }

        /// All is allowed but what is below `/denied`, and, for another, below `/other`.
        init(_ denied: String, in folder: URL) throws {
            name = "berth-test-\(UUID().uuidString.prefix(8).lowercased())"
            self.folder = folder
            let rules = """
                profile \(name) flags=(attach_disconnected,mediate_deleted) {
                    file, capability, signal, ptrace, unix, mount, umount, pivot_root,
                    deny \(denied)/** rwklx,
                }
                """
            try rules.replacingOccurrences(of: ", ", with: ",\n").write(toFile: file, atomically: true, encoding: .utf8)
            let outcome = try Command("/sbin/apparmor_parser", ["--skip-cache", "--add", file], in: folder).finish()
            try #require(outcome.status == 0, "\(outcome)")
        }

        deinit { _ = try? Command("/sbin/apparmor_parser", ["--remove", file], in: folder).finish() }
    }

    /// A container with something that its profile denies, and something that another one denies.
    private static func fixture(_ script: String = "exec sleep 1000") throws -> RuntimeFixture {
        let fixture = try RuntimeFixture(script)
        for place in ["denied", "other"] {
            let folder = fixture.bundle.appendingPathComponent("rootfs/\(place)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            try place.write(to: folder.appendingPathComponent("file"), atomically: true, encoding: .utf8)
        }
        return fixture
    }

    private static func confine(_ fixture: RuntimeFixture, _ profile: String) throws {
        try fixture.configure { document in
            var process = try #require(document["process"] as? [String: Any])
            process["apparmorProfile"] = profile
            document["process"] = process
        }
    }

    /// The label of a process, as the host sees it.
    private static func label(_ pid: Int32) throws -> String {
        try String(contentsOfFile: "/proc/\(pid)/attr/apparmor/current", encoding: .utf8)
            .trimmingCharacters(in: .newlines)
    }

    private static let look = """
        cat /proc/self/attr/current; cat /proc/self/attr/apparmor/current
        for place in denied other; do cat /$place/file 2>/dev/null || echo refused; echo; done
        """

    @Test func theFirstProcessHasTheProfile() throws {
        let fixture = try Self.fixture(Self.look)
        let profile = try Profile("/denied", in: fixture.scratch)
        // Without it nothing is refused.
        #expect(try fixture.run().lines == ["unconfined", "unconfined", "denied", "other"])
        try Self.confine(fixture, profile.name)
        let label = "\(profile.name) (enforce)"
        let outcome = try fixture.run()
        #expect(outcome.lines == [label, label, "refused", "other"], "\(outcome)")
    }

    @Test func furtherProcessesHaveTheContainersOrTheirOwn() throws {
        let fixture = try Self.fixture()
        let profile = try Profile("/denied", in: fixture.scratch)
        let other = try Profile("/other", in: fixture.scratch)
        try Self.confine(fixture, profile.name)
        #expect(try fixture.run("--detach").status == 0)
        let label = "\(profile.name) (enforce)"
        #expect(try Self.label(#require(fixture.state()["pid"] as? Int32)) == label)
        let exec = try fixture.call("exec", fixture.id, "sh", "-c", Self.look)
        #expect(exec.lines == [label, label, "refused", "other"], "\(exec)")
        let asked = try fixture.call("exec", "--apparmor", other.name, fixture.id, "sh", "-c", Self.look)
        let otherLabel = "\(other.name) (enforce)"
        #expect(asked.lines == [otherLabel, otherLabel, "denied", "refused"], "\(asked)")
        let file = fixture.scratch.appendingPathComponent("pid").path
        #expect(try fixture.call("exec", "-d", "--pid-file", file, fixture.id, "sleep", "1000").status == 0)
        #expect(try Self.label(#require(Int32(String(contentsOfFile: file, encoding: .utf8)))) == label)
    }

    /// A label that nobody enforces is worse than none.
    @Test func profileThatIsNotLoadedIsRefused() throws {
        let fixture = try Self.fixture()
        #expect(try fixture.run("--detach").status == 0)
        #expect(try fixture.call("exec", "--apparmor", "berth-no-such-profile", fixture.id, "true").status != 0)
        let second = try Self.fixture("echo runs")
        try Self.confine(second, "berth-no-such-profile")
        let outcome = try second.run()
        #expect(outcome.status == 1 && outcome.output.isEmpty, "\(outcome)")
        #expect(!second.isRecorded && !second.hasGroup)
    }
}
