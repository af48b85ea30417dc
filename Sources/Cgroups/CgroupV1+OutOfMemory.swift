internal import Kernel

extension CgroupV1 {
    func outOfMemoryVerdict() throws(CgroupError) -> OutOfMemoryVerdict {
        guard let memory = member("memory") else { return OutOfMemoryVerdict(kills: 0, owner: "") }
        return try attempt("read memory events of", absent: OutOfMemoryVerdict(kills: 0, owner: "")) {
            () throws(KernelError) in
            judge.judge(kills: try Self.kills(memory), events: notifications.events())
        }
    }

    func outOfMemoryRecord() throws(CgroupError) -> OutOfMemoryRecord {
        // Before the verdict: a kill between the two is judged now and again looked at by nobody.
        let pressure = member("memory").map(Self.pressure)
        return OutOfMemoryRecord(verdict: try outOfMemoryVerdict(), pressure: pressure ?? [])
    }

    func goOn(after record: OutOfMemoryRecord?) throws(CgroupError) {
        guard let memory = member("memory") else { return }
        try attempt("read memory events of", absent: ()) { () throws(KernelError) in
            notifications.begin(memory)
            let kills = try Self.kills(memory)
            judge.goOn(
                after: record,
                kills: kills,
                pressure: Self.pressure(memory),
                counting: notifications.events()
            )
        }
    }

    /// The count of a group is its own, without those below.
    private static func kills(_ memory: CgroupMember) throws(KernelError) -> UInt64 {
        guard try memory.directory.status().linkCount != 2 else {
            return KeyedText.flat(try memory.files.read("memory.oom_control"))["oom_kill"] ?? 0
        }
        var kills: UInt64 = 0
        try memory.forEachGroup { (group) throws(KernelError) in
            kills += KeyedText.flat(try File.readText("memory.oom_control", at: group))["oom_kill"] ?? 0
        }
        return kills
    }

    /// How often a level's limit was in the way of an allocation, the group itself first.
    ///
    /// Often that is without consequence; but the limit that has killed is among them.
    private static func pressure(_ memory: CgroupMember) -> [UInt64] {
        (0..<memory.components.count).map { up in
            ["memory.failcnt", "memory.memsw.failcnt"].reduce(0) { sum, file in
                // The second is there only where swap is counted.
                let text = try? File.readText(memory.path(file, levelsUp: up), at: memory.hierarchy.directory.raw)
                return sum + (text.flatMap(KeyedText.number) ?? 0)
            }
        }
    }
}
