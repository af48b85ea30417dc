import Kernel

/// The whole of one call.
enum RuntimeCommand {
    static let version = BuildVersion.text

    /// Runs a command line.
    ///
    /// - Parameter words: The program's name first.
    /// - Returns: The exit status: 0, 1 for an error, or that of a process that was waited for.
    static func run(_ words: [String]) -> Int32 {
        var log = RuntimeLog()
        do throws(RuntimeError) {
            let split = Self.split(words.dropFirst())
            let global = try Arguments(split.global, Verb.global)
            if global.has("version") { return try print(versionText) }
            log = try RuntimeLog(global)
            guard let name = split.verb else {
                if global.has("help") { return try print(Verb.overview) }
                throw .usage("a command is missing; --help lists them")
            }
            guard let verb = Verb.all.first(where: { $0.name == name }) else {
                throw .usage("unknown command '\(name)'; --help lists them")
            }
            if global.has("help") { return try print(verb.text) }
            let arguments = try Arguments(split.rest, verb.options, limit: verb.limit)
            if arguments.has("help") { return try print(verb.text) }
            log.debug("\(verb.name) \(split.rest.joined(separator: " "))")
            return try verb.run(Runtime(global, log), arguments)
        } catch {
            log.error(error)
            return 1
        }
    }

    /// Finds the command among the words: the first that is neither an option nor an option's value.
    private static func split(
        _ words: ArraySlice<String>
    ) -> (global: ArraySlice<String>, verb: String?, rest: ArraySlice<String>) {
        var index = words.startIndex
        while index < words.endIndex {
            let word = words[index]
            guard word.hasPrefix("-") else { return (words[..<index], word, words[(index + 1)...]) }
            let name = word.drop { $0 == "-" }
            let takesNext = Verb.global.contains { $0.value != nil && $0.name == name }
            index = min(index + (takesNext ? 2 : 1), words.endIndex)
        }
        return (words, nil, [])
    }

    private static var versionText: String {
        "berth-runtime version \(version)\nspec: \(Runtime.specificationVersion)\n"
    }
}

/// Writes to standard output.
///
/// - Returns: 0, the exit status of a command that had only this to do.
@discardableResult
func print(_ text: String) throws(RuntimeError) -> Int32 {
    try kernel { () throws(KernelError) in try BorrowedDescriptor.standardOutput.writeAll(text) }
    return 0
}

/// The three descriptors that everything expects to be there.
enum StandardStreams {
    /// Opens `/dev/null` where one is closed, so that no file of ours takes its number.
    static func fill() {
        for number: RawDescriptor in 0...2 where (try? BorrowedDescriptor(number).isCloseOnExec()) == nil {
            // The lowest free number is this one. Without /dev/null there is nothing better to be had.
            guard let null = try? File.open("/dev/null", .readWrite) else { return }
            let placed = null.release()
            try? BorrowedDescriptor(placed).setCloseOnExec(false)
        }
    }
}
