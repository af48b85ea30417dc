internal import Kernel

/// Freezing in both versions; waits at most 500 ms and thaws again when that was not enough.
enum CgroupFreezer {
    private static let patience = Duration.milliseconds(500)

    /// cgroup v2: `cgroup.events` turns to `frozen 1`, and changes of it can be polled for.
    static func freezeUnified(_ member: CgroupMember) throws(KernelError) {
        let events = try File.open("cgroup.events", .read, at: member.directory.raw)
        let deadline = Clock.monotonic.now + patience
        try member.write("cgroup.freeze", "1")
        while true {
            let text = String(decoding: try events.read(upTo: 4096, at: 0), as: UTF8.self)
            if KeyedText.flat(text)["frozen"] == 1 { return }
            let left = deadline - Clock.monotonic.now
            guard left > .zero else { break }
            _ = try events.poll(for: .priority, timeout: left)
        }
        try member.write("cgroup.freeze", "0")
        throw .failed("freeze", .timedOut)
    }

    /// cgroup v1: reading `freezer.state` makes the kernel look again.
    static func freezeV1(_ member: CgroupMember) throws(KernelError) {
        var waiting = Waiting(patience)
        repeat {
            try member.write("freezer.state", "FROZEN")
            if try member.read("freezer.state").words == ["FROZEN"] { return }
        } while waiting.again()
        try member.write("freezer.state", "THAWED")
        throw .failed("freeze", .timedOut)
    }
}
