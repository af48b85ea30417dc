internal import Kernel
internal import MountTrees
internal import OCISpec

/// Labels of security modules that a process takes on with its next exec.
struct SecurityLabels {
    /// Files below `thread-self/attr` of a procfs, each with what is written to it.
    private(set) var entries: [(file: String, text: String, field: String)] = []
    /// A procfs of the caller's own, prepared where no container can reach it.
    private(set) var procfs: PreparedTree?

    /// Reads the labels of a document.
    ///
    /// - Throws: `unsupported` naming the field when the running kernel has no such module, for a label that nobody
    ///   enforces is worse than none.
    init(_ process: RuntimeSpec.Process) throws(SandboxError) {
        if let profile = process.apparmorProfile, !profile.isEmpty {
            try Self.check(profile, "process.apparmorProfile")
            guard Self.hasAppArmor else { throw Self.absent("process.apparmorProfile", "AppArmor") }
            let own = File.exists("/proc/self/attr/apparmor/exec")
            entries.append((own ? "apparmor/exec" : "exec", "exec \(profile)", "process.apparmorProfile"))
        }
        if let label = process.selinuxLabel, !label.isEmpty {
            try Self.check(label, "process.selinuxLabel")
            guard Self.hasSELinux else { throw Self.absent("process.selinuxLabel", "SELinux") }
            entries.append(("exec", label, "process.selinuxLabel"))
        }
        guard !entries.isEmpty else { return }
        procfs = try step(.credentials) { () throws(KernelError) in
            PreparedTree(try FileSystemContext("proc").mount([.noSetID, .noDevices, .noExecute]))
        }
    }

    /// Sets the labels of the calling thread's next exec.
    func apply() throws(SandboxError) {
        guard let procfs else { return }
        for entry in entries {
            do throws(KernelError) {
                guard try procfs.mount.fileSystemType() == 0x9fa0 else {
                    throw .failed("open", "procfs", .accessDenied, detail: "not a procfs")
                }
                try File.writeOnce("thread-self/attr/\(entry.file)", entry.text, at: procfs.mount.raw)
            } catch {
                let reason = "the kernel does not take '\(entry.text)': \(error.errno)"
                throw .refused(.credentials, "set", entry.field, reason, code: error.code)
            }
        }
    }

    /// The label of a document's mounts; nil when it asks for none.
    ///
    /// - Throws: `unsupported` without SELinux.
    static func ofMounts(_ label: String?) throws(SandboxError) -> String? {
        guard let label, !label.isEmpty else { return nil }
        try check(label, "linux.mountLabel")
        guard hasSELinux else { throw absent("linux.mountLabel", "SELinux") }
        return label
    }

    private static func check(_ label: String, _ field: String) throws(SandboxError) {
        guard label.utf8.count < 4096, label.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw .invalid(field, "control characters or too long")
        }
    }

    private static func absent(_ field: String, _ module: String) -> SandboxError {
        .refused(.specification, "apply", field, "\(module) is not active in this kernel", code: .unsupported)
    }

    private static var hasAppArmor: Bool {
        // Absent without the module.
        (try? File.readText("/sys/module/apparmor/parameters/enabled", limit: 16))?.hasPrefix("Y") == true
    }

    private static var hasSELinux: Bool {
        File.exists("/sys/fs/selinux/enforce")
            || (try? File.readText("/sys/kernel/security/lsm", limit: 4096))?.contains("selinux") == true
    }
}
