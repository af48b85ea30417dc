/// A key sequence that ends a client's attachment and leaves the process running.
public struct DetachKeys: Sendable, Equatable {
    /// The bytes a terminal sends for the sequence.
    ///
    /// Empty means that no sequence detaches.
    public let bytes: [UInt8]

    /// Ctrl-P, Ctrl-Q: what Docker's clients document.
    public static let standard = DetachKeys(bytes: [0x10, 0x11])
    /// Nothing detaches.
    public static let none = DetachKeys(bytes: [])

    /// The sequence of these bytes as they come from the terminal.
    package init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Reads a comma separated list of keys; nil when a key is none.
    ///
    /// A key is one character, or `ctrl-` with a letter or one of `@ [ \ ] ^ _`.
    ///
    /// - Parameter text: for example `ctrl-p,ctrl-q` or `a,ctrl-\`. Empty means the standard sequence.
    public init?(_ text: some StringProtocol) {
        guard !text.isEmpty else {
            self = .standard
            return
        }
        var bytes: [UInt8] = []
        for key in text.utf8.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
            guard let byte = Self.byte(Array(key)) else { return nil }
            bytes.append(byte)
        }
        self.bytes = bytes
    }

    private static func byte(_ key: [UInt8]) -> UInt8? {
        if key.count == 1 { return key[0] }
        guard key.count == 6, key.starts(with: "ctrl-".utf8) else { return nil }
        let upper = (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(key[5]) ? key[5] - 32 : key[5]
        // A control character is its letter's code without the two upper bits: '@' is 0, '_' is 31.
        return (UInt8(ascii: "@")...UInt8(ascii: "_")).contains(upper) ? upper & 0x1f : nil
    }
}

/// Finds a detach sequence in input that arrives in pieces.
///
/// The beginning of a possible sequence is held until the next byte decides, so that the process never sees the keys
/// of a detach, and always sees keys that turned out to be none.
public struct DetachMatcher: Sendable {
    private let keys: [UInt8]
    /// How many bytes of the sequence the input ended with.
    package private(set) var matched = 0

    /// A matcher at the beginning of the input.
    public init(_ keys: DetachKeys) {
        self.keys = keys.bytes
    }

    /// A matcher that has seen the first bytes of the sequence already.
    package init(_ keys: DetachKeys, matched: Int) {
        self.keys = keys.bytes
        self.matched = (0..<max(1, keys.bytes.count)).contains(matched) ? matched : 0
    }

    /// Looks at the next piece of input.
    ///
    /// - Parameters:
    ///   - input: the client's bytes.
    ///   - output: receives what the process is to see. Bytes after a complete sequence are dropped.
    /// - Returns: true when the sequence is complete.
    public mutating func feed(_ input: some Sequence<UInt8>, into output: inout [UInt8]) -> Bool {
        guard !keys.isEmpty else {
            output.append(contentsOf: input)
            return false
        }
        for byte in input {
            fallBack(until: byte, into: &output)
            if keys[matched] == byte {
                matched += 1
                if matched == keys.count {
                    matched = 0
                    return true
                }
            } else {
                output.append(byte)
            }
        }
        return false
    }

    /// The input ended: gives out what was held as the beginning of a sequence.
    public mutating func finish(into output: inout [UInt8]) {
        output.append(contentsOf: keys[..<matched])
        matched = 0
    }

    /// Shortens the held beginning to the longest one that `byte` may still continue, and lets the rest go.
    private mutating func fallBack(until byte: UInt8, into output: inout [UInt8]) {
        while matched > 0, keys[matched] != byte {
            let shorter = (0..<matched).last { keys[..<matched].suffix($0).elementsEqual(keys[..<$0]) } ?? 0
            output.append(contentsOf: keys[..<(matched - shorter)])
            matched = shorter
        }
    }
}
