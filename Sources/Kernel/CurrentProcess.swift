internal import Glibc

/// What a process may ask of itself.
public enum CurrentProcess {
    /// Ends the process with `code`, of which the lowest eight bits arrive.
    public static func exit(_ code: Int32) -> Never {
        Glibc.exit(code)
    }

    /// The value of an environment variable; nil where it is not set.
    ///
    /// Nothing in Berth changes its own environment, so reading it needs no lock.
    public static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        // Sound: the text is copied at once, and it ends with a zero byte.
        return unsafe String(cString: value)
    }

    /// The absolute path of the working directory.
    public static func workingDirectory() throws(KernelError) -> String {
        guard let path = unsafe getcwd(nil, 0) else { throw .failed("find the working directory", .current) }
        defer { unsafe free(path) }
        // Sound: the text is copied before the buffer is freed.
        return unsafe String(cString: path)
    }
}
