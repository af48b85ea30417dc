import Cgroups
import Kernel

/// The life of a group where no v2 hierarchy stands beside the v1 ones: freezer, and signals one by one.
func usePlainV1(_ path: String) throws {
    try Namespace.unshare(.mount)
    try Mount.setPropagation("/", .private, recursive: true)
    try Mount.unmount(CgroupTree.defaultRoot + "/unified", .detach)
    let group = try CgroupTree().create(path, owner: "probe")
    let entrance = try group.entrance()
    report("directory", entrance.directory != nil)
    guard let child = try Clone.fork(intoCgroup: entrance.directory?.raw) else { enterAndFork(entrance) }
    while try group.processes().count < 2 { Clock.sleep(.milliseconds(1)) }
    try group.freeze()
    report("frozen", try group.isFrozen())
    report("running", try child.pidfd.reapIfEnded() == nil)
    _ = try group.killAll(timeout: .milliseconds(500))
    report("child", "\(try child.pidfd.wait())")
    report("left", try group.killAll(timeout: .seconds(5)).count)
    report("frozenAfterwards", try group.isFrozen())
    try group.remove(timeout: .seconds(5))
    report("removed", !File.exists("\(CgroupTree.defaultRoot)/memory\(path)"))
}

/// A process in the innermost of a hundred groups, where no v2 hierarchy knows of it.
func useDeepV1(_ path: String) throws {
    try Namespace.unshare(.mount)
    try Mount.setPropagation("/", .private, recursive: true)
    try Mount.unmount(CgroupTree.defaultRoot + "/unified", .detach)
    let group = try CgroupTree().create(path, owner: "probe")
    guard let child = try Clone.fork() else {
        // Until it is killed.
        while true { Clock.sleep(.seconds(60)) }
    }
    for hierarchy in ["freezer", "systemd"] {
        let inner = "\(CgroupTree.defaultRoot)/\(hierarchy)\(path)" + String(repeating: "/d", count: 100)
        try File.makeDirectories(inner, mode: 0o755)
        try File.writeOnce("\(inner)/cgroup.procs", String(child.pid))
    }
    report("listed", try group.processes().contains(child.pid))
    _ = try group.killAll(timeout: .milliseconds(500))
    report("ended", try !child.pidfd.poll(for: .readable, timeout: .seconds(5)).isEmpty)
    try child.pidfd.send(.kill)
    report("child", "\(try child.pidfd.wait())")
    report("left", try group.killAll(timeout: .seconds(5)).count)
    try group.remove(timeout: .seconds(5))
    report("removed", !File.exists("\(CgroupTree.defaultRoot)/freezer\(path)"))
}

private func enterAndFork(_ entrance: CgroupEntrance) -> Never {
    do {
        try entrance.enter()
        _ = try Clone.fork()
        // Until it is killed.
        while true { Clock.sleep(.seconds(60)) }
    } catch {
        fail(error)
    }
}
