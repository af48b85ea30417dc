import ContainerIO
import Kernel

/// A directory of one test, removed when the test lets go of it.
final class Scratch {
    let path: String

    init() throws {
        path = "/tmp/berth-io-\(Random.hex(6))"
        try File.makeDirectory(path)
    }

    deinit {
        _ = try? File.removeTree(path)
    }

    var log: String { path + "/container.log" }

    func read(_ name: String) throws -> [UInt8] {
        try File.read(path + "/" + name, limit: 1 << 30)
    }

    func text(_ name: String) throws -> String {
        String(decoding: try read(name), as: UTF8.self)
    }

    /// The rotated set's files that exist, youngest first.
    var logFiles: [String] {
        ["container.log"] + (1..<200).map { "container.log.\($0)" }.filter { File.exists(path + "/" + $0) }
    }
}

extension LogWriter {
    @discardableResult
    func append(_ text: String, _ stream: StdioStream = .stdout, mayHold: Bool = false) -> Int {
        append(Array(text.utf8), stream, mayHold: mayHold)
    }

    @discardableResult
    func append(_ bytes: [UInt8], _ stream: StdioStream = .stdout, mayHold: Bool = false) -> Int {
        bytes.withUnsafeBytes { append($0, stream: stream, mayHold: mayHold) }
    }
}

extension LogReader {
    /// Everything up to the end, without waiting.
    func all(upTo limit: Int = 7) throws -> [LogRecord] {
        var records: [LogRecord] = []
        while case .records(let more) = try next(upTo: limit) { records += more }
        return records
    }
}

extension Sequence<LogRecord> {
    func bytes(_ stream: StdioStream) -> [UInt8] {
        filter { $0.stream == stream && !$0.isNotice }.flatMap(\.bytes)
    }

    var texts: [String] { map { String(decoding: $0.bytes, as: UTF8.self) } }
}

/// A clock that moves a second each time it is read.
final class StepClock {
    var seconds: Int64

    init(_ seconds: Int64 = 1_767_323_045) {
        self.seconds = seconds
    }

    func now() -> Timestamp {
        defer { seconds += 1 }
        return Timestamp(seconds: seconds, nanoseconds: 123_456_789)
    }
}
