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
