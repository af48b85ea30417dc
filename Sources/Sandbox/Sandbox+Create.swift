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
        if let owner = plan.userNamespace?.root { try give(plan.process.streams ?? [], to: owner) }
        let child = try ContainerGuide.clone(plan, cgroup: request.cgroup)
        guard let child else {
            ContainerSetup(plan: plan, cgroup: request.cgroup, channel: HandshakeEnd(socket: theirs.raw)).run()
        }
        return try SandboxProcess.supervise(
            child,
            channel: ours,
            plan: plan.process,
            hooks: plan.hooks,
            netDevices: plan.netDevices
        ) { (pid) throws(SandboxError) in try mapIDs(of: pid, plan, HandshakeEnd(socket: ours.raw)) }
    }

    /// The filter of a document's section.
    ///
    /// - Parameters:
    ///   - specification: The document.
    ///   - cache: Where programs of sections are kept; nil compiles.
    /// - Returns: Nil when the document asks for none.
    /// - Throws: A section that cannot be compiled.
    public static func seccompProgram(
        for specification: RuntimeSpec,
        cache: SeccompCache? = nil
    ) throws(SandboxError) -> SeccompProgram? {
        do throws(SeccompError) {
            return try specification.linux?.seccomp.map { section throws(SeccompError) in
                if let cache { return try cache.program(for: section) }
                return try SeccompCompiler.compile(section)
            }
        } catch {
            let field = (["linux.seccomp"] + [error.field].filter { !$0.isEmpty }).joined(separator: ".")
            throw .refused(.seccomp, "prepare filter", field, error.message, code: error.code)
        }
    }

    /// The filter of a bundle of ours: the compiled `seccomp.bpf` beside the document if there is one, else the document's section.
    ///
    /// Not for the bundles of others, where the document alone says what confines the container.
    ///
    /// - Parameters:
    ///   - specification: The document.
    ///   - bundle: Absolute path of the bundle.
    /// - Returns: Nil when neither asks for a filter.
    /// - Throws: A file that is damaged or open to others, or a section that cannot be compiled.
    public static func seccompProgram(
        for specification: RuntimeSpec,
        bundle: String
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
        guard let bytes else { return try seccompProgram(for: specification) }
        do throws(SeccompError) { return try SeccompProgram(encoded: bytes) } catch {
            throw .refused(.seccomp, "prepare filter", path, error.message, code: error.code)
        }
    }

    /// Gives the ids of a new user namespace their meaning, maps the mounts that wait for it, and lets the process go on.
    private static func mapIDs(
        of pid: Int32,
        _ plan: ContainerPlan,
        _ end: HandshakeEnd
    ) throws(SandboxError) {
        guard let userNamespace = plan.userNamespace, userNamespace.existing == nil else { return }
        do throws(KernelError) { try userNamespace.mappings.write(to: pid) } catch {
            throw .failed(.namespaces, .failed("map ids", "linux.uidMappings", error.errno, detail: error.description))
        }
        if !plan.pendingIDMaps.isEmpty {
            let namespace = try step(.namespaces) { () throws(KernelError) in
                SharedDescriptor(try Namespace.open(.user, of: pid))
            }
            for request in plan.pendingIDMaps { try request.apply(namespace.raw) }
        }
        try step(.handshake) { () throws(KernelError) in try end.send(.proceed) }
    }

    /// Makes the container's root the owner of the standard streams.
    ///
    /// The host's ids stand for nobody in its user namespace, so that it could not hand the streams on to the program's user.
    static func give(_ streams: [RawDescriptor], to owner: HostOwner) throws(SandboxError) {
        try step(.console) { () throws(KernelError) in
            for number in Set(streams) {
                let stream = BorrowedDescriptor(number)
                let status = try stream.status()
                guard status.kind == .fifo || status.kind == .socket else { continue }
                try stream.changeOwner(uid: owner.user, gid: owner.group)
            }
        }
    }

    /// Clones the caller.
    ///
    /// Nil is the child.
    static func fork(
        _ namespaces: Namespace.Kinds,
        cgroup: RawDescriptor?,
        asSibling: Bool = false
    ) throws(SandboxError) -> Child? {
        do throws(KernelError) {
            // Inherited by the copy: from its first moment nothing in the container may look into it.
            try ProcessAttributes.setDumpable(false)
            return try Clone.fork(
                namespaces,
                intoCgroup: cgroup,
                clearingHandlers: true,
                asSibling: asSibling
            )
        } catch {
            throw .failed(.clone, error)
        }
    }
}
