import Kernel

/// Hides system calls from this process: they answer ENOSYS, as on a kernel that lacks them.
func hide(_ numbers: [UInt32]) throws {
    // struct sock_filter: code, jump if true, jump if false (16, 8, 8 bits), operand (32 bits).
    func record(_ code: UInt64, _ ifTrue: UInt64, _ ifFalse: UInt64, _ operand: UInt32) -> UInt64 {
        code | ifTrue << 16 | ifFalse << 24 | UInt64(operand) << 32
    }
    var program = [record(0x20, 0, 0, 0)]  // load the call's number
    for number in numbers {
        program.append(record(0x15, 0, 1, number))
        program.append(record(0x06, 0, 0, 0x0005_0000 | 38))  // errno ENOSYS
    }
    program.append(record(0x06, 0, 0, 0x7fff_0000))  // allow
    try Credentials.setNoNewPrivileges()
    try SeccompFilter.load(program)
}

/// What works without fchmodat2, open_tree and openat2, whose numbers are the same on every architecture.
func tryFallbacks(_ directory: String) throws {
    let root = try RootedDir(directory)
    _ = try root.create("file", mode: 0o600)
    try root.symlink("link", to: "file")
    let file = try root.openPath("file")
    let link = try root.openPath("link")
    try hide([452, 428, 437])

    try file.changeMode(0o640)
    report("mode", String(try file.status().permissions, radix: 8))
    do {
        try link.changeMode(0o777)
        report("link", "followed")
    } catch {
        report("link", error.errno == .notSupported ? "refused" : "\(error)")
    }
    report("target", String(try file.status().permissions, radix: 8))

    let program = try SealedExecutable("/bin/true")
    report("sealed", program.isSealed)
    report("runs", "\(try Spawn(arguments: ["true"]).start(program.descriptor.raw).pidfd.wait())")
    do {
        _ = try root.stat("link")
        report("rooted", "resolved")
    } catch {
        report("rooted", error.code)
    }
}
