import Cgroups
import Kernel

/// The life of a group inside of a group: entered by a child that forks, looked at from outside, killed and removed.
func useSubgroup(_ path: String) throws {
    let group = try CgroupTree().open(path)
    let subgroup = try group.makeSubgroup("exec-")
    guard let child = try Clone.fork(intoCgroup: subgroup.entrance.directory?.raw) else {
        enterAndWait(subgroup.entrance)
    }
    let (pid, pidfd) = (child.pid, child.sharedPidfd())
    while try subgroup.processes().count < 2 { Clock.sleep(.milliseconds(1)) }
    try subgroup.entrance.verify(pidfd, pid: pid)
    try group.entrance().verify(pidfd, pid: pid)
    report("verified", true)
    report("inside", try subgroup.processes().count)
    let own = SharedDescriptor(try Pidfd(pid: Credentials.processID).intoDescriptor())
    do throws(CgroupError) {
        try subgroup.entrance.verify(own, pid: Credentials.processID)
        report("stranger", "accepted")
    } catch {
        report("stranger", error.cause?.errno == .noProcess ? "refused" : "\(error)")
    }
    report("removedWhileBusy", try subgroup.removeIfEmpty())
    try subgroup.signalAll(.kill, timeout: .milliseconds(200))
    report("child", "\(try Pidfd.waitForEnd(pidfd.raw))")
    report("left", try subgroup.signalAll(.kill, timeout: .seconds(5)).count)
    // A process that has ended is nowhere, which is no reason to complain.
    try subgroup.entrance.verify(pidfd, pid: pid)
    report("removed", try subgroup.removeIfEmpty())
}

/// Makes a child in a group inside of a group that uses memory without end.
func useMemoryInSubgroup(_ path: String) throws {
    let subgroup = try CgroupTree().open(path).makeSubgroup("exec-")
    guard let child = try Clone.fork(intoCgroup: subgroup.entrance.directory?.raw) else {
        do {
            try subgroup.entrance.enter()
            var blocks: [[UInt8]] = []
            for _ in 0..<512 { blocks.append([UInt8](repeating: 1, count: 1 << 20)) }
            Clone.exit(0)
        } catch {
            fail(error)
        }
    }
    report("child", "\(try child.pidfd.wait())")
    report("removed", try subgroup.removeIfEmpty())
}

private func enterAndWait(_ entrance: CgroupEntrance) -> Never {
    do {
        try entrance.enter()
        _ = try Clone.fork()
        // Until it is killed.
        while true { Clock.sleep(.seconds(60)) }
    } catch {
        fail(error)
    }
}
