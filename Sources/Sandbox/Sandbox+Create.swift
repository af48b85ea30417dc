internal import Cgroups
internal import Kernel
public import OCISpec
public import Seccomp

/// Makes processes in namespaces of their own.
///
/// Every function blocks its caller, for as long as the kernel and the set-up take and at most a minute. The caller has one
/// thread: a child is a copy of it.
public enum Sandbox {
    /// How long a process may take to set itself up: bound filesystems may be slow.
    static let patience = Duration.seconds(60)

    /// Creates a container: everything but its program.
    ///
    /// The caller must keep the descriptors of the request open until this returns and may close them then.
    ///
    /// - Parameter request: What to create.
    /// - Returns: The process, waiting for `start`. It is a child of the caller, who reaps it.
    /// - Throws: The step that failed. Nothing is left then: no process, no mount.
    public static func create(_ request: SandboxRequest) throws(SandboxError) -> SandboxProcess {
        let plan = try ContainerPlan(request)
        let (ours, theirs) = try step(.handshake) { () throws(KernelError) in
            try UnixSocket.pair(kind: .sequentialPackets)
        }
        let joinedProcesses = plan.joined.first { $0.kind == .pid }?.descriptor
        let child = try clone(
            plan.newNamespaces.subtracting(.cgroup),
            processNamespace: joinedProcesses?.raw,
            cgroup: request.cgroup?.directory?.raw
        )
        guard let child else {
            ContainerSetup(plan: plan, cgroup: request.cgroup, channel: HandshakeEnd(socket: theirs.raw)).run()
        }
        return try SandboxProcess.supervise(
            child,
            channel: ours,
            plan: plan.process,
            hooks: plan.hooks,
            netDevices: plan.netDevices
        )
    }

    /// The filter of a bundle: the compiled `seccomp.bpf` beside the document if there is one, else the document's section.
    ///
    /// - Parameters:
    ///   - specification: The document.
    ///   - bundle: Absolute path of the bundle.
    ///   - cache: Where programs of sections are kept; nil compiles.
    /// - Returns: Nil when neither asks for a filter.
    /// - Throws: A file that is damaged or open to others, or a section that cannot be compiled.
    public static func seccompProgram(
        for specification: RuntimeSpec,
        bundle: String,
        cache: SeccompCache? = nil
    ) throws(SandboxError) -> SeccompProgram? {
        let path = "\(bundle)/\(SeccompFiles.bundleFileName)"
        let bytes = try step(.seccomp) { () throws(KernelError) -> [UInt8]? in
            let file: Descriptor
            do throws(KernelError) {
                file = try File.open(path, [.read, .noFollow, .nonBlocking])
            } catch  where error.errno == .noEntry { return nil }
            let status = try file.status()
            guard status.isRegular, status.uid == 0, status.permissions & 0o077 == 0 else {
                throw .failed("open", path, .accessDenied, detail: "it must be root's alone")
            }
            return try file.readToEnd(limit: SeccompFiles.maximumSize)
        }
        do throws(SeccompError) {
            if let bytes { return try SeccompProgram(encoded: bytes) }
            return try specification.linux?.seccomp.map { section throws(SeccompError) in
                if let cache { return try cache.program(for: section) }
                return try SeccompCompiler.compile(section)
            }
        } catch {
            throw .refused(
                .seccomp,
                "prepare filter",
                bytes == nil ? (["linux.seccomp"] + [error.field].filter { !$0.isEmpty }).joined(separator: ".") : path,
                error.message,
                code: error.code
            )
        }
    }

    /// Clones the caller.
    ///
    /// Nil is the child.
    static func clone(
        _ namespaces: Namespace.Kinds,
        processNamespace: RawDescriptor?,
        cgroup: RawDescriptor?
    ) throws(SandboxError) -> Child? {
        guard let processNamespace else { return try fork(namespaces, cgroup, failing: {}) }
        // Children get the process namespace that their parent chose for them; the parent itself never changes.
        let own = try step(.namespaces) { () throws(KernelError) in
            let own = SharedDescriptor(try Namespace.openForChildren())
            try Namespace.enter(processNamespace, .pid)
            return own
        }
        guard
            let child = try fork(
                namespaces,
                cgroup,
                // The first error is what matters; entering one's own namespace does not fail.
                failing: { _ = try? Namespace.enter(own.raw, .pid) }
            )
        else { return nil }
        do throws(KernelError) { try Namespace.enter(own.raw, .pid) } catch {
            SandboxProcess.abandon(child.pidfd.raw)
            throw .failed(.namespaces, error)
        }
        return child
    }

    private static func fork(
        _ namespaces: Namespace.Kinds,
        _ cgroup: RawDescriptor?,
        failing undo: () -> Void
    ) throws(SandboxError) -> Child? {
        do throws(KernelError) {
            // Inherited by the copy: from its first moment nothing in the container may look into it.
            try ProcessAttributes.setDumpable(false)
            return try Clone.fork(namespaces, intoCgroup: cgroup, clearingHandlers: true)
        } catch {
            undo()
            throw .failed(.clone, error)
        }
    }
}
