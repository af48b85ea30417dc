import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Sandbox
import Testing

/// Groups of a directory that looks like a resctrl filesystem; only a processor with the feature has a real one.
@Suite struct ResourceControlTests {
    let scratch: Scratch
    var root: String { scratch.path }

    init() throws { scratch = try Scratch() }

    func group(
        _ rdt: RuntimeSpec.IntelRdt,
        isFirst: Bool = true
    ) throws(CgroupError) -> ResourceControl {
        try ResourceControl(rdt, id: "box", isFirst: isFirst, root: root)
    }

    /// The class as the kernel would have made it.
    func makeClass(_ name: String, _ schemata: String) throws {
        try File.makeDirectories("\(root)/\(name)/mon_groups", mode: 0o755)
        try File.writeAtomically("\(root)/\(name)/schemata", Array(schemata.utf8), durable: false)
    }

    @Test func aClassOfItsOwnIsMadeEnteredAndRemoved() throws {
        let group = try group(.init(l3CacheSchema: "L3:0=f;1=3", memBwSchema: "MB:0=50", schemata: ["L2:0=1"]))
        try group.enter(4711)
        #expect(try File.readText(root + "/box/tasks") == "4711")
        // A plain file shows the last of the writes; the kernel's takes them one by one.
        #expect(try File.readText(root + "/box/schemata").hasPrefix("L2:0=1\n"))
        for name in ["tasks", "schemata"] { try File.remove("\(root)/box/\(name)") }
        group.remove()
        #expect(!File.exists(root + "/box"))
    }

    @Test func aClassThatWasThereBeforeStays() throws {
        try makeClass("box", "L3:0=f\n")
        let found = try group(.init(l3CacheSchema: "L3:0=f"))
        // As the kernel does, whose files are no obstacle to the removal.
        try File.remove("\(root)/box/schemata")
        try File.removeDirectory("\(root)/box/mon_groups")
        found.remove()
        try group(.init(), isFirst: false).remove()
        #expect(File.exists(root + "/box"))
    }

    @Test func aLaterProgramRemovesWhatAnEarlierHasMade() throws {
        _ = try group(.init(memBwSchema: "MB:0=50"))
        try File.remove("\(root)/box/schemata")
        let document = RuntimeSpec(ociVersion: "1.2.0", linux: .init(intelRdt: .init(memBwSchema: "MB:0=50")))
        SandboxSurroundings(id: "other", specification: document, bundle: "/").removeGroups(resourceControl: root)
        #expect(File.exists(root + "/box"))
        SandboxSurroundings(id: "box", specification: document, bundle: "/").removeGroups(resourceControl: root)
        #expect(!File.exists(root + "/box"))
    }

    @Test func aNamedClassOutlivesTheContainer() throws {
        try makeClass("gold", "    L3:0=00f;1=3\n    MB:0= 50\n")
        let group = try group(.init(closID: "gold", l3CacheSchema: "L3:1=3;0=f", memBwSchema: "MB:0=50"))
        try group.enter(1)
        group.remove()
        #expect(File.exists(root + "/gold/tasks"))
        let error = #expect(throws: CgroupError.self) {
            try self.group(.init(closID: "gold", l3CacheSchema: "L3:0=1"))
        }
        #expect(error?.field == "linux.intelRdt.schemata" && error?.code == .invalidArgument)
    }

    @Test func theDefaultClassIsTheRoot() throws {
        try group(.init(closID: "/")).enter(12)
        #expect(try File.readText(root + "/tasks") == "12")
    }

    @Test func aMonitoringGroupGoesWithTheContainer() throws {
        try makeClass("gold", "L3:0=f\n")
        let group = try group(.init(closID: "gold", enableMonitoring: true))
        try group.enter(5)
        #expect(try File.readText(root + "/gold/mon_groups/box/tasks") == "5")
        try File.remove(root + "/gold/mon_groups/box/tasks")
        group.remove()
        #expect(!File.exists(root + "/gold/mon_groups/box"))
        // Without the kernel's directory there is no monitoring, and nothing stays.
        #expect(throws: CgroupError.self) { try self.group(.init(enableMonitoring: true)) }
        #expect(!File.exists(root + "/box"))
    }

    @Test(arguments: ["..", ".", "a/b", "a b", "info", "mon_groups", "a\n"])
    func aClassIsADirectoryOfTheFilesystem(_ name: String) {
        let error = #expect(throws: CgroupError.self) { try self.group(.init(closID: name)) }
        #expect(error?.field == "linux.intelRdt.closID")
    }

    @Test func aLineWithoutResourceIsNamed() {
        let error = #expect(throws: CgroupError.self) { try self.group(.init(memBwSchema: "50")) }
        #expect(error?.field == "linux.intelRdt.memBwSchema")
        #expect(!File.exists(root + "/box"))
    }

    @Test func withoutTheFilesystemTheContainerIsRefused() throws {
        guard !(try File.readText("/proc/self/mountinfo", limit: 1 << 24)).contains(" - resctrl ") else { return }
        let box = try ContainerFixture()
        box.spec.linux?.intelRdt = .init(l3CacheSchema: "L3:0=f")
        let failure = try box.run("true").failure
        #expect(failure?.object == "linux.intelRdt" && failure?.code == "unsupported")
    }
}
