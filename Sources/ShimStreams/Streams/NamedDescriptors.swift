package import Kernel
package import ShimModel

/// Descriptors by the names of docs/shim-protocol.md, section 5.
package struct NamedDescriptors {
    package private(set) var entries: [(name: String, descriptor: SharedDescriptor)] = []

    package init() {}

    /// Adds one; nil adds nothing.
    package mutating func add(_ name: String, _ descriptor: SharedDescriptor?) {
        if let descriptor {
            entries.append((name, descriptor))
        }
    }

    /// The one with a name.
    package subscript(name: String) -> SharedDescriptor? {
        entries.first { $0.name == name }?.descriptor
    }

    /// Those whose names begin with a text, by the rest of their names.
    package func below(_ prefix: String) -> [String: SharedDescriptor] {
        var found: [String: SharedDescriptor] = [:]
        for entry in entries where entry.name.hasPrefix(prefix) {
            found[String(entry.name.dropFirst(prefix.count))] = entry.descriptor
        }
        return found
    }
}

/// The names.
package enum DescriptorName {
    package static let listener = "listener"
    package static let descriptorListener = "fd-listener"
    package static let log = "log"
    package static let backend = "backend/"
    // Only in an upgrade.
    package static let lock = "lock"
    package static let token = "token"
    package static let answer = "answer"
    package static let oldProgram = "program"

    package static func process(_ key: ProcessKey) -> String {
        switch key {
        case .initial: "init/"
        case .exec(let id): "exec/\(id)/"
        }
    }

    package static func lingering(_ index: Int) -> String { "lingering/\(index)/" }

    static func client(_ number: UInt64) -> String { "client/\(number)" }

    /// A file of the log that a client reads because it is behind; only in an upgrade.
    static func behind(_ number: UInt64, _ index: UInt32) -> String { "client/\(number)/log/\(index)" }
}
