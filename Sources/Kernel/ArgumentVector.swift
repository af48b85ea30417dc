internal import CKernel
internal import Glibc

/// Texts as C wants them for exec: an array of pointers that ends with null.
///
/// Made before fork, so that nothing is allocated between fork and exec.
@safe public final class ArgumentVector: Sendable {
    // Written once in init, read afterwards, freed in deinit.
    nonisolated(unsafe) let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    /// Copies texts.
    ///
    /// - Parameter texts: the elements.
    /// - Throws: `KernelError`; errno is `.invalid` when one holds a NUL byte.
    public init(_ texts: [String]) throws(KernelError) {
        for text in texts { try refuseNUL(text, "prepare argument") }
        count = texts.count
        unsafe pointers = .allocate(capacity: texts.count + 1)
        for (index, text) in texts.enumerated() { unsafe pointers[index] = unsafe strdup(text) }
        unsafe pointers[texts.count] = nil
    }

    deinit {
        for index in 0..<count { unsafe free(pointers[index]) }
        unsafe pointers.deallocate()
    }
}

/// Replaces the program of the calling process.
public enum Exec {
    /// Runs a program by path; returns only to throw.
    ///
    /// - Parameters:
    ///   - path: the program, as the present root directory sees it.
    ///   - arguments: with the program's own name first.
    ///   - environment: `NAME=value` texts.
    /// - Returns: never.
    /// - Throws: `KernelError`; the process goes on unchanged.
    public static func replace(
        _ path: String,
        arguments: ArgumentVector,
        environment: ArgumentVector
    ) throws(KernelError) -> Never {
        try refuseNUL(path, "execute")
        unsafe execve(path, arguments.pointers, environment.pointers)
        throw .failed("execute", path, .current)
    }

    /// Runs an open program; returns only to throw.
    ///
    /// - Parameters:
    ///   - program: an open file, O_PATH is enough. Scripts need one without close-on-exec.
    ///   - arguments: with the program's own name first.
    ///   - environment: `NAME=value` texts.
    /// - Returns: never.
    /// - Throws: `KernelError`; the process goes on unchanged.
    public static func replace(
        _ program: RawDescriptor,
        arguments: ArgumentVector,
        environment: ArgumentVector
    ) throws(KernelError) -> Never {
        unsafe ck_execveat(program, "", arguments.pointers, environment.pointers, 0x1000)
        throw .failed("execute", .current)
    }
}

/// The working directory of the process.
public enum WorkingDirectory {
    /// Changes it.
    ///
    /// - Parameter path: an existing directory.
    /// - Throws: `KernelError`.
    public static func change(to path: String) throws(KernelError) {
        try refuseNUL(path, "change directory to")
        try system("change directory to", path) { unsafe chdir(path) }
    }

    /// Changes it to an open directory.
    ///
    /// - Parameter directory: the directory.
    /// - Throws: `KernelError`.
    public static func change(to directory: RawDescriptor) throws(KernelError) {
        try system("change directory") { fchdir(directory) }
    }

    /// Its path as the kernel sees it from the process's root.
    ///
    /// - Returns: the path; it starts with `/` only when the directory is inside the root (otherwise `(unreachable)…`).
    /// - Throws: `KernelError`; errno is `.noEntry` when the directory was removed.
    public static func current() throws(KernelError) -> String {
        var buffer = [CChar](repeating: 0, count: 4097)
        guard unsafe getcwd(&buffer, buffer.count) != nil else { throw .failed("read working directory", .current) }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}
