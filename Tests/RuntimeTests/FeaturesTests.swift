import FoundationEssentials
import SystemFixture
import Testing

/// `berth-runtime features`, against what the runtime-spec names.
@Suite struct FeaturesTests {
    struct Features: Decodable {
        struct Linux: Decodable {
            struct Enabled: Decodable { var enabled: Bool }
            struct Extensions: Decodable { var idmap: Enabled }
            struct MemoryPolicy: Decodable {
                var modes: Set<String>
                var flags: Set<String>
            }
            struct Seccomp: Decodable {
                var actions: Set<String>
                var operators: Set<String>
                var archs: Set<String>
                var knownFlags: Set<String>
                var supportedFlags: Set<String>
            }
            var namespaces: Set<String>
            var capabilities: [String]
            var seccomp: Seccomp
            var mountExtensions: Extensions
            var netDevices: Enabled
            var memoryPolicy: MemoryPolicy
        }
        var hooks: Set<String>
        var mountOptions: Set<String>
        var linux: Linux
    }

    /// The table "Mount options" of runtime-spec 1.3, with the words of other runtimes that are understood too.
    static let words =
        "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand noatime nodev nodiratime noexec "
        + "noiversion nolazytime nomand norelatime nostrictatime nosuid nosymfollow private rbind relatime remount ro "
        + "rprivate rshared rslave runbindable rw shared silent slave strictatime suid sync unbindable symfollow "
        + "ratime rdev rdiratime rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime rnosuid rnosymfollow "
        + "rrelatime rro rrw rstrictatime rsuid rsymfollow tmpcopyup idmap ridmap x-berth.if-present"

    @Test func listsAreComplete() throws {
        let result = try RuntimeFixture().call("features")
        #expect(result.status == 0)
        let features = try JSONDecoder().decode(Features.self, from: Data(result.output.utf8))
        #expect(features.mountOptions == Set(Self.words.split(separator: " ").map(String.init)))
        #expect(
            features.hooks
                == ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]
        )
        let linux = features.linux
        #expect(linux.namespaces == ["pid", "network", "mount", "ipc", "uts", "user", "cgroup", "time"])
        #expect(linux.capabilities.count >= 41 && linux.capabilities.contains("CAP_CHECKPOINT_RESTORE"))
        #expect(linux.seccomp.actions.count == 9 && linux.seccomp.operators.count == 7)
        #expect(linux.seccomp.archs.isSuperset(of: ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_AARCH64"]))
        #expect(linux.seccomp.knownFlags == linux.seccomp.supportedFlags && linux.seccomp.knownFlags.count == 4)
        #expect(linux.mountExtensions.idmap.enabled && linux.netDevices.enabled)
        #expect(linux.memoryPolicy.modes.count == 7 && linux.memoryPolicy.flags.count == 3)
    }
}
