internal import FoundationEssentials
internal import Seccomp

// The document on disk. Classes stand in it by their names, so that people can read and compare it.

extension WorkloadProfile {
    /// Largest document that is read.
    package static let maximumSize = 8 << 20

    /// Reads a document and checks everything that it says.
    ///
    /// - Throws: `invalidArgument` naming what is wrong, `unsupported` for a newer version.
    package init(document bytes: [UInt8]) throws(ProfileError) {
        guard bytes.count <= Self.maximumSize else { throw .malformed("more than \(Self.maximumSize) bytes") }
        let version: Int
        do { version = try JSONDecoder().decode(Version.self, from: Data(bytes)).version } catch {
            throw .malformed("not a profile: \(error)")
        }
        guard version <= Self.version else { throw .newer(version) }
        guard version == Self.version else { throw .malformed("there is no version \(version)") }
        let document: Document
        do { document = try JSONDecoder().decode(Document.self, from: Data(bytes)) } catch {
            throw .malformed("not a profile: \(error)")
        }
        try self.init(document)
    }

    private init(_ document: Document) throws(ProfileError) {
        try self.init(name: document.name)
        guard document.architecture == Self.nativeArchitecture else {
            throw .malformed("it is for \(document.architecture), and this machine is \(Self.nativeArchitecture)")
        }
        state = document.state
        for (name, entry) in document.calls {
            guard SyscallNames.number(of: name) != nil else { throw .malformed("there is no system call '\(name)'") }
            calls[name] = try entry.call(of: name)
        }
        for (name, entry) in document.refused ?? [:] { refused[name] = try entry.call(of: name) }
        for (name, entry) in document.dangerous ?? [:] { dangerous[name] = try entry.call(of: name) }
        for text in document.allowed ?? [] { allowed.append(try CallSelector(parsing: text)) }
        capabilities = document.capabilities ?? []
        runs = document.runs ?? []
        guard document.merged ?? 0 >= 0 else { throw .malformed("'merged' is negative") }
        merged = document.merged ?? 0
        database = document.database
        promoted = document.promoted
        identity = document.identity
    }

    /// The document.
    package func document() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(Document(self))) + [0x0a]
    }
}

private struct Version: Decodable {
    var version: Int
}

private struct Document: Codable {
    struct Entry: Codable {
        var count: UInt64
        var runs: [Int]?
        var classes: [String: WorkloadProfile.Use]?
        var whole: Bool?
        var answer: String?
    }

    var version: Int
    var name: String
    var state: WorkloadProfile.State
    var architecture: String
    var calls: [String: Entry]
    var refused: [String: Entry]?
    var dangerous: [String: Entry]?
    var allowed: [String]?
    var capabilities: [String]?
    var runs: [WorkloadProfile.Run]?
    var merged: Int64?
    var database: String?
    var promoted: String?
    var identity: String?

    init(_ profile: WorkloadProfile) {
        version = WorkloadProfile.version
        name = profile.name
        state = profile.state
        architecture = profile.architecture
        func entries(_ calls: [String: WorkloadProfile.Call]) -> [String: Entry] {
            var result: [String: Entry] = [:]
            for (name, call) in calls { result[name] = Entry(name, call) }
            return result
        }
        calls = entries(profile.calls)
        refused = entries(profile.refused)
        dangerous = entries(profile.dangerous)
        allowed = profile.allowed.map(\.description)
        capabilities = profile.capabilities
        runs = profile.runs
        merged = profile.merged
        database = profile.database
        promoted = profile.promoted
        identity = profile.identity
    }
}

extension Document.Entry {
    /// The call's name without the convention in front.
    private static func kind(_ label: String) -> ArgumentClass? {
        ArgumentClass(call: label.split(separator: ":").last.map(String.init) ?? label)
    }

    init(_ name: String, _ call: WorkloadProfile.Call) {
        count = call.use.count
        runs = call.use.runs.isEmpty ? nil : call.use.runs
        whole = call.isWhole ? true : nil
        answer = call.answer
        if let kind = Self.kind(name), !call.classes.isEmpty {
            var classes: [String: WorkloadProfile.Use] = [:]
            for (value, use) in call.classes { classes[kind.name(of: value)] = use }
            self.classes = classes
        }
    }

    func call(of name: String) throws(ProfileError) -> WorkloadProfile.Call {
        var call = WorkloadProfile.Call()
        call.use = .init(count: count, runs: runs ?? [])
        call.isWhole = whole ?? false
        call.answer = answer
        guard let classes else { return call }
        guard let kind = Self.kind(name) else { throw .malformed("calls of '\(name)' have no classes") }
        for (text, use) in classes {
            guard let value = kind.value(named: text) else {
                throw .malformed("'\(text)' is no class of '\(name)'; classes are such as \(kind.examples)")
            }
            call.classes[value] = use
        }
        return call
    }
}
