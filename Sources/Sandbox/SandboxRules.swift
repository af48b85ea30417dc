public import Kernel

/// What the processes of a container may do with files, by rules of the kernel (Landlock) beside its mounts.
///
/// The set-up of the container's first process writes the rules down when all is mounted; every process is held to them from just before its
/// filter is loaded. They lie in one object of the kernel, so that further processes are held to the very same, whatever has become of
/// the mounts.
public struct SandboxRules: Sendable {
    /// The oldest version of the kernel's interface that leaves a container what it could do before: the first knows no moves from one
    /// directory to another.
    public static let oldestVersion = 2

    /// The kernel's object, for who goes on with the container in another program.
    public var descriptor: SharedDescriptor { kernel.descriptor }

    let kernel: LandlockRules
    /// What is refused where no rule allows it.
    let handled: Landlock.Access

    /// Makes the rules of a container that is to be created.
    ///
    /// - Parameter scopes: What ends at the container's processes, of which the kernel may know nothing yet.
    /// - Returns: Nil where the kernel has no Landlock, or one that is too old.
    /// - Throws: `rules`.
    public static func make(scoping scopes: Landlock.Scopes = []) throws(SandboxError) -> SandboxRules? {
        let version = Landlock.version
        guard version >= oldestVersion else { return nil }
        return try step(.rules) { () throws(KernelError) in
            let handled = Landlock.Access.known(to: version)
            let kernel = try LandlockRules(handling: handled, scoping: version >= scopesVersion ? scopes : [])
            return SandboxRules(kernel: kernel, handled: handled)
        }
    }

    /// The first version that knows scopes.
    public static let scopesVersion = 6

    /// Goes on with the rules of a container.
    ///
    /// - Parameter descriptor: As another program has had it.
    public init(_ descriptor: SharedDescriptor) {
        kernel = LandlockRules(descriptor)
        handled = .known(to: Landlock.version)
    }

    private init(kernel: LandlockRules, handled: Landlock.Access) {
        self.kernel = kernel
        self.handled = handled
    }

    /// Allows the process what its standard streams are opened for, so that it can open them again by `/dev/stdin` and its like.
    ///
    /// Only a file, a named pipe or a device of the host needs that: what was opened before is never refused.
    func allowStreams() throws(KernelError) {
        for number: RawDescriptor in 0...2 {
            let stream = BorrowedDescriptor(number)
            let status = try stream.status()
            guard status.isRegular || status.kind == .fifo || status.kind == .characterDevice else { continue }
            let mode = try stream.openedFor()
            var access: Landlock.Access = []
            if mode.reading { access.insert(.readFile) }
            if mode.writing { access.formUnion([.writeFile, .truncate]) }
            if status.kind == .characterDevice { access.insert(.controlDevices) }
            try kernel.allow(access.intersection(handled), beneath: number)
        }
    }
}
