internal import CKernel
internal import Glibc

/// Children of this process without regard to which.
public enum Children {
    /// Reaps one child that has ended, such as an orphan that a subreaper inherited.
    ///
    /// - Returns: the child's number, free again from now on, and how it ended; nil when none has ended.
    public static func reapAny() -> (pid: Int32, status: ExitStatus)? {
        var status: Int32 = 0
        while true {
            let pid = unsafe waitpid(-1, &status, WNOHANG)
            if pid > 0 { return (pid, ExitStatus(waitStatus: status)) }
            guard pid == -1, Errno.current == .interrupted else { return nil }
        }
    }
}

extension Children {
    /// A child that has ended and was not reaped: its number stays its own until it is.
    ///
    /// - Returns: the number; nil when there is none.
    /// - Throws: `KernelError`.
    public static func ended() throws(KernelError) -> Int32? {
        let pid = try system("look for ended children") { ck_ended_child() }
        return pid == 0 ? nil : pid
    }

    /// Has every end of a child counted in an eventfd from now on; the last one given wins.
    ///
    /// The handler of SIGCHLD is taken for it, so it is for programs that leave that signal alone.
    ///
    /// - Parameter event: stays open for as long as the process lives.
    /// - Throws: `KernelError`.
    public static func notifyEnds(_ event: RawDescriptor) throws(KernelError) {
        try system("watch for ends of children") { ck_notify_child_ends(event) }
    }
}

/// The environment of this process.
public enum Environment {
    /// A variable's value.
    ///
    /// - Parameter name: without `=`.
    /// - Returns: the text; nil when the variable is not set.
    public static func value(_ name: String) -> String? {
        // Sound: nothing in Berth changes the environment after the start, and the text is copied.
        guard let text = unsafe getenv(name) else { return nil }
        return unsafe String(cString: text)
    }
}
