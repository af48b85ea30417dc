/// Parses JSON text.
///
/// Nesting is bounded, so that a hostile document cannot exhaust the stack.
struct JSONParser {
    private let bytes: [UInt8]
    private var position = 0
    private var depth = 0

    private static let deepest = 64

    static func parse(_ bytes: [UInt8]) throws(DocumentError) -> JSONValue {
        var parser = JSONParser(bytes: bytes)
        let value = try parser.value()
        guard parser.nextSignificant() == nil else { throw .malformed("text after the value", at: parser.position) }
        return value
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    /// Skips blanks and looks at the next byte.
    private mutating func nextSignificant() -> UInt8? {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 else { return byte }
            position += 1
        }
        return nil
    }

    private mutating func value() throws(DocumentError) -> JSONValue {
        switch nextSignificant() {
        case 0x7b: return try nested { (parser) throws(DocumentError) in try parser.object() }
        case 0x5b: return try nested { (parser) throws(DocumentError) in try parser.array() }
        case 0x22: return .string(try string())
        case 0x74: return try word("true", .bool(true))
        case 0x66: return try word("false", .bool(false))
        case 0x6e: return try word("null", .null)
        case 0x2d?: return try number()
        case let digit? where (0x30...0x39).contains(digit): return try number()
        default: throw .malformed("no value", at: position)
        }
    }

    private mutating func nested(
        _ body: (inout JSONParser) throws(DocumentError) -> JSONValue
    ) throws(DocumentError) -> JSONValue {
        depth += 1
        guard depth <= Self.deepest else { throw .malformed("nested too deeply", at: position) }
        position += 1
        let value = try body(&self)
        depth -= 1
        return value
    }

    private mutating func object() throws(DocumentError) -> JSONValue {
        var members: [(key: String, value: JSONValue)] = []
        var keys = Set<String>()
        if nextSignificant() == 0x7d {
            position += 1
            return .object(members)
        }
        while true {
            guard nextSignificant() == 0x22 else { throw .malformed("no member name", at: position) }
            let key = try string()
            guard nextSignificant() == 0x3a else { throw .malformed("no colon", at: position) }
            position += 1
            // Readers differ in which of two they take: what one of them has checked the other would not do.
            guard keys.insert(key).inserted else { throw .repeated(key, at: position) }
            do throws(DocumentError) { members.append((key, try value())) } catch { throw error.leaving(key) }
            if try endOfList(0x7d) { return .object(members) }
        }
    }

    private mutating func array() throws(DocumentError) -> JSONValue {
        var elements: [JSONValue] = []
        if nextSignificant() == 0x5d {
            position += 1
            return .array(elements)
        }
        while true {
            do throws(DocumentError) { elements.append(try value()) } catch {
                throw error.leaving("[\(elements.count)]")
            }
            if try endOfList(0x5d) { return .array(elements) }
        }
    }

    private mutating func endOfList(_ end: UInt8) throws(DocumentError) -> Bool {
        let next = nextSignificant()
        guard next == end || next == 0x2c else { throw .malformed("no comma", at: position) }
        position += 1
        return next == end
    }

    private mutating func word(_ word: StaticString, _ value: JSONValue) throws(DocumentError) -> JSONValue {
        let text = Array(word.description.utf8)
        guard position + text.count <= bytes.count, bytes[position..<position + text.count].elementsEqual(text) else {
            throw .malformed("no value", at: position)
        }
        position += text.count
        return value
    }

