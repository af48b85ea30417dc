import Kernel

/// Descriptors by the names of docs/shim-protocol.md, section 5.
struct NamedDescriptors {
    private(set) var entries: [(name: String, descriptor: SharedDescriptor)] = []

    /// Adds one; nil adds nothing.
    mutating func add(_ name: String, _ descriptor: SharedDescriptor?) {
        if let descriptor {
            entries.append((name, descriptor))
        }
    }

    /// The one with a name.
    subscript(name: String) -> SharedDescriptor? {
        entries.first { $0.name == name }?.descriptor
    }

    /// Those whose names begin with a text, by the rest of their names.
    func below(_ prefix: String) -> [String: SharedDescriptor] {
        var found: [String: SharedDescriptor] = [:]
        for entry in entries where entry.name.hasPrefix(prefix) {
            found[String(entry.name.dropFirst(prefix.count))] = entry.descriptor
        }
        return found
    }
}

/// The names.
enum DescriptorName {
    static let listener = "listener"
    static let descriptorListener = "fd-listener"
    static let log = "log"
    static let backend = "backend/"
    // Only in an upgrade.
    static let lock = "lock"
    static let token = "token"
    static let answer = "answer"
    static let oldProgram = "program"

    static func process(_ key: ProcessKey) -> String {
        switch key {
        case .initial: "init/"
        case .exec(let id): "exec/\(id)/"
        }
    }

    static func lingering(_ index: Int) -> String { "lingering/\(index)/" }

    static func client(_ number: UInt64) -> String { "client/\(number)" }
}
