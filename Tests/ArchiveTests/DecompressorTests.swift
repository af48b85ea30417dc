import Archive
import Foundation
import Kernel
import Testing

@Suite(.serialized)
struct DecompressorTests {
    /// Packs bytes with a program.
    private func pack(_ bytes: [UInt8], _ command: String) throws -> [UInt8] {
        let name = "/tmp/berth-archive-test." + Random.hex(6)
        defer { _ = try? File.remove(name) }
        try File.writeAtomically(name, bytes, durable: false)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", "\(command) < \(name)"]
        let output = Foundation.Pipe()
        process.standardOutput = output
        try process.run()
        let packed = Array(output.fileHandleForReading.readDataToEndOfFile())
        process.waitUntilExit()
        return packed
    }

    private func unpack(
        _ bytes: [UInt8],
        step: Int = .max,
        buffer: Int = 65536,
        limits: StreamLimits = StreamLimits()
    ) -> Result<[UInt8], ArchiveError> {
        var result: [UInt8] = []
        do throws(ArchiveError) {
            let stream = try Decompressor(BytesSource(bytes, step: step), Compression.detect(bytes), limits: limits)
            var part = [UInt8](repeating: 0, count: buffer)
            while case let count = try stream.read(into: &part), count > 0 { result += part[..<count] }
        } catch { return .failure(error) }
        return .success(result)
    }

    private var content: [UInt8] {
        var random = SplitMix(state: 7)
        return (0..<100_000).map { $0 % 3 == 0 ? UInt8(truncatingIfNeeded: random.next()) : UInt8($0 / 1000) }
    }

    @Test(arguments: ["gzip -c", "gzip -1 -c", "zstd -q -c", "cat"]) func anyChunking(_ command: String) throws {
        let content = content
        let packed = try pack(content, command)
        for (step, buffer) in [(Int.max, 65536), (1, 4096), (13, 100_000), (4096, 7)] {
            #expect(try unpack(packed, step: step, buffer: buffer).get() == content)
        }
    }

    @Test(arguments: ["gzip -c", "zstd -q -c"]) func membersInARow(_ command: String) throws {
        let packed = try pack(content, command) + pack([], command) + pack([1, 2, 3], command)
        for step in [1, 5, 512, .max] { #expect(try unpack(packed, step: step).get() == content + [1, 2, 3]) }
    }

    @Test(arguments: ["gzip -c", "zstd -q --check -c"]) func damageIsRefused(_ command: String) throws {
        let packed = try pack(content, command)
        for length in [5, 20, packed.count / 2, packed.count - 1] {
            guard case .failure(let error) = unpack(Array(packed[..<length])) else {
                Issue.record("truncated at \(length) and taken")
                continue
            }
            #expect(error.code == .invalidArgument)
        }
        var random = SplitMix(state: 3)
        for _ in 0..<200 {
            var damaged = packed
            let place = 20 + Int(random.next() % UInt64(packed.count - 20))
            damaged[place] ^= UInt8(1 + random.next() % 255)
            // A changed byte may be one that means nothing, but what is taken is what was packed.
            if case .success(let bytes) = unpack(damaged) { #expect(bytes == content) }
        }
    }

    @Test func garbageBehindGzipIsRefused() throws {
        let packed = try pack(content, "gzip -c")
        #expect(try unpack(packed + [0, 0, 0, 0]).get() == content)
        guard case .failure(let error) = unpack(packed + Array("hidden content".utf8)) else {
            Issue.record("garbage taken")
            return
        }
        #expect(error.code == .invalidArgument)
    }

    @Test(arguments: ["gzip -c", "zstd -q -19 -c"]) func boundsHold(_ command: String) throws {
        let packed = try pack([UInt8](repeating: 0, count: 8 << 20), command)
        var limits = StreamLimits(bytes: 1 << 20)
        if case .failure(let error) = unpack(packed, limits: limits) {
            #expect(error.code == .resourceExhausted)
        } else {
            Issue.record("more bytes than allowed")
        }
        limits = StreamLimits(ratio: 100, ratioFloor: 1 << 20)
        if case .failure(let error) = unpack(packed, limits: limits) {
            #expect(error.code == .resourceExhausted)
        } else {
            Issue.record("a bomb")
        }
        limits = StreamLimits(deadline: .now - .seconds(1))
        if case .failure(let error) = unpack(packed, limits: limits) {
            #expect(error.code == .timedOut)
        } else {
            Issue.record("a deadline in the past")
        }
    }
}