    private mutating func number() throws(DocumentError) -> JSONValue {
        let start = position
        let negative = bytes[position] == 0x2d
        if negative { position += 1 }
        var (magnitude, fits) = (UInt64(0), true)
        let first = position
        while position < bytes.count, (0x30...0x39).contains(bytes[position]) {
            let (tens, overflowed) = magnitude.multipliedReportingOverflow(by: 10)
            let (sum, carried) = tens.addingReportingOverflow(UInt64(bytes[position] - 0x30))
            fits = fits && !overflowed && !carried
            magnitude = sum
            position += 1
        }
        guard position > first, bytes[first] != 0x30 || position == first + 1 else {
            throw .malformed("bad number", at: start)
        }
        if position < bytes.count, [0x2e, 0x45, 0x65].contains(bytes[position]) {
            // A fraction or an exponent: only its end matters.
            while position < bytes.count, Self.isNumberByte(bytes[position]) { position += 1 }
            return .otherNumber
        }
        if negative, magnitude > UInt64(1) << 63 { fits = false }
        return fits ? .integer(negative: negative, magnitude: magnitude) : .otherNumber
    }

    private static func isNumberByte(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || [0x2b, 0x2d, 0x2e, 0x45, 0x65].contains(byte)
    }

    private mutating func string() throws(DocumentError) -> String {
        position += 1
        let start = position
        while position < bytes.count {
            switch bytes[position] {
            case 0x22:
                let text = bytes[start..<position]
                position += 1
                return try Self.text(text, at: start)
            case 0x5c:
                return try escapedString(from: start)
            case 0..<0x20: throw .malformed("control character in a string", at: position)
            default: position += 1
            }
        }
        throw .malformed("string without end", at: start)
    }

    /// The rest of a string from its first escape on.
    private mutating func escapedString(from start: Int) throws(DocumentError) -> String {
        var text = Array(bytes[start..<position])
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case 0x22: return try Self.text(text[...], at: start)
            case 0x5c: try escape(into: &text)
            case 0..<0x20: throw .malformed("control character in a string", at: position - 1)
            default: text.append(byte)
            }
        }
        throw .malformed("string without end", at: start)
    }

    private mutating func escape(into text: inout [UInt8]) throws(DocumentError) {
        guard position < bytes.count else { throw .malformed("string without end", at: position) }
        let byte = bytes[position]
        position += 1
        switch byte {
        case 0x22, 0x5c, 0x2f: text.append(byte)
        case 0x62: text.append(0x08)
        case 0x66: text.append(0x0c)
        case 0x6e: text.append(0x0a)
        case 0x72: text.append(0x0d)
        case 0x74: text.append(0x09)
        case 0x75: text += Array(String(try unicodeEscape()).utf8)
        default: throw .malformed("unknown escape", at: position - 1)
        }
    }

    private mutating func unicodeEscape() throws(DocumentError) -> Unicode.Scalar {
        let start = position
        let high = try fourDigits()
        if let scalar = Unicode.Scalar(high) { return scalar }
        guard (0xd800..<0xdc00).contains(high), position + 1 < bytes.count, bytes[position] == 0x5c,
            bytes[position + 1] == 0x75
        else { throw .malformed("half of a surrogate pair", at: start) }
        position += 2
        let low = try fourDigits()
        guard (0xdc00..<0xe000).contains(low),
            let scalar = Unicode.Scalar(0x10000 + (high - 0xd800) << 10 + (low - 0xdc00))
        else { throw .malformed("half of a surrogate pair", at: start) }
        return scalar
    }

    private mutating func fourDigits() throws(DocumentError) -> UInt32 {
        guard position + 4 <= bytes.count else { throw .malformed("bad escape", at: position) }
        var value: UInt32 = 0
        for byte in bytes[position..<position + 4] {
            switch byte {
            case 0x30...0x39: value = value << 4 | UInt32(byte - 0x30)
            case 0x41...0x46: value = value << 4 | UInt32(byte - 0x37)
            case 0x61...0x66: value = value << 4 | UInt32(byte - 0x57)
            default: throw .malformed("bad escape", at: position)
            }
        }
        position += 4
        return value
    }

    private static func text(_ bytes: ArraySlice<UInt8>, at offset: Int) throws(DocumentError) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .malformed("not UTF-8", at: offset) }
        return text
    }
}
