internal import Seccomp

/// A call, or one class of its arguments, as an operator names it: `io_uring_setup`, `socket:AF_ALG`.
package struct CallSelector: Sendable, Hashable, CustomStringConvertible {
    /// Name of the call.
    package let name: String
    /// The class; nil for the whole call.
    package let argument: UInt64?

    init(name: String, argument: UInt64?) {
        (self.name, self.argument) = (name, argument)
    }

    /// Reads what an operator has written.
    ///
    /// - Throws: `invalidArgument` for a call that this machine's table does not have, or a class that the call does not have.
    package init(parsing text: String) throws(ProfileError) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        name = parts[0]
        guard SyscallNames.number(of: name) != nil else {
            throw .invalidCall(text, "there is no system call '\(name)' on this machine")
        }
        guard parts.count == 2 else {
            argument = nil
            return
        }
        guard let kind = ArgumentClass(call: name) else {
            throw .invalidCall(text, "calls of '\(name)' have no classes; write '\(name)'")
        }
        guard let value = kind.value(named: parts[1]) else {
            throw .invalidCall(text, "'\(parts[1])' is no class of '\(name)'; classes are such as \(kind.examples)")
        }
        argument = value
    }

    /// What `init(parsing:)` reads.
    package var description: String {
        guard let argument, let kind = ArgumentClass(call: name) else { return name }
        return "\(name):\(kind.name(of: argument))"
    }

    /// Whether a use of a call is meant.
    package func matches(_ call: String, _ argument: UInt64?) -> Bool {
        name == call && (self.argument == nil || self.argument == argument)
    }
}
