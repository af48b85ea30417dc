internal import Kernel

/// User namespaces by descriptor, for mounts that show their files' owners through a mapping.
enum IDMapNamespace {
    /// Makes a user namespace that exists only for its mapping.
    ///
    /// Its first process waits until the maps are written and the namespace is open, and is reaped before this returns.
    static func make(_ mappings: IDMappings) throws(KernelError) -> SharedDescriptor {
        try withProcess(.user, entering: nil) { (pid) throws(KernelError) in
            try mappings.write(to: pid)
            return SharedDescriptor(try Namespace.open(.user, of: pid))
        }
    }

    /// The mapping of a user namespace that somebody else has made.
    ///
    /// The maps are files of a process, so one enters the namespace for as long as they are read.
    static func mappings(of namespace: RawDescriptor) throws(KernelError) -> IDMappings {
        try withProcess([], entering: namespace) { (pid) throws(KernelError) in try IDMappings(of: pid) }
    }

    /// Runs while a process is in a new user namespace, or in one that it has entered.
    private static func withProcess<Result>(
        _ new: Namespace.Kinds,
        entering namespace: RawDescriptor?,
        _ body: (Int32) throws(KernelError) -> Result
    ) throws(KernelError) -> Result {
        let (ours, theirs) = try UnixSocket.pair(kind: .sequentialPackets)
        // Inherited by the copy, which must not be looked into from the namespace that it enters.
        try ProcessAttributes.setDumpable(false)
        guard let child = try Clone.fork(new, exitSignal: nil, clearingHandlers: true) else {
            hold(theirs.raw, ours.raw, entering: namespace)
        }
        defer { SandboxProcess.abandon(child.pidfd.raw) }
        if namespace != nil {
            let answer = try UnixSocket.receiveDescriptors(from: ours.raw, byteLimit: 4, descriptorLimit: 0)
            let number = answer.bytes.reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
            guard answer.bytes.count == 4, number == 0 else {
                throw .failed("enter namespace", Errno(rawValue: Int32(bitPattern: number)))
            }
        }
        return try body(child.pid)
    }

    /// The process's whole life: it ends with its maker, whose end of the socket it does not keep.
    private static func hold(
        _ socket: RawDescriptor,
        _ other: RawDescriptor,
        entering namespace: RawDescriptor?
    ) -> Never {
        do throws(KernelError) {
            try DescriptorTable.close(from: UInt32(other), through: UInt32(other))
            var errno: Int32 = 0
            if let namespace {
                do throws(KernelError) { try Namespace.enter(namespace, .user) } catch { errno = error.errno.rawValue }
                let bytes = (0..<4).map { UInt8(truncatingIfNeeded: errno >> (8 * $0)) }
                try UnixSocket.sendDescriptors([], with: bytes, to: socket)
            }
            _ = try UnixSocket.receiveDescriptors(from: socket, byteLimit: 1, descriptorLimit: 0)
        } catch {
            // Nobody is left who could be told.
        }
        Clone.exit(0)
    }
}
