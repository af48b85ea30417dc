import ShimModel

/// A shim's command line: the flags that containerd passes, in the form of Go's `flag` package.
package struct ShimArguments: Sendable, Hashable {
    /// What the process is to do.
    package enum Action: Sendable, Hashable {
        /// containerd: make the socket, start the daemon, print the address.
        case start
        /// containerd: clean up what a shim has left.
        case delete
        /// berthd: serve on descriptors 3 and 4, token in 5.
        case serve
        /// The process that `start` leaves behind: serve on descriptor 3.
        case daemon
        case info
        case version
        /// A running shim: whether this program reads the state in descriptor 3.
        case checkState
    }

    package var action: Action
    package var namespace = ""
    package var id = ""
    package var bundle = ""
    /// containerd's gRPC socket.
    package var address = ""
    package var socket = ""
    package var isDebug = false
    /// Set by the shim itself when it has replaced itself by its sealed program.
    package var isSealed = false
    /// Set by the shim itself when it has replaced itself by another program: the descriptor of its state.
    package var resumed: Int32?
    /// Why a new program has given the container back to this one; empty when none has.
    package var undone = ""
    /// Goes on with the container of a shim that died: names in descriptor 6, the descriptors from 7 on.
    package var adopts = false

    /// Parses the arguments after the program's name.
    ///
    /// Flags may stand before and after the command.
    ///
    /// - Throws: `UsageError`, one line.
    package init(_ arguments: [String]) throws(UsageError) {
        var rest = arguments[...]
        var action: Action?
        self.action = .start
        try parseFlags(&rest, &action)
        let word = rest.popFirst()
        if let word {
            let command = try Self.command(word)
            action = action ?? command
            try parseFlags(&rest, &action)
        }
        guard let action else {
            throw UsageError("no command: start, delete or serve")
        }
        self.action = action
        guard rest.isEmpty else {
            throw UsageError("arguments after the command")
        }
        guard action == .serve || !adopts && resumed == nil else {
            throw UsageError("-adopt and -resume are for the command serve")
        }
        try checkIdentity()
    }

    private mutating func parseFlags(_ rest: inout ArraySlice<String>, _ action: inout Action?) throws(UsageError) {
        while let argument = rest.first, argument.hasPrefix("-"), argument != "-", argument != "--" {
            rest.removeFirst()
            let (name, value) = Self.split(argument)
            switch name {
            case "debug": isDebug = value != "false"
            case "sealed": isSealed = true
            case "adopt": adopts = value != "false"
            case "info": action = .info
            case "v", "version": action = .version
            case "check-state": action = .checkState
            default: try set(name, value ?? rest.popFirst())
            }
        }
    }

    private static func command(_ word: String) throws(UsageError) -> Action {
        switch word {
        case "start": .start
        case "delete": .delete
        case "serve": .serve
        case "daemon": .daemon
        default: throw UsageError("unknown command '\(word)'")
        }
    }

    private mutating func set(_ name: String, _ value: String?) throws(UsageError) {
        guard let value else {
            throw UsageError("flag needs an argument: -\(name)")
        }
        switch name {
        case "namespace": namespace = value
        case "id": id = value
        case "bundle": bundle = value
        case "address": address = value
        case "socket": socket = value
        case "resume":
            guard let number = Int32(value), number > 2 else {
                throw UsageError("-resume '\(value)' is not a descriptor")
            }
            resumed = number
        case "undone": undone = value
        case "publish-binary", "debug-socket": break
        default: throw UsageError("flag provided but not defined: -\(name)")
        }
    }

    private func checkIdentity() throws(UsageError) {
        switch action {
        case .info, .version:
            return
        case .start, .delete, .serve, .daemon, .checkState:
            guard Identifier.isValid(namespace) else {
                throw UsageError("-namespace '\(namespace)' is not a namespace")
            }
            guard Identifier.isValid(id) else {
                throw UsageError("-id '\(id)' is not an id")
            }
        }
    }

    /// Takes `-name`, `--name` and `-name=value` apart.
    private static func split(_ argument: String) -> (name: String, value: String?) {
        let text = argument.drop { $0 == "-" }
        guard let equals = text.firstIndex(of: "=") else {
            return (String(text), nil)
        }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }
}

/// A command line that cannot be used.
package struct UsageError: Error, Sendable, Hashable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}
