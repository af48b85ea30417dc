import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Whose a group is, on the host's own hierarchies.
@Suite struct OwnershipTests {
    let path = "/berth-test-\(Random.hex(6))"
    let tree: CgroupTree
    /// Roots of the hierarchies.
    let roots: [String]

    init() throws {
        tree = try CgroupTree()
        let root = CgroupTree.defaultRoot
        let names = try File.open(root, .directory).readDirectory().filter { $0.kind == .directory }.map(\.name)
        let below = names.sorted().map { "\(root)/\($0)" }.filter { File.exists("\($0)/cgroup.procs") }
        roots = Machine.isUnified ? [root] : below
    }

    /// Removes what is left in any hierarchy.
    private func cleaning(_ body: () throws -> Void) throws {
        defer {
            do {
                if let left = try? tree.open(path) {
                    _ = try left.killAll(timeout: .seconds(5))
                    try left.remove(timeout: .seconds(5))
                }
                for root in roots { try File.removeDirectory(root + path) }
            } catch {
                Issue.record(error)
            }
        }
        try body()
    }

    private func places(_ path: String) -> [Bool] { roots.map { File.exists($0 + path) } }

    private var all: [Bool] { roots.map { _ in true } }
    private var none: [Bool] { roots.map { _ in false } }

    @Test func anEmptyGroupOfSomebodyElseIsUsedAndStays() throws {
        try cleaning {
            for root in roots { try File.makeDirectory(root + path, mode: 0o755) }
            let group = try tree.create(path, owner: "one")
            let work = try LoadedGroup.spawn(["wait"])
            try group.add(work.pid)
            _ = try group.makeSubgroup("exec-")
            // Until then it is the container's alone.
            let error = #expect(throws: CgroupError.self) { _ = try tree.create(path, owner: "two") }
            #expect(error?.code == .alreadyExists)
            _ = try tree.open(path, owner: "one").killAll(timeout: .milliseconds(200))
            _ = try work.end()
            try tree.open(path, owner: "one").remove(timeout: .seconds(5))
            #expect(places(path) == all)
            #expect(throws: CgroupError.self) { _ = try tree.open(path, owner: "one") }
            try tree.create(path, owner: "two").remove(timeout: .seconds(5))
            #expect(places(path) == all)
        }
    }

    @Test func aGroupOfAnotherIsNeitherTakenNorChanged() throws {
        try cleaning {
            try tree.create(path, owner: "one").apply(.init(pids: .init(limit: 5)))
            // Only the last hierarchy tells.
            for root in roots.dropLast() { try File.removeDirectory(root + path) }
            let error = #expect(throws: CgroupError.self) { _ = try tree.create(path, owner: "two") }
            #expect(error?.code == .alreadyExists)
            #expect(places(path) == roots.indices.map { $0 == roots.count - 1 })
            let missing = #expect(throws: CgroupError.self) { _ = try tree.open(path, owner: "two") }
            #expect(missing?.code == .notFound)
            // Its own container starts anew.
            _ = try tree.create(path, owner: "one")
            #expect(places(path) == all)
        }
    }

    @Test func aGroupWithGroupsOfOthersIsNotTaken() throws {
        try cleaning {
            let root = try #require(roots.last)
            try File.makeDirectories("\(root)\(path)/inner", mode: 0o755)
            let error = #expect(throws: CgroupError.self) { _ = try tree.create(path, owner: "one") }
            #expect(error?.code == .alreadyExists)
            #expect(File.exists("\(root)\(path)/inner"))
            #expect(places(path) == roots.indices.map { $0 == roots.count - 1 })
        }
    }

    @Test func parentsThatWereMissingGoWithTheLastGroup() throws {
        try cleaning {
            for root in roots { try File.makeDirectory(root + path, mode: 0o755) }
            let one = try tree.create(path + "/a/b/c", owner: "one")
            let two = try tree.create(path + "/a/d", owner: "two")
            try one.remove(timeout: .seconds(5))
            #expect(places(path + "/a/b") == none)
            #expect(places(path + "/a/d") == all)
            try two.remove(timeout: .seconds(5))
            #expect(places(path + "/a") == none)
            // This one somebody else has made.
            #expect(places(path) == all)
        }
    }

    @Test func whatIsHeldOfAnOldGroupDoesNothingToANewOne() throws {
        try cleaning {
            let old = try tree.create(path, owner: "one")
            try old.remove(timeout: .seconds(5))
            _ = try tree.create(path, owner: "two")
            try old.remove(timeout: .seconds(5))
            #expect(places(path) == all)
        }
    }

    /// Each removes the parent that another is just about to make a group in.
    @Test func groupsBelowOneParentComeAndGoAtOnce() async throws {
        let failures = await withTaskGroup(of: [String].self) { tasks in
            for number in 0..<4 {
                tasks.addTask {
                    (0..<100).compactMap { _ in
                        do {
                            let group = try tree.create("\(path)/p/\(number)", owner: "\(number)")
                            try group.remove(timeout: .seconds(5))
                            return nil
                        } catch {
                            return "\(error)"
                        }
                    }
                }
            }
            return await tasks.reduce(into: []) { $0 += $1 }
        }
        #expect(failures == [])
        #expect(places(path) == none)
    }
}
