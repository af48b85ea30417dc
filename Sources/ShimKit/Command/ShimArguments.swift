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

    /// Parses the arguments after the program's name.
    ///
    /// - Throws: `UsageError`, one line.
    package init(_ arguments: [String]) throws(UsageError) {
        var rest = arguments[...]
        var action: Action?
        self.action = .start
        while let argument = rest.first, argument.hasPrefix("-"), argument != "-", argument != "--" {
            rest.removeFirst()
            let (name, value) = Self.split(argument)
            switch name {
            case "debug": isDebug = value != "false"
            case "sealed": isSealed = true
            case "info": action = .info
            case "v", "version": action = .version
            default: try set(name, value ?? rest.popFirst())
            }
        }
        switch rest.first {
        case nil: break
        case "start": action = action ?? .start
        case "delete": action = action ?? .delete
        case "serve": action = action ?? .serve
        case "daemon": action = action ?? .daemon
        case .some(let word): throw UsageError("unknown command '\(word)'")
        }
        guard let action else {
            throw UsageError("no command: start, delete or serve")
        }
        self.action = action
        guard rest.count <= 1 else {
            throw UsageError("arguments after the command")
        }
        try checkIdentity()
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
        case "publish-binary", "debug-socket": break
        default: throw UsageError("flag provided but not defined: -\(name)")
        }
    }

    private func checkIdentity() throws(UsageError) {
        switch action {
        case .info, .version:
            return
        case .start, .delete, .serve, .daemon:
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
