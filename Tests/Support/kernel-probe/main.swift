// kernel-probe: the helper process of the kernel tests. Each scenario prints `key=value` lines, or fails with exit code 1.
import Cgroups
import Kernel
import Netlink

func report(_ key: String, _ value: some CustomStringConvertible) {
    do { try BorrowedDescriptor.standardOutput.writeAll("\(key)=\(value)\n") } catch { Clone.exit(3) }
}

func fail(_ error: any Error) -> Never {
    report("error", "\(error)")
    Clone.exit(1)
}

let arguments = CommandLine.arguments
let scenario = arguments.count > 1 ? arguments[1] : ""

do {
    switch scenario {
    case "exit": Clone.exit(Int32(arguments[2]) ?? 99)
    case "signal": try Signals.send(Signal(name: arguments[2]) ?? .kill, toChild: Credentials.processID)
    case "wait":
        try BorrowedDescriptor.standardOutput.writeAll("ready\n")
        _ = try BorrowedDescriptor.standardInput.readToEnd(limit: 1 << 20)
    case "facts": try reportFacts()
    case "namespaces": try enterNamespaces()
    case "mounts": try tryMounts()
    case "sealed": try trySealed()
    case "credentials": try changeCredentials()
    case "signalfd": try receiveSignal()
    case "loopback": try bringLoopbackUp()
    case "cgroup": try enterCgroup(arguments[2], root: arguments.count > 3 ? arguments[3] : CgroupTree.defaultRoot)
    case "fallbacks": try tryFallbacks(arguments[2])
    case "subgroup": try useSubgroup(arguments[2])
    case "subgroup-hog": try useMemoryInSubgroup(arguments[2])
    case "plain-v1": try usePlainV1(arguments[2])
    case "deep-v1": try useDeepV1(arguments[2])
    case "hog": try useMemory()
    default: report("error", "unknown scenario '\(scenario)'")
    }
} catch {
    fail(error)
}
