/// Builds one JSON object as text.
///
/// The shim writes two small documents, the exit record and the journal; an encoder for all of JSON would cost more
/// memory than everything else in the shim together.
package struct JSONText {
    private var text = "{"
    private var isFirst = true

    package init() {}

    /// The object so far, closed.
    package var object: String {
        text + "}"
    }

    /// The object so far, closed, as bytes.
    var bytes: [UInt8] {
        Array(object.utf8)
    }

    package mutating func add(_ name: String, _ value: String) {
        start(name)
        Self.quote(value, into: &text)
    }

    package mutating func add(_ name: String, _ value: some BinaryInteger) {
        start(name)
        text += String(value)
    }

    mutating func add(_ name: String, _ value: Bool) {
        start(name)
        text += value ? "true" : "false"
    }

    mutating func add(_ name: String, _ value: JSONText) {
        start(name)
        text += value.object
    }

    mutating func add(_ name: String, _ values: [JSONText]) {
        start(name)
        text += "[" + values.map(\.object).joined(separator: ",") + "]"
    }

    private mutating func start(_ name: String) {
        if !isFirst {
            text += ","
        }
        isFirst = false
        Self.quote(name, into: &text)
        text += ":"
    }

    private static func quote(_ value: String, into text: inout String) {
        text += "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\u{00}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }
}
