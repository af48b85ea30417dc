import Cgroups
import Kernel
import Netlink

/// Clones into six namespaces, builds a root of tmpfs and proc, pivots into it and looks around.
func enterNamespaces() throws {
    let kinds: Namespace.Kinds = [.mount, .uts, .ipc, .pid, .network, .cgroup]
    guard let child = try Clone.fork(kinds) else { insideNamespaces() }
    let status = try child.pidfd.wait()
    report("child", "\(status)")
    report("hostHasCanary", File.exists("/canary-of-probe"))
}

private func insideNamespaces() -> Never {
    do {
        try Mount.setPropagation("/", .private, recursive: true)
        try Namespace.setHostName("probe")
        let context = try FileSystemContext("tmpfs")
        try context.set("size", "1m")
        let root = try context.mount([.noDevices, .noSetID])
        try root.attach(toPath: "/mnt")
        let inside = RootedDir(adopting: try File.open("/mnt", [.path, .directory]))
        try inside.mkdir("proc")
        let proc = try FileSystemContext("proc").mount([.noExecute, .noSetID, .noDevices])
        try proc.attach(to: inside.openPath("proc"))
        _ = try inside.create("canary-of-probe")
        try Mount.pivotRoot(to: inside.raw)
        report("pid", Credentials.processID)
        report("directory", try WorkingDirectory.current())
        report("root", try RootedDir("/").readDirectory(".").map(\.name).sorted().joined(separator: ","))
        report("host", try File.readText("/proc/sys/kernel/hostname").filter { $0 != "\n" })
        report("mounts", try File.readText("/proc/self/mountinfo").split(separator: "\n").count)
        Clone.exit(7)
    } catch {
        fail(error)
    }
}

/// Detached mounts in a mount namespace of its own.
func tryMounts() throws {
    try Namespace.unshare(.mount)
    try Mount.setPropagation("/", .private, recursive: true)
    let base = try FileSystemContext("tmpfs").mount()
    try base.attach(toPath: "/mnt")
    for name in ["lower", "upper", "work", "merged", "bind"] { try File.makeDirectory("/mnt/\(name)") }
    try File.writeAtomically("/mnt/lower/file", Array("lower".utf8), durable: false)

    let overlay = try FileSystemContext("overlay")
    try overlay.set("lowerdir", "/mnt/lower")
    try overlay.set("upperdir", "/mnt/upper")
    try overlay.set("workdir", "/mnt/work")
    try overlay.mount().attach(toPath: "/mnt/merged")
    try File.writeAtomically("/mnt/merged/new", [1], durable: false)
    report("upper", try RootedDir("/mnt/upper").readDirectory(".").map(\.name).joined(separator: ","))

    let bind = try DetachedMount(cloning: "/mnt/lower")
    try bind.setAttributes(set: .readOnly)
    try bind.attach(toPath: "/mnt/bind")
    do {
        try File.makeDirectory("/mnt/bind/x")
        report("readOnly", false)
    } catch {
        report("readOnly", error.errno == .readOnly)
    }
    let mount = try File.status("/mnt/bind")
    report("isMountRoot", mount.isMountRoot)
    report("ownMountID", mount.mountID != (try File.status("/mnt/lower")).mountID)
    do {
        let bad = try FileSystemContext("tmpfs")
        try bad.set("no-such-option")
    } catch {
        report("badMount", error.code)
        report("kernelMessage", !error.detail.isEmpty)
    }
    try Mount.unmount("/mnt/bind", [.detach, .noFollow])
    report("unmounted", try File.status("/mnt/bind").isMountRoot == false)
    // A tree removal must not empty what is mounted inside the tree.
    do { try File.removeTree("/mnt") } catch { report("removal", error.errno.description) }
    report("survived", File.exists("/mnt/merged/file"))
}

func bringLoopbackUp() throws {
    try Namespace.unshare(.network)
    report("before", try File.readText("/proc/self/net/fib_trie").contains("127.0.0.1"))
    try NetworkDevices.bringLoopbackUp()
    report("after", try File.readText("/proc/self/net/fib_trie").contains("127.0.0.1"))
    report("v6", try File.readText("/proc/self/net/if_inet6").contains("00000000000000000000000000000001"))
    try NetworkDevices.bringLoopbackUp()
    try Namespace.unshare(.user)
    do {
        try NetworkDevices.bringLoopbackUp()
        report("unprivileged", "allowed")
    } catch {
        report("unprivileged", error.errno == .notPermitted ? "refused" : "\(error)")
    }
}

/// Makes a child that enters the group by itself, and prints where it is and which devices it may open.
func enterCgroup(_ path: String, root: String) throws {
    let group = try CgroupTree(root: root).open(path)
    let entrance = try group.entrance()
    guard let child = try Clone.fork(intoCgroup: entrance.directory?.raw) else {
        do {
            try entrance.enter()
            report("cgroups", try File.readText("/proc/self/cgroup").split(separator: "\n").joined(separator: ";"))
            for device in ["null", "zero", "full"] {
                for (name, flags): (String, OpenFlags) in [("read", .read), ("write", .write), ("both", .readWrite)] {
                    do {
                        _ = try File.open("/dev/\(device)", flags)
                        report("\(device).\(name)", "allowed")
                    } catch {
                        report("\(device).\(name)", error.errno == .notPermitted ? "refused" : "\(error)")
                    }
                }
            }
            Clone.exit(0)
        } catch {
            fail(error)
        }
    }
    report("child", "\(try child.pidfd.wait())")
}

/// Touches memory until the kernel says no.
func useMemory() throws {
    var blocks: [[UInt8]] = []
    _ = try BorrowedDescriptor.standardInput.read(upTo: 1)
    for _ in 0..<512 { blocks.append([UInt8](repeating: 1, count: 1 << 20)) }
    report("survived", blocks.count)
}
