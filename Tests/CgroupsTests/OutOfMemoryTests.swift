import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Whose limit has killed, told by a program that goes on with a group which another has made.
@Suite(.enabled(if: Machine.controllers.contains("memory"), "the host limits no memory")) struct OutOfMemoryTests {
    private let hog = ["memory", "128"]

    private func kill(in group: any Cgroup) throws {
        let work = try LoadedGroup.spawn(hog)
        try group.add(work.pid)
        try work.begin()
        #expect(try work.end().status == .signaled(9, core: false))
    }

    /// A group with its limit, or below one that has it.
    private func with(_ isParents: Bool, _ body: (LoadedGroup, _ owner: String) throws -> Void) throws {
        let limits = RuntimeSpec.Resources(memory: .hard(24 << 20))
        let parent = "/berth-test-\(Random.hex(6))"
        try LoadedGroup.with(isParents ? limits : .init(), path: parent) { _ in
            try LoadedGroup.with(isParents ? .init() : limits, path: parent + "/inner") { inner in
                try body(inner, isParents ? parent : inner.path)
            }
        }
    }

    @Test(arguments: [false, true]) func aKillAfterTheChangeIsJudged(_ isParents: Bool) throws {
        try with(isParents) { loaded, owner in
            try kill(in: loaded.group)
            let record = try loaded.group.outOfMemoryRecord()
            #expect(record.verdict == OutOfMemoryVerdict(kills: 1, owner: owner))
            let next = try CgroupTree().open(loaded.path)
            try next.goOn(after: record)
            #expect(try next.outOfMemoryVerdict() == record.verdict)
            try kill(in: next)
            #expect(try next.outOfMemoryVerdict() == OutOfMemoryVerdict(kills: 2, owner: owner))
        }
    }

    @Test(arguments: [false, true]) func aKillDuringTheChangeIsJudged(_ isParents: Bool) throws {
        try with(isParents) { loaded, owner in
            let record = try loaded.group.outOfMemoryRecord()
            try kill(in: loaded.group)
            let next = try CgroupTree().open(loaded.path)
            try next.goOn(after: record)
            #expect(try next.outOfMemoryVerdict() == OutOfMemoryVerdict(kills: 1, owner: owner))
        }
    }

    /// Nobody knows whose limit it was; but of the next kill it is known.
    @Test func withoutARecordOnlyThePastIsUnknown() throws {
        try with(true) { loaded, owner in
            try kill(in: loaded.group)
            let next = try CgroupTree().open(loaded.path)
            try next.goOn(after: nil)
            #expect(try next.outOfMemoryVerdict() == OutOfMemoryVerdict(kills: 1, owner: ""))
            try kill(in: next)
            #expect(try next.outOfMemoryVerdict() == OutOfMemoryVerdict(kills: 2, owner: owner))
        }
    }
}
