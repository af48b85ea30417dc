/// The simple half of Docker's format templates: text with `{{.Field.Name}}`, `{{json .Field}}` and a few more in it.
///
/// Understood are field paths, `json`, `index`, `len`, `upper`, `lower`, `println` and string literals. What is not understood is an error
/// that names it: output that looks right and is not would be worse.
public struct Template: Sendable {
    private enum Function: String {
        case json, index, len, upper, lower, println
    }

    private enum Term: Sendable {
        case path([String])
        case literal(String)
    }

    private enum Part: Sendable {
        case text(String)
        case action(Function?, [Term])
    }

    /// A template that is not understood.
    public struct Failure: Error, Sendable, Equatable, CustomStringConvertible {
        /// What is wrong.
        public let description: String
    }

    private var parts: [Part] = []

    /// The template in `text`; `\t` and `\n` are written as two characters.
    public init(_ text: String) throws(Failure) {
        var rest = text.replacingAll("\\t", "\t").replacingAll("\\n", "\n")[...]
        while let open = rest.firstIndex(of: "{") {
            guard rest[open...].hasPrefix("{{") else {
                parts.append(.text(String(rest[...open])))
                rest = rest[rest.index(after: open)...]
                continue
            }
            if open > rest.startIndex { parts.append(.text(String(rest[..<open]))) }
            let body = rest[open...].dropFirst(2)
            guard let close = body.range(ofText: "}}") else {
                throw Failure(description: "'{{' without '}}' in the template")
            }
            parts.append(try Self.action(String(body[..<close.lowerBound])))
            rest = body[close.upperBound...]
        }
        if !rest.isEmpty { parts.append(.text(String(rest))) }
    }

    private static func action(_ text: String) throws(Failure) -> Part {
        let words = split(text)
        guard let first = words.first else { throw Failure(description: "'{{}}' in the template is empty") }
        func term(_ word: String) throws(Failure) -> Term {
            if word.hasPrefix(".") {
                return .path(word.split(separator: ".").map(String.init))
            }
            if word.count >= 2, word.hasPrefix("\""), word.hasSuffix("\"") {
                return .literal(String(word.dropFirst().dropLast()))
            }
            if Int(word) != nil { return .literal(word) }
            throw Failure(
                description: "'{{\(text)}}' is not understood: fields, json, index, len, upper, lower and println are"
            )
        }
        if let function = Function(rawValue: first) {
            var terms: [Term] = []
            for word in words.dropFirst() { terms.append(try term(word)) }
            guard !terms.isEmpty else { throw Failure(description: "'{{\(text)}}' lacks what to apply it to") }
            return .action(function, terms)
        }
        guard words.count == 1 else {
            throw Failure(
                description: "'{{\(text)}}' is not understood: fields, json, index, len, upper, lower and println are"
            )
        }
        return .action(nil, [try term(first)])
    }

    private static func split(_ text: String) -> [String] {
        var words: [String] = []
        var word = ""
        var isQuoted = false
        for character in text {
            if character == "\"" { isQuoted.toggle() }
            if character == " ", !isQuoted {
                if !word.isEmpty { words.append(word) }
                word = ""
            } else {
                word.append(character)
            }
        }
        return word.isEmpty ? words : words + [word]
    }

    /// The names of the fields that stand alone, for the head of a table.
    public var fields: [String] {
        parts.compactMap {
            guard case .action(_, let terms) = $0, case .path(let path)? = terms.first else { return nil }
            return path.last
        }
    }

    /// The text for one document.
    ///
    /// - Throws: ``Failure`` that names a field which the document does not have.
    public func render(_ document: JSONValue) throws(Failure) -> String {
        var out = ""
        for part in parts {
            switch part {
            case .text(let text): out += text
            case .action(let function, let terms): out += try Self.apply(function, terms, document)
            }
        }
        return out
    }

    private static func apply(_ function: Function?, _ terms: [Term], _ document: JSONValue) throws(Failure) -> String {
        let value = try value(of: terms[0], in: document)
        switch function {
        case nil: return plain(value)
        case .json: return value.text
        case .upper: return plain(value).uppercased()
        case .lower: return plain(value).lowercased()
        case .println: return plain(value) + "\n"
        case .len:
            switch value {
            case .array(let items): return String(items.count)
            case .object(let members): return String(members.count)
            case .string(let text): return String(text.utf8.count)
            default: return "0"
            }
        case .index:
            var found = value
            for term in terms.dropFirst() {
                let key = plain(try self.value(of: term, in: document))
                if case .array(let items) = found, let place = Int(key), items.indices.contains(place) {
                    found = items[place]
                } else {
                    found = found[key] ?? .string("")
                }
            }
            return plain(found)
        }
    }

    private static func value(of term: Term, in document: JSONValue) throws(Failure) -> JSONValue {
        switch term {
        case .literal(let text): return .string(text)
        case .path(let path):
            var found = document
            for name in path {
                guard case .object(let members) = found else {
                    throw Failure(
                        description: "the template asks for .\(path.joined(separator: ".")), which is not there"
                    )
                }
                // A field that is left out because it is empty reads as empty; a misspelt first one is a mistake.
                guard let member = members[name] else {
                    if name == path.first {
                        throw Failure(description: "the template asks for .\(name), which is not there")
                    }
                    return .string("<no value>")
                }
                found = member
            }
            return found
        }
    }

    /// A value as a template prints it.
    private static func plain(_ value: JSONValue) -> String {
        switch value {
        case .null: "<nil>"
        case .bool(let value): String(value)
        case .integer(let value): String(value)
        case .number(let value): String(value)
        case .string(let value): value
        case .array(let items): "[" + items.map(plain).joined(separator: " ") + "]"
        case .object(let members):
            "map[" + members.sorted { $0.key < $1.key }.map { "\($0.key):\(plain($0.value))" }.joined(separator: " ")
                + "]"
        }
    }
}

extension StringProtocol {
    fileprivate func range(ofText text: String) -> Range<Index>? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start..<index(start, offsetBy: text.count) }
            start = index(after: start)
        }
        return nil
    }

    fileprivate func replacingAll(_ text: String, _ other: String) -> String {
        var out = ""
        var rest = self[...]
        while let found = rest.range(ofText: text) {
            out += rest[..<found.lowerBound] + other
            rest = rest[found.upperBound...]
        }
        return out + rest
    }
}
