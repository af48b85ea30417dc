/// An option that a command knows.
struct Option: Sendable {
    /// Name after two dashes.
    let name: String
    /// Letter after one dash.
    let letter: Character?
    /// What its value is, for the help; nil for a switch.
    let value: String?
    /// What it does.
    let help: String

    init(_ name: String, _ letter: Character? = nil, _ value: String? = nil, _ help: String) {
        self.name = name
        self.letter = letter
        self.value = value
        self.help = help
    }
}

/// The words of a command line, sorted into options and operands.
///
/// Options may be written `--name VALUE`, `--name=VALUE`, `-n VALUE`, `-nVALUE` and, as some callers do, `-name VALUE`; switches also
/// `--name=false`. `--` ends the options.
struct Arguments: Sendable, Equatable {
    private var values: [String: [String]] = [:]
    /// What is no option, in order.
    private(set) var operands: [String] = []

    /// Sorts words.
    ///
    /// - Parameters:
    ///   - words: What to sort.
    ///   - options: Those that are known.
    ///   - limit: After so many operands all further words are operands; nil for never.
    /// - Throws: An option that is unknown, lacks its value, or has one that it cannot have.
    init(_ words: some Sequence<String>, _ options: [Option], limit: Int? = nil) throws(RuntimeError) {
        var rest = Array(words)[...]
        while let word = rest.popFirst() {
            if word == "--" { break }
            guard word.hasPrefix("-"), word != "-" else {
                operands.append(word)
                if operands.count == limit { break }
                continue
            }
            try read(word, &rest, options)
        }
        operands += rest
    }

    private mutating func read(
        _ word: String,
        _ rest: inout ArraySlice<String>,
        _ options: [Option]
    ) throws(RuntimeError) {
        let text = word.drop { $0 == "-" }
        let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        let name = parts.first ?? ""
        var attached = parts.count > 1 ? parts[1] : nil
        var option = options.first { $0.name == name }
        if option == nil, !word.hasPrefix("--"), let letter = text.first {
            option = options.first { $0.letter == letter }
            if option?.value != nil, text.count > 1, attached == nil || name.count > 1 {
                attached = String(text.dropFirst(name.count == 1 ? 2 : 1))
            } else if option?.value == nil, text.count > 1 {
                option = nil
            }
        }
        guard let option else { throw .usage("unknown option '\(word)'") }
        if option.value == nil {
            switch attached ?? "true" {
            case "true", "1": values[option.name] = ["true"]
            case "false", "0": values[option.name] = nil
            case let other: throw .usage("--\(option.name) is a switch and cannot be '\(other)'")
            }
            return
        }
        guard let value = attached ?? rest.popFirst() else { throw .usage("--\(option.name) needs a value") }
        values[option.name, default: []].append(value)
    }

    /// Whether a switch is on, or an option was given.
    func has(_ name: String) -> Bool { values[name] != nil }

    /// All values of an option, in order.
    func all(_ name: String) -> [String] { values[name] ?? [] }

    /// The last value of an option; an empty one counts as absent.
    func last(_ name: String) -> String? { values[name]?.last.flatMap { $0.isEmpty ? nil : $0 } }

    /// The last value of an option that is a whole number.
    func number<Value: FixedWidthInteger>(
        _ name: String,
        _ type: Value.Type = Value.self
    ) throws(RuntimeError) -> Value? {
        guard let text = last(name) else { return nil }
        guard let value = Value(text) else { throw .usage("--\(name): '\(text)' is not a number in its range") }
        return value
    }
}
