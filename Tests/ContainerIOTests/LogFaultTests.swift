import ContainerIO
import Foundation
import Kernel
import Testing

/// A file system of a few pages that only a helper process has mounted; reached through that process' root.
final class SmallDisk {
    private let helper = Process()
    private let hold = Foundation.Pipe()
    let path: String

    init(kibibytes: Int) throws {
        let ready = Foundation.Pipe()
        helper.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        helper.arguments = [
            "-m", "sh", "-c", "mount -t tmpfs -o size=\(kibibytes)k none /mnt && echo ready && read line",
        ]
        helper.standardInput = hold
        helper.standardOutput = ready
        try helper.run()
        let answer = try ready.fileHandleForReading.read(upToCount: 6)
        try #require(answer == Data("ready\n".utf8))
        path = "/proc/\(helper.processIdentifier)/root/mnt"
    }

    deinit {
        try? hold.fileHandleForWriting.close()
        helper.waitUntilExit()
    }
}

@Suite struct LogFaultTests {
    @Test func outputThatAFullDiskRefusesIsCountedAndToldLater() throws {
        let disk = try SmallDisk(kibibytes: 64)
        let ballast = disk.path + "/ballast"
        try File.open(ballast, [.write, .create]).writeAll([UInt8](repeating: 1, count: 32 << 10))
        let path = disk.path + "/container.log"
        let writer = try LogWriter(LogWriterOptions(path: path), buffers: try IOBuffers())
        let line = String(repeating: "x", count: 500) + "\n"
        for _ in 0..<200 { writer.append(line) }
        let lost = writer.loss
        #expect(lost.records > 100 && lost.reason == .noSpace)
        // The newlines are output as well.
        #expect(lost.bytes == lost.records * 501)
        try File.remove(ballast)
        writer.append("room again\n")
        #expect(writer.loss == lost)

        let reader = try LogReader(path: path)
        let records = try reader.all()
        #expect(reader.skippedLines == 0)
        #expect(records.filter { !$0.isNotice }.count == 201 - Int(lost.records))
        #expect(
            records.filter(\.isNotice).texts.map {
                $0.hasPrefix("\(lost.bytes) bytes in \(lost.records) records dropped")
            } == [true]
        )
        #expect(records.last?.bytes.elementsEqual("room again\n".utf8) == true)
    }

    /// Lines with an end and without, on a disk that fills up and gets room again.
    @Test func whatIsMissingIsExactlyWhatTheNoticesCount() throws {
        let disk = try SmallDisk(kibibytes: 64)
        let ballast = disk.path + "/ballast"
        try File.open(ballast, [.write, .create]).writeAll([UInt8](repeating: 1, count: 52 << 10))
        let path = disk.path + "/container.log"
        let options = LogWriterOptions(path: path, maximumFileSizeInBytes: 4 << 10, maximumFileCount: 20)
        let writer = try LogWriter(options, buffers: try IOBuffers())
        var written = 0
        for round in 0..<400 {
            if round == 300 { try File.remove(ballast) }
            let text = String(repeating: "x", count: 40 + round % 30) + (round % 3 == 0 ? "" : "\n")
            writer.append(text)
            written += text.utf8.count
        }
        let records = try LogReader(path: path).all()
        let kept = records.filter { !$0.isNotice }.reduce(0) { $0 + $1.bytes.count }
        let counted = records.filter(\.isNotice).texts.compactMap { Int($0.prefix { $0 != " " }) }
        #expect(writer.loss.records > 50 && counted.reduce(0, +) == Int(writer.loss.bytes))
        #expect(kept + Int(writer.loss.bytes) == written)
        for number in 0..<20 {
            let name = number == 0 ? path : "\(path).\(number)"
            guard File.exists(name) else { continue }
            #expect(try File.status(name).size <= 4 << 10, "\(name)")
        }
    }

    @Test func rotationThatFailsKeepsTheLogGoing() throws {
        let disk = try SmallDisk(kibibytes: 1024)
        let path = disk.path + "/container.log"
        let options = LogWriterOptions(path: path, maximumFileSizeInBytes: 100, maximumFileCount: 3)
        let writer = try LogWriter(options, buffers: try IOBuffers())
        try File.makeDirectory(path + ".new")
        for number in 0..<20 { writer.append("line \(number)\n") }
        #expect(try LogReader(path: path).all().texts == (0..<20).map { "line \($0)\n" })
        #expect(!File.exists(path + ".1"))
    }
}
