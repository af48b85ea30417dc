import ArgumentParser
import Client

/// Options with an empty value, `--name=`.
///
/// The parser takes them for a name without a value, and the next word, whatever it is, for the value.
package enum EmptyValues {
    /// Makes two words of each such option: its name, and an empty one behind it, which the parser takes as its value.
    ///
    /// - Parameter words: The arguments.
    /// - Returns: The same, but for options of berth's own with an empty value; a container's command stays as it is.
    /// - Throws: When the parser's description of the command line cannot be read.
    package static func spelledOut(_ words: [String]) throws -> [String] {
        guard words.contains(where: { name(ofEmpty: $0) != nil || flags[$0] != nil }) else { return words }
        var reader = Reader(command: try JSONValue(parsing: Array(Berth._dumpHelp().utf8))["command"])
        return reader.read(words)
    }

    /// Flags with a value, which the parser does not know, in the form that it does.
    private static let flags = ["--read-only=true": "--read-only", "--read-only=false": "--no-read-only"]

    /// `--name` of `--name=`.
    private static func name(ofEmpty word: String) -> String? {
        guard word.hasPrefix("--"), let sign = word.firstIndex(of: "="), sign == word.index(before: word.endIndex)
        else {
            return nil
        }
        return String(word[..<sign])
    }

    /// Goes through the words as the parser does, as far as they are berth's own.
    private struct Reader {
        /// Description of the command that the words so far have led to.
        var command: JSONValue?
        /// Names of options with a value, of this command and those above it.
        var options: Set<String> = []
        /// Whether the first word that is no option begins what is passed on as it is.
        var passesOn = false

        init(command: JSONValue?) { enter(command) }

        mutating func read(_ words: [String]) -> [String] {
            var result: [String] = []
            var rest = words[...]
            while let word = rest.popFirst() {
                if word == "--" { return result + [word] + rest }
                if let name = EmptyValues.name(ofEmpty: word), options.contains(name) {
                    result += [name, ""]
                    continue
                }
                result.append(EmptyValues.flags[word] ?? word)
                if word.hasPrefix("-"), word != "-" {
                    for _ in 0..<min(values(after: word), rest.count) { result.append(rest.removeFirst()) }
                } else if let next = subcommand(word) {
                    enter(next)
                } else if passesOn {
                    return result + rest
                }
            }
            return result
        }

        /// How many of the words behind an option, or a pack of short ones, are values.
        private func values(after word: String) -> Int {
            if word.contains("=") { return 0 }
            if word.hasPrefix("--") { return options.contains(word) ? 1 : 0 }
            return word.dropFirst().count { options.contains("-\($0)") }
        }

        private func subcommand(_ word: String) -> JSONValue? {
            command?["subcommands"]?.elements.first { subcommand in
                let names = [subcommand["commandName"]] + (subcommand["aliases"]?.elements ?? []).map(Optional.some)
                return names.contains(.string(word))
            }
        }

        private mutating func enter(_ next: JSONValue?) {
            command = next
            for argument in next?["arguments"]?.elements ?? [] {
                if argument["kind"] == .string("positional") {
                    passesOn = passesOn || argument["parsingStrategy"] == .string("allRemainingInput")
                }
                guard argument["kind"] == .string("option") else { continue }
                for name in argument["names"]?.elements ?? [] {
                    guard case .string(let text) = name["name"] else { continue }
                    options.insert((name["kind"] == .string("long") ? "--" : "-") + text)
                }
            }
        }
    }
}

extension JSONValue {
    /// The elements of a list; none of anything else.
    fileprivate var elements: [JSONValue] {
        if case .array(let elements) = self { elements } else { [] }
    }
}
