internal import CKernel

/// A program of ours that nothing running from it can open for writing.
///
/// The program is started through a detached read-only mount of its file: `/proc/<pid>/exe` of such a process names that mount, so even
/// root inside a container cannot overwrite the file on the host through it. It costs three system calls and no copy.
public struct SealedExecutable: ~Copyable, Sendable {
    /// What execveat gets.
    public let descriptor: Descriptor
    /// False where the kernel refused the mount calls (before Linux 5.12, or without the right to mount) and the plain file is used.
    public let isSealed: Bool

    /// Opens a program by a path of Berth's own.
    ///
    /// - Parameter path: the program.
    /// - Throws: `KernelError` when the file itself cannot be opened.
    public init(_ path: String) throws(KernelError) {
        let file = try File.open(path, .path)
        do throws(KernelError) {
            let mount = try DetachedMount(cloning: "", at: file.raw)
            try mount.setAttributes(set: .readOnly)
            descriptor = mount.intoDescriptor()
            isSealed = true
        } catch {
            descriptor = file
            isSealed = false
        }
    }

    /// Gives up ownership as a plain descriptor.
    ///
    /// - Returns: what execveat gets.
    public consuming func intoDescriptor() -> Descriptor { descriptor }

    /// Opens the program that is running.
    ///
    /// - Throws: `KernelError`.
    public init() throws(KernelError) { try self.init("/proc/self/exe") }

    /// Whether the running program was started through a read-only mount.
    ///
    /// - Returns: false also when it cannot be known.
    public static func isRunningSealed() -> Bool {
        do throws(KernelError) {
            return try File.open("/proc/self/exe", .path).isOnReadOnlyMount()
        } catch {
            return false
        }
    }
}

extension DescriptorHolder where Self: ~Copyable {
    /// Whether the mount that the file was reached through is read-only.
    ///
    /// - Returns: ST_RDONLY of fstatfs.
    /// - Throws: `KernelError`.
    public func isOnReadOnlyMount() throws(KernelError) -> Bool {
        var facts = statfs()
        try system("stat file system") { unsafe fstatfs(raw, &facts) }
        return facts.f_flags & 1 != 0
    }
}
