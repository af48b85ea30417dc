import Kernel
import ShimProtocol

extension ShimSyscallReport {
    /// The report for the journal.
    var json: JSONText {
        var text = JSONText()
        text.add("profile", profile)
        text.add("mode", mode)
        text.add("last", last)
        text.add("uses", uses.map(\.json))
        return text
    }
}

extension ShimSyscallUse {
    /// What is as in most uses is left out.
    fileprivate var json: JSONText {
        var text = JSONText()
        if !execID.isEmpty { text.add("exec", execID) }
        if pid != 0 { text.add("pid", pid) }
        if !command.isEmpty { text.add("command", command) }
        text.add("architecture", architecture)
        text.add("number", number)
        if hasArgument_p { text.add("argument", argument) }
        text.add("count", count)
        text.add("first", Timestamp(first).description)
        text.add("lastSeen", Timestamp(lastSeen).description)
        text.add("answer", answer)
        return text
    }
}

/// The report of a line of the journal, read back.
struct SyscallReportLine: Decodable {
    private struct Use: Decodable {
        let exec: String?
        let pid: UInt32?
        let command: String?
        let architecture: UInt32
        let number: Int32
        let argument: UInt64?
        let count: UInt64
        let first: String
        let lastSeen: String
        let answer: String

        var message: ShimSyscallUse {
            var message = ShimSyscallUse()
            message.execID = exec ?? ""
            message.pid = pid ?? 0
            message.command = command ?? ""
            message.architecture = architecture
            message.number = number
            message.argument = argument ?? 0
            message.hasArgument_p = argument != nil
            message.count = count
            message.first = JournalLine.time(first)
            message.lastSeen = JournalLine.time(lastSeen)
            message.answer = answer
            return message
        }
    }

    private let profile: String
    private let mode: String
    private let last: Bool
    private let uses: [Use]

    var message: ShimSyscallReport {
        var message = ShimSyscallReport()
        message.profile = profile
        message.mode = mode
        message.last = last
        message.uses = uses.map(\.message)
        return message
    }
}
