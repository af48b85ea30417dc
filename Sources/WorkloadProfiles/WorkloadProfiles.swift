// What one workload needs of the kernel: which system calls, and for chosen ones which classes of arguments.
//
// The model. A profile is a document that people can read. It is learned: what a restricted container's shim has counted is
// merged into it, run by run. What is dangerous (`DangerousCalls`) is kept apart and not taken up until somebody names it.
// A profile becomes a filter (`WorkloadProfile.filter`) in the same form as any other, so that the compiler and the check of the
// compiled program are the same, and so that docker and podman take what is exported. Nothing in here reads or writes files.

package import Kernel

/// What was wrong with a profile, or with what was said about one.
package struct ProfileError: Error, Sendable, Equatable, CustomStringConvertible {
    /// The class of the error.
    package let code: ErrorCode
    /// Lower-case text with the object and its values.
    package let message: String

    /// The message.
    package var description: String { message }

    static func invalidName(_ name: String) -> ProfileError {
        ProfileError(
            code: .invalidArgument,
            message:
                "profile name '\(name)': it is 1 to 64 letters, digits, '_', '.' and '-', begins with a letter or digit, "
                + "and does not end in '.promoted'"
        )
    }

    static func invalidCall(_ text: String, _ reason: String) -> ProfileError {
        ProfileError(code: .invalidArgument, message: "call '\(text)': \(reason)")
    }

    static func malformed(_ reason: String) -> ProfileError {
        ProfileError(code: .invalidArgument, message: "profile: \(reason)")
    }

    static func newer(_ version: Int) -> ProfileError {
        ProfileError(
            code: .unsupported,
            message:
                "profile: it has version \(version), and this program reads version \(WorkloadProfile.version): take a newer one"
        )
    }
}
