import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Limits on the real kernel, each with work that runs into it.
@Suite(.serialized) struct BiteTests {
    @Test func memoryBeyondTheLimitKills() throws {
        try LoadedGroup.with(.init(memory: .hard(32 << 20))) { loaded in
            let (status, output) = try loaded.run("memory", "256")
            #expect(status == .signaled(9, core: false), "\(output)")
            let verdict = try loaded.group.outOfMemoryVerdict()
            #expect(verdict == OutOfMemoryVerdict(kills: 1, owner: loaded.path))
            // Below the limit nothing happens.
            #expect(try loaded.run("memory", "8").output == "survived=8\n")
            #expect(try loaded.group.outOfMemoryVerdict().kills == 1)
        }
    }

    @Test func limitOfTheParentIsNamedAsItsOwn() throws {
        let parent = "/berth-test-\(Random.hex(6))"
        try LoadedGroup.with(.init(memory: .hard(32 << 20)), path: parent) { _ in
            try LoadedGroup.with(.init(memory: .hard(512 << 20)), path: parent + "/pod/own") { loaded in
                let (status, output) = try loaded.run("memory", "256")
                #expect(status == .signaled(9, core: false), "\(output)")
                #expect(try loaded.group.outOfMemoryVerdict() == OutOfMemoryVerdict(kills: 1, owner: parent))
            }
            // A later group hits its own limit: what its parent has seen before does not count.
            try LoadedGroup.with(.init(memory: .hard(16 << 20)), path: parent + "/pod/other") { loaded in
                let status = try loaded.run("memory", "256").status
                #expect(status == .signaled(9, core: false))
                let verdict = try loaded.group.outOfMemoryVerdict()
                #expect(verdict == OutOfMemoryVerdict(kills: 1, owner: loaded.path))
            }
        }
    }

    @Test func tasksBeyondTheLimitAreRefused() throws {
        try LoadedGroup.with(.init(pids: .init(limit: 5))) { loaded in
            let output = try loaded.run("forks", "20").output
            #expect(output.value("made") == "4", "\(output)")
            #expect(output.value("refused") == "EAGAIN")
            try loaded.group.apply(.init(pids: .init(limit: -1)))
            #expect(try loaded.run("forks", "20").output.value("made") == "20")
            // None at all still lets in who is put in.
            try loaded.group.apply(.init(pids: .init(limit: 0)))
            #expect(try loaded.run("forks", "1").output.value("made") == "0")
        }
    }

    @Test func quotaThrottles() throws {
        try LoadedGroup.with(.init(cpu: .init(quota: 20000, period: 100_000))) { loaded in
            let output = try loaded.run("spin", "-1", "1000").output
            let seconds = try #require(output.value("cpu").flatMap(Double.init))
            // A fifth of a second, and what a period more or less makes.
            #expect(seconds > 0.05 && seconds < 0.45, "\(output)")
            let cpu = try loaded.group.statistics().cpu
            #expect(cpu.throttledPeriods >= 3)
            #expect(cpu.throttledTime > 200_000_000)
        }
    }

    @Test func weightsDivideAProcessor() throws {
        let parent = "/berth-test-\(Random.hex(6))"
        try LoadedGroup.with(path: parent) { _ in
            try LoadedGroup.with(.init(cpu: .init(shares: 4096)), path: parent + "/heavy") { heavy in
                try LoadedGroup.with(.init(cpu: .init(shares: 1024)), path: parent + "/light") { light in
                    let works = [try heavy.start("spin", "0", "2000"), try light.start("spin", "0", "2000")]
                    for work in works { try work.begin() }
                    let used = try works.map { try $0.end().output.value("cpu").flatMap(Double.init) ?? 0 }
                    // 4 to 1, with room for what else runs on that processor at the beginning and the end.
                    #expect(used[0] / max(used[1], 0.001) > 2.5 && used[0] / max(used[1], 0.001) < 6.5, "\(used)")
                }
            }
        }
    }

