import Kernel
import Seccomp
import ShimProtocol
import SwiftProtobuf

/// One kind of system call, as a report tells it.
struct UseKey: Hashable {
    var execID = ""
    var pid: Int32 = 0
    var command = ""
    var architecture: UInt32 = 0
    var number: Int32 = 0
    var argument: UInt64?
    /// Nil for calls of which nothing is known but their number.
    var answer: SeccompDecision?

    /// All calls for which there is no place.
    static let others = UseKey(number: -1)

    /// Longest texts, in words: a command has 15 bytes, an id 128.
    private static let (commandWords, idWords) = (2, 17)

    init(
        execID: String = "",
        pid: Int32 = 0,
        command: String = "",
        architecture: UInt32 = 0,
        number: Int32 = 0,
        argument: UInt64? = nil,
        answer: SeccompDecision? = nil
    ) {
        self.execID = execID
        self.pid = pid
        self.command = command
        self.architecture = architecture
        self.number = number
        self.argument = argument
        self.answer = answer
    }

    /// Reads what `write` has written.
    init(_ file: SharedFile, at index: Int) {
        pid = Int32(truncatingIfNeeded: file[index])
        architecture = UInt32(truncatingIfNeeded: file[index + 1] >> 32)
        number = Int32(truncatingIfNeeded: file[index + 1])
        argument = file[index + 2] == 0 ? nil : file[index + 3]
        switch file[index + 4] >> 32 {
        case 1: answer = .allow
        case 2: answer = .fail(Int32(truncatingIfNeeded: file[index + 4]))
        case 3: answer = .kill
        default: answer = nil
        }
        command = Self.text(file, at: index + 5, Self.commandWords)
        execID = Self.text(file, at: index + 7, Self.idWords)
    }

    /// Writes the key down: 24 words.
    func write(_ file: SharedFile, at index: Int) {
        file[index] = UInt64(UInt32(bitPattern: pid))
        file[index + 1] = UInt64(architecture) << 32 | UInt64(UInt32(bitPattern: number))
        file[index + 2] = argument == nil ? 0 : 1
        file[index + 3] = argument ?? 0
        switch answer {
        case .allow?: file[index + 4] = 1 << 32
        case .fail(let errno)?: file[index + 4] = 2 << 32 | UInt64(UInt32(bitPattern: errno))
        case .kill?: file[index + 4] = 3 << 32
        case nil: file[index + 4] = 0
        }
        Self.write(command, file, at: index + 5, Self.commandWords)
        Self.write(execID, file, at: index + 7, Self.idWords)
    }

    private static func text(_ file: SharedFile, at index: Int, _ count: Int) -> String {
        let bytes = (0..<count).flatMap { offset in
            (0..<8).map { UInt8(truncatingIfNeeded: file[index + offset] >> (8 * UInt64($0))) }
        }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func write(_ text: String, _ file: SharedFile, at index: Int, _ count: Int) {
        // With a zero behind it in any case.
        var bytes = Array(text.utf8.prefix(count * 8 - 1))
        bytes += Array(repeating: 0, count: count * 8 - bytes.count)
        for offset in 0..<count {
            file[index + offset] = bytes[offset * 8..<offset * 8 + 8].reversed().reduce(0) { $0 << 8 | UInt64($1) }
        }
    }

    /// The report's entry, without its counts and times.
    var message: ShimSyscallUse {
        var message = ShimSyscallUse()
        message.execID = execID
        message.pid = UInt32(bitPattern: pid)
        message.command = command
        message.architecture = architecture
        message.number = number
        message.argument = argument ?? 0
        message.hasArgument_p = argument != nil
        message.answer = answer?.word ?? ""
        return message
    }
}

extension SeccompDecision {
    /// What a report calls it.
    var word: String {
        switch self {
        case .allow: "allowed"
        case .fail(let number): Errno(rawValue: number).name
        case .kill: "killed"
        }
    }
}
