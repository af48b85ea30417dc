internal import Kernel
internal import ShimProtocol
internal import SwiftProtobuf

extension Conformance {
    /// Pause, processes, numbers and limits.
    static let resources: [Check] = [
        Check(name: "pausedContainerStandsStill", body: pausing),
        Check(name: "pausedContainerIsKilled") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.pause()
            try container.kill(.kill)
            // A shim may have let it go for the signal already.
            do { try container.resume() } catch is RPCError {}
            try requireEqual(container.waitForExit(), 137, "status")
        },
        Check(name: "processesAreListed") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            let pid = try container.run()
            try container.addExec("e", .init("sleep 1000"))
            let exec = try container.start("e")
            let pids = try container.pids()
            try require(pids.contains(pid) && pids.contains(exec), "\(pids) lack \(pid) or \(exec)")
            for pid in pids { try require(File.exists("/proc/\(pid)"), "no process \(pid)") }
        },
        Check(name: "numbersAreOfAKnownType") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            let stats = try container.stats()
            let known = ["io.containerd.cgroups.v1.Metrics", "io.containerd.cgroups.v2.Metrics"]
            try require(known.contains(stats.typeURL), "type \(stats.typeURL)")
            try require(!stats.value.isEmpty, "no numbers")
        },
        Check(name: "limitIsChanged") { program in
            let container = try ConformanceContainer(program, "sleep 1000")
            try container.run()
            try container.update(#"{"memory":{"limit":67108864},"cpu":{"shares":512}}"#)
            try requireEqual(container.state().status, .running, "state")
            let path = "/sys/fs/cgroup/memory\(container.bundle.cgroupPath)/memory.limit_in_bytes"
            guard File.exists(path) else { return }
            try requireEqual(File.readText(path).filter(\.isNumber), "67108864", "limit")
        },
    ]

    private static func pausing(_ program: ShimProgram) throws {
        let container = try ConformanceContainer(program, "while :; do echo tick; sleep 0.01; done")
        try container.run()
        try container.wait("the first tick") { !container.streams.output.isEmpty }
        try container.pause()
        try requireEqual(container.state().status, .paused, "state")
        try container.streams.receive()
        let count = container.streams.output.count
        _ = try EventFd().poll(for: .readable, timeout: .milliseconds(200))
        try container.streams.receive()
        try requireEqual(container.streams.output.count, count, "bytes of output while paused")
        try container.resume()
        try requireEqual(container.state().status, .running, "state after Resume")
        try container.wait("the next tick") { container.streams.output.count > count }
    }
}
