/// Looks for the keys that leave a session without ending it.
///
/// The keys are held back until it is clear whether they are the sequence; what turns out not to be is passed on in full.
package struct DetachKeys: Equatable {
    private let sequence: [UInt8]
    private var matched = 0

    /// Ctrl-P, Ctrl-Q.
    package static let `default` = DetachKeys(sequence: [16, 17])

    private init(sequence: [UInt8]) {
        self.sequence = sequence
    }

    /// Keys separated by commas: a character, or `ctrl-` with a letter or one of `@[\]^_`.
    package init(parsing text: String) throws(Failure) {
        var keys: [UInt8] = []
        for word in text.split(separator: ",", omittingEmptySubsequences: false) {
            if word.utf8.count == 1, let byte = word.utf8.first {
                keys.append(byte)
            } else if word.lowercased().hasPrefix("ctrl-"), word.utf8.count == 6,
                let byte = word.lowercased().utf8.last.map({ $0 >= 97 ? $0 - 32 : $0 }), (64...95).contains(byte)
            {
                keys.append(byte - 64)
            } else {
                throw Failure("--detach-keys: '\(text)' is not a list of keys, such as ctrl-p,ctrl-q", code: 125)
            }
        }
        sequence = keys
    }

    /// Takes what was typed.
    ///
    /// - Returns: what to pass on, and whether the sequence was among it; what follows the sequence is dropped.
    package mutating func scan(_ bytes: [UInt8]) -> (forward: [UInt8], isDetached: Bool) {
        var forward: [UInt8] = []
        for byte in bytes {
            if byte == sequence[matched] {
                matched += 1
                if matched == sequence.count { return (forward, true) }
                continue
            }
            forward += sequence[..<matched]
            matched = 0
            if byte == sequence[0], sequence.count > 1 {
                matched = 1
            } else {
                forward.append(byte)
            }
        }
        return (forward, false)
    }
}
