internal import Kernel

/// The CRI text format: `2026-01-02T03:04:05.123456789Z stdout F text` and a newline.
///
/// The time is always UTC with nine digits, so that everything before the text has one length. The tag is `F` for the
/// end of a line and `P` for a part that another record of the same stream continues; further tags follow after a
/// colon (CRI "LogTagDelimiter"), of which this format uses one, for records that the container did not write.
package enum LogFormat {
    /// Bytes of the time stamp.
    package static let timestampByteCount = 30
    /// Bytes before the text: time, space, stream (six letters both), space, tag, space.
    package static let prefixByteCount = timestampByteCount + 1 + 6 + 1 + 1 + 1
    /// Longest text of one record; a longer line is written in parts.
    package static let maximumTextByteCount = 16 << 10
    /// The tag of a record that tells of dropped output.
    package static let droppedTag = "dropped"

    static let newline = UInt8(ascii: "\n")
    static let space = UInt8(ascii: " ")
    static let full = UInt8(ascii: "F")
    static let partial = UInt8(ascii: "P")
}

/// The bytes before a record's text, kept ready so that a record costs one copy.
struct LogPrefix {
    private(set) var bytes: [UInt8]
    private var second = Int64.min

    init() {
        bytes = Array("1970-01-01T00:00:00.000000000Z stdout F ".utf8)
    }

    /// Where the tag stands in `bytes`.
    static let tagOffset = LogFormat.prefixByteCount - 2

    /// Sets time and stream.
    ///
    /// The date is computed anew only when the second changed.
    mutating func set(_ time: Timestamp, stream: StdioStream) {
        if time.seconds != second {
            second = time.seconds
            bytes.replaceSubrange(..<19, with: Timestamp(seconds: second).description.utf8.prefix(19))
        }
        setDigits(UInt64(time.nanoseconds), at: 20, count: 9)
        let name: StaticString = stream == .stdout ? "stdout" : "stderr"
        // Sound: a literal of six ASCII letters, read inside its bounds.
        for index in 0..<6 { bytes[31 + index] = unsafe name.utf8Start[index] }
    }

    private mutating func setDigits(_ value: UInt64, at offset: Int, count: Int) {
        var rest = value
        for index in stride(from: offset + count - 1, through: offset, by: -1) {
            bytes[index] = UInt8(ascii: "0") + UInt8(truncatingIfNeeded: rest % 10)
            rest /= 10
        }
    }
}
