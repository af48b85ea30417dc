/// What `isolation-probe` said: lines of a key, a tab and a value; some keys come more than once.
struct IsolationReport {
    /// One line of `/proc/self/mountinfo`.
    struct Mount {
        let place: String
        let options: Set<Substring>
        let propagation: [String]
        let type: String
        let superOptions: Set<Substring>

        init?(_ line: String) {
            let words = line.split(separator: " ")
            guard let dash = words.firstIndex(of: "-"), dash >= 6, words.count >= dash + 4 else { return nil }
            place = String(words[4])
            options = Set(words[5].split(separator: ","))
            propagation = words[6..<dash].map(String.init)
            type = String(words[dash + 1])
            superOptions = Set(words[dash + 3].split(separator: ","))
        }

        /// `shared`, `master` and so on, without the group's number.
        var propagationKinds: [String] { propagation.map { String($0.prefix { $0 != ":" }) } }
    }

    let text: String
    let status: UInt32
    private let lines: [(key: String, value: String)]

    init(_ text: String, status: UInt32) {
        self.text = text
        self.status = status
        lines = text.split(whereSeparator: \.isNewline).compactMap { line in
            guard let tab = line.firstIndex(of: "\t") else { return nil }
            return (String(line[..<tab]), Self.unescaped(line[line.index(after: tab)...]))
        }
    }

    private static func unescaped(_ text: Substring) -> String {
        String(text).replacing("\\n", with: "\n").replacing("\\\\", with: "\\")
    }

    /// The first value of a key.
    subscript(key: String) -> String? { lines.first { $0.key == key }?.value }

    /// All values of a key.
    func all(_ key: String) -> [String] { lines.filter { $0.key == key }.map(\.value) }

    /// The rests of all keys with a prefix, and their values.
    func members(_ prefix: String) -> [String: String] {
        Dictionary(
            lines.filter { $0.key.hasPrefix(prefix) }.map { (String($0.key.dropFirst(prefix.count)), $0.value) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    /// The mounts, in the kernel's order.
    var mounts: [Mount] { all("mount").compactMap { Mount($0) } }

    /// The topmost mount at a place.
    func mount(_ place: String) throws -> Mount {
        guard let mount = mounts.last(where: { $0.place == place }) else {
            throw ConformanceFailure("nothing is mounted at \(place)")
        }
        return mount
    }

    /// The values of `prefix.0`, `prefix.1`...
    func series(_ prefix: String) -> [String] {
        let members = members(prefix + ".")
        return (0..<members.count).compactMap { members[String($0)] }
    }

    /// Fails the check unless a key has a value.
    func expect(_ key: String, _ value: String) throws {
        guard let seen = self[key] else {
            throw ConformanceFailure("no \(key) in what the probe said: \(text.suffix(300))")
        }
        try requireEqual(seen, value, key)
    }

    /// Fails the check unless a command succeeded.
    func expectSuccess(_ command: String) throws {
        let answer = self[command] ?? "no answer"
        try require(!answer.hasPrefix("error") && answer != "no answer", "\(command): \(answer)")
    }

    /// Fails the check unless a command was refused by the kernel, with one of these errors.
    func expectError(_ command: String, _ names: String...) throws {
        let answer = self[command] ?? "no answer"
        try require(names.contains { answer == "error \($0)" }, "\(command): \(answer), not \(names)")
    }
}
