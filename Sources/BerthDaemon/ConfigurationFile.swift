import Kernel
import TOMLKit

/// The configuration file: TOML with a fixed set of keys.
///
/// Every error names the file, the line where it can be known, the key, and what would be right.
package struct ConfigurationFile {
    /// What the file says; nil for what it does not.
    package struct Values: Equatable {
        package var root: String?
        package var state: String?
        package var socket: String?
        package var socketGroup: UInt32?
        package var logLevel: String?
        package var defaultBackend: String?
        package var initPath: String?
        package var stopTimeout: Int?
        package var restartMaxDelay: Int?
        package var userns: String?
        package var usernsPool: [String]?
        package var cgroupManager: String?
        package var shimDeath: String?
        /// Programs by the name of the backend.
        package var backends: [String: String] = [:]
        /// What a backend is told, by its name; one that is not in `backends` is made of ours.
        package var backendOptions: [String: [String: String]] = [:]
        package var logOptions: [String: String] = [:]

        package init() {}
    }

    private enum Kind: String {
        case string = "a string"
        case number = "a whole number"
        case strings = "a table of strings"
        case backends = "a table of paths and tables"
        case list = "a list of strings"
    }

    private static let keys: [String: Kind] = [
        "root": .string, "state": .string, "socket": .string, "socket-group": .number, "log-level": .string,
        "default-backend": .string, "init": .string, "stop-timeout": .number, "backends": .backends,
        "log-options": .strings, "userns": .string, "userns-pool": .list, "cgroup-manager": .string,
        "shim-death": .string, "restart-max-delay-ms": .number,
    ]

    private static let limit = 1 << 20

    private let path: String
    private let lines: [Substring]

    /// Reads the file at `path`.
    package static func read(_ path: String) throws -> Values {
        try parse(try File.readText(path, limit: limit), path: path)
    }

    /// Reads `text` as the content of `path`.
    package static func parse(_ text: String, path: String) throws -> Values {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let file = ConfigurationFile(path: path, lines: lines)
        let table: TOMLTable
        do {
            table = try TOMLTable(string: text)
        } catch let error as TOMLParseError {
            throw DaemonError.file(path, line: error.source.begin.line, "\(error.description)")
        }
        return try file.values(table)
    }

    private func values(_ table: TOMLTable) throws -> Values {
        var values = Values()
        for key in table.keys.sorted() {
            guard let kind = Self.keys[key] else { throw unknown(key) }
            guard let value = table[key] else { continue }
            switch kind {
            case .string: try set(key, string(value, key), in: &values)
            case .number: try set(key, number(value, key), in: &values)
            case .backends: try setBackends(value, key, in: &values)
            case .strings: try set(key, strings(value, key), in: &values)
            case .list: values.usernsPool = try list(value, key)
            }
        }
        return values
    }

    private func set(_ key: String, _ text: String, in values: inout Values) throws {
        switch key {
        case "root": values.root = text
        case "state": values.state = text
        case "socket": values.socket = text
        case "log-level": values.logLevel = text
        case "default-backend": values.defaultBackend = text
        case "userns": values.userns = text
        case "cgroup-manager": values.cgroupManager = text
        case "shim-death": values.shimDeath = text
        default: values.initPath = text
        }
    }

    private func set(_ key: String, _ number: Int, in values: inout Values) throws {
        switch key {
        case "socket-group":
            guard let group = UInt32(exactly: number) else { throw error(key, "the number of a group, not \(number)") }
            values.socketGroup = group
        case "restart-max-delay-ms":
            guard (100...86_400_000).contains(number) else {
                throw error(key, "from 100 to 86400000 milliseconds, not \(number)")
            }
            values.restartMaxDelay = number
        default:
            values.stopTimeout = number
        }
    }

    private func set(_ key: String, _ table: [String: String], in values: inout Values) throws {
        values.logOptions = table
    }

    /// A backend is the path of its program, or a table of `program` and its options.
    private func setBackends(_ value: any TOMLValueConvertible, _ key: String, in values: inout Values) throws {
        guard let table = value.table else { throw wrong(key, .backends, value) }
        for name in table.keys {
            guard let item = table[name] else { continue }
            guard item.table != nil else {
                values.backends[name] = try string(item, "\(key).\(name)")
                continue
            }
            var options = try strings(item, "\(key).\(name)")
            values.backends[name] = options.removeValue(forKey: "program")
            values.backendOptions[name] = options
        }
    }

    private func string(_ value: any TOMLValueConvertible, _ key: String) throws -> String {
        guard let text = value.string else { throw wrong(key, .string, value) }
        return text
    }

    private func number(_ value: any TOMLValueConvertible, _ key: String) throws -> Int {
        guard value.type == .int, let number = value.int else { throw wrong(key, .number, value) }
        return number
    }

    private func strings(_ value: any TOMLValueConvertible, _ key: String) throws -> [String: String] {
        guard let table = value.table else { throw wrong(key, .strings, value) }
        var result: [String: String] = [:]
        for name in table.keys {
            guard let item = table[name] else { continue }
            guard let text = item.string else { throw wrong("\(key).\(name)", .string, item) }
            result[name] = text
        }
        return result
    }

    private func list(_ value: any TOMLValueConvertible, _ key: String) throws -> [String] {
        guard let array = value.array else { throw wrong(key, .list, value) }
        return try array.map { item in
            guard let text = item.string else { throw wrong(key, .list, value) }
            return text
        }
    }

    private func wrong(_ key: String, _ kind: Kind, _ value: any TOMLValueConvertible) -> DaemonError {
        error(key, "expected \(kind.rawValue), found \(value.debugDescription)")
    }

    private func unknown(_ key: String) -> DaemonError {
        let near = Self.keys.keys.sorted().filter { EditDistance.between($0, key) <= 3 }
            .min { EditDistance.between($0, key) < EditDistance.between($1, key) }
        let known =
            near.map { "did you mean '\($0)'?" } ?? "known keys: " + Self.keys.keys.sorted().joined(separator: ", ")
        return DaemonError.file(path, line: line(of: key), "unknown key '\(key)'; \(known)")
    }

    private func error(_ key: String, _ problem: String) -> DaemonError {
        DaemonError.file(path, line: line(of: key), "key '\(key)': \(problem)")
    }

    /// The first line that sets `key` or opens its table.
    private func line(of key: String) -> Int? {
        let name = key.split(separator: ".").last.map(String.init) ?? key
        let index = lines.firstIndex { line in
            let text = line.drop { " \t[\"'".contains($0) }
            guard text.hasPrefix(name) else { return false }
            return text.dropFirst(name.count).first.map { " \t=].\"'".contains($0) } ?? false
        }
        return index.map { $0 + 1 }
    }
}

/// How far two words are apart.
enum EditDistance {
    /// The least number of insertions, deletions and replacements that make one word the other.
    static func between(_ left: String, _ right: String) -> Int {
        let right = Array(right)
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (a == b ? 0 : 1))
                diagonal = above
            }
        }
        return row[right.count]
    }
}
