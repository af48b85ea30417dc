package import EngineModel
import Kernel

/// Turns log records into the bytes of a logs reply.
package struct LogFraming: Sendable {
    /// Whether each line begins with its time.
    private let timestamps: Bool
    /// Whether pieces are framed by stream; a terminal's output is not.
    private let framed: Bool
    /// Streams whose last piece did not end its line.
    private var openLines: Set<UInt8> = []

    /// Framing for one reply; `openLines` are the bits of streams whose last line an earlier reply has not ended.
    package init(timestamps: Bool, framed: Bool, openLines: UInt8 = 0) {
        self.timestamps = timestamps
        self.framed = framed
        for stream: UInt8 in 1...2 where openLines & 1 << stream != 0 { self.openLines.insert(stream) }
    }

    /// The streams whose last line is not ended, as bits.
    package var openLineBits: UInt8 { openLines.reduce(0) { $0 | 1 << $1 } }

    /// A frame that tells a client of Berth's own where it can go on.
    package static func frame(_ cursor: LogCursor) -> [UInt8] {
        let text = Array("\(cursor)\n".utf8)
        return [cursorStream, 0, 0, 0, 0, 0, 0, UInt8(truncatingIfNeeded: text.count)] + text
    }

    /// The stream of such frames.
    private static let cursorStream: UInt8 = 4

    /// The bytes for `records`; neighbours of one stream share a frame.
    package mutating func bytes(_ records: [LogRecord]) -> [UInt8] {
        var result: [UInt8] = []
        var header: Int?
        var stream: UInt8 = 0
        for record in records where !record.bytes.isEmpty {
            if framed, header == nil || record.stream.rawValue != stream {
                finish(header, &result)
                stream = record.stream.rawValue
                header = result.count
                result += [stream, 0, 0, 0, 0, 0, 0, 0]
            }
            append(record, to: &result)
        }
        finish(header, &result)
        return result
    }

    private mutating func append(_ record: LogRecord, to result: inout [UInt8]) {
        let stream = record.stream.rawValue
        if timestamps, !openLines.contains(stream) {
            result += Array(record.time.description.utf8) + [UInt8(ascii: " ")]
        }
        result += record.bytes
        if record.bytes.last == UInt8(ascii: "\n") { openLines.remove(stream) } else { openLines.insert(stream) }
    }

    /// Writes the length into the header at `header`.
    ///
    /// A batch is bounded by the log reader, far below 4 GiB.
    private func finish(_ header: Int?, _ result: inout [UInt8]) {
        guard let header else { return }
        let length = UInt32(clamping: result.count - header - 8)
        for index in 0..<4 {
            result[header + 4 + index] = UInt8(truncatingIfNeeded: length >> (24 - 8 * UInt32(index)))
        }
    }
}
