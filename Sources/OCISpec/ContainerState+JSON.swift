extension ContainerState {
    /// The document as JSON text, for the standard input of hooks.
    public var json: [UInt8] {
        var text = #"{"ociVersion":\#(Self.quoted(ociVersion)),"id":\#(Self.quoted(id)),"status":"\#(status.rawValue)""#
        if let pid { text += #","pid":\#(pid)"# }
        text += #","bundle":\#(Self.quoted(bundle))"#
        if let annotations {
            let members = annotations.sorted { $0.key < $1.key }
                .map { "\(Self.quoted($0.key)):\(Self.quoted($0.value))" }
            text += #","annotations":{\#(members.joined(separator: ","))}"#
        }
        return Array((text + "}").utf8)
    }

    static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result += "\\\(scalar)"
            case "\u{0}"..<"\u{20}":
                let hex = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