    @Test func processorsAreThoseOfTheSet() throws {
        try LoadedGroup.with(.init(cpu: .init(cpus: "1"))) { loaded in
            #expect(try loaded.run("affinity").output == "count=1\nfirst=1\n")
            try loaded.group.apply(.init(cpu: .init(cpus: "0-1")))
            #expect(try loaded.run("affinity").output == "count=2\nfirst=0\n")
        }
    }

    @Test func devicesAreRefused() throws {
        let path = "/berth-test-\(Random.hex(6))"
        let rules = [
            RuntimeSpec.DeviceRule(allow: false), .init(allow: true, type: "c", major: 1, minor: 3, access: "rw"),
            .init(allow: true, type: "c", major: 1, minor: 5, access: "r"),
        ]
        try LoadedGroup.with(.init(devices: rules), path: path) { _ in
            let result = try Probe.run("cgroup", path)
            #expect(result["null.both"] == "allowed", "\(result.output)")
            #expect(result["zero.read"] == "allowed")
            #expect(result["zero.write"] == "refused")
            #expect(result["full.read"] == "refused")
        }
    }

    @Test(.enabled(if: Machine.hasSwap, "the machine has no swap space in use")) func swapBeyondTheLimitKills() throws {
        let limits = RuntimeSpec.Memory(limit: 16 << 20, swap: 48 << 20)
        try LoadedGroup.with(.init(memory: limits)) { loaded in
            // What does not fit into memory goes to swap, as far as that is allowed.
            #expect(try loaded.run("memory", "32").output == "survived=32\n")
            #expect(try loaded.run("memory", "128").status == .signaled(9, core: false))
            #expect(try loaded.group.outOfMemoryVerdict().owner == loaded.path)
            try loaded.group.apply(.init(memory: .init(limit: 16 << 20, swap: 16 << 20)))
            #expect(try loaded.run("memory", "32").status == .signaled(9, core: false))
        }
    }

    /// In version 1 swap has no limit of its own but one together with memory, which bites without any swap space.
    @Test(.enabled(if: Machine.limitsMemoryAndSwap, "no limit of memory and swap together"))
    func memoryAndSwapTogetherAreLimited() throws {
        // Both are as large; the kernel asks this one first, and so the other is never reached.
        for (swap, reached) in [(Int64(32 << 20), false), (-1, true)] {
            try LoadedGroup.with(.init(memory: .init(limit: 32 << 20, swap: swap))) { loaded in
                let (status, output) = try loaded.run("memory", "64")
                let failures = try File.readText("\(CgroupTree.defaultRoot)/memory\(loaded.path)/memory.failcnt")
                #expect((failures != "0\n") == reached, "\(swap): \(failures)")
                // Without a limit for both, what does not fit goes to swap where there is some.
                if reached && Machine.hasSwap {
                    #expect(output == "survived=64\n")
                } else {
                    #expect(status == .signaled(9, core: false), "\(swap): \(output)")
                    let verdict = try loaded.group.outOfMemoryVerdict()
                    #expect(verdict == OutOfMemoryVerdict(kills: 1, owner: loaded.path))
                }
            }
        }
    }

    static let canTakeHugePages = Machine.controllers.contains("hugetlb") && Machine.freeHugePages >= 4

    @Test(.enabled(if: canTakeHugePages, "the machine has no huge pages to give")) func hugePagesAreLimited() throws {
        let limit = RuntimeSpec.HugepageLimit(pageSize: "2MB", limit: 4 << 20)
        try LoadedGroup.with(.init(hugepageLimits: [limit])) { loaded in
            #expect(try loaded.run("hugepages", "4").output == "survived=4\n")
            // Refused when they are reserved, or when they are touched.
            let refused = try loaded.run("hugepages", "8").output.value("refused")
            #expect(["ENOMEM", "SIGBUS"].contains(refused))
            #expect(try loaded.group.statistics().hugePages.first { $0.pageSize == "2MB" }?.counter.limit == 4 << 20)
        }
    }
}
