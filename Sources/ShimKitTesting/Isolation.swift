internal import Kernel

/// What a kernel may lack.
enum KernelFeature: String {
    /// The unified hierarchy alone.
    case cgroup2 = "cgroup v2 alone"
    /// Separate hierarchies.
    case cgroup1 = "cgroup v1"
    /// AppArmor in the kernel, switched on.
    case apparmor = "AppArmor"
    /// No AppArmor.
    case noApparmor = "a kernel without AppArmor"
    /// No SELinux.
    case noSELinux = "a kernel without SELinux"
    /// No resource control file system mounted.
    case noResctrl = "no mounted resctrl"
    /// Policies of memory for nodes.
    case memoryPolicy = "NUMA memory policies"
    /// Real-time scheduling in any cgroup.
    case realTime = "real-time scheduling in every cgroup"

    var description: String { rawValue }

    var isPresent: Bool {
        switch self {
        case .cgroup2: File.exists("/sys/fs/cgroup/cgroup.controllers")
        case .cgroup1: File.exists("/sys/fs/cgroup/memory")
        case .apparmor: Self.hasAppArmor
        case .noApparmor: !Self.hasAppArmor
        case .noSELinux: !File.exists("/sys/fs/selinux/enforce")
        case .noResctrl: !File.exists("/sys/fs/resctrl/schemata")
        case .memoryPolicy: File.exists("/sys/devices/system/node/node0") && File.exists("/proc/self/numa_maps")
        case .realTime: !File.exists("/sys/fs/cgroup/cpu/cpu.rt_runtime_us")
        }
    }

    private static var hasAppArmor: Bool {
        (try? File.readText("/sys/module/apparmor/parameters/enabled"))?.hasPrefix("Y") ?? false
    }
}

extension Conformance {
    /// A check with a box of its own.
    static func isolated(
        _ name: String,
        _ row: String,
        needs: KernelFeature? = nil,
        body: @escaping @Sendable (IsolationBox) throws -> Void
    ) -> Check {
        Check(name: name, row: row, needs: needs) { program in
            let box = try IsolationBox(program)
            // What is on disk goes with the box, and the body may look at it last.
            try withExtendedLifetime(box) { try body(box) }
        }
    }

    /// A check that a document is refused.
    static func refused(
        _ name: String,
        _ row: String,
        needs: KernelFeature? = nil,
        change: @escaping @Sendable (IsolationBox) throws -> Void
    ) -> Check {
        isolated(name, row, needs: needs) { box in
            try change(box)
            try box.expectRefusal(name)
        }
    }
}

/// A process that holds namespaces for a container to join, until the object goes.
final class NamespaceHolder {
    let pid: Int32
    private let pidfd: SharedDescriptor

    init(_ kinds: Namespace.Kinds) throws {
        let program = try IsolationProbe.path()
        let output = try Pipe()
        var spawn = Spawn(arguments: [program, "hold="])
        spawn.namespaces = kinds
        spawn.descriptors = [1: output.writer.raw]
        let child = try spawn.start(program)
        (pid, pidfd) = (child.pid, child.sharedPidfd())
        let reader = output.ends().reader
        let ready = try reader.poll(for: .readable, timeout: .seconds(10))
        try require(ready.contains(.readable), "the holder of namespaces does not speak")
    }

    deinit {
        // Nobody is left who could be told.
        _ = try? Pidfd.send(.kill, to: pidfd.raw)
        _ = try? Pidfd.waitForEnd(pidfd.raw)
    }

    /// The path of one of its namespaces.
    func path(_ name: String) -> String { "/proc/\(pid)/ns/\(name)" }

    /// What the kernel calls one of its namespaces.
    func identity(_ name: String) throws -> String { try namespaceIdentity("\(pid)", name) }
}

/// What the kernel calls a namespace of a process, such as `net:[4026531833]`.
func namespaceIdentity(_ process: String, _ name: String) throws -> String {
    String(decoding: try RootedDir("/proc/\(process)/ns").readlink(name), as: UTF8.self)
}
