import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Limits of a disk, each with work that runs into it.
@Suite(.serialized) struct DiskBiteTests {
    @Test func writesAreThrottled() throws {
        let scratch = try Scratch()
        let disk = try Machine.disk(of: scratch.path)
        let rate = RuntimeSpec.ThrottleDevice(major: Int64(disk.major), minor: Int64(disk.minor), rate: 1 << 20)
        try LoadedGroup.with(.init(blockIO: .init(throttleWriteBpsDevice: [rate]))) { loaded in
            let output = try loaded.run("write", scratch.path + "/file", "2").output
            let seconds = try #require(output.value("seconds").flatMap(Double.init), "\(output)")
            // 2 MiB at 1 MiB a second; the first slice is free.
            #expect(seconds > 1.2 && seconds < 8, "\(output)")
            let device = try loaded.group.statistics().blockIO.first {
                $0.major == disk.major && $0.minor == disk.minor
            }
            #expect(device?.writtenBytes ?? 0 >= 2 << 20)
            var free = rate
            free.rate = 0
            try loaded.group.apply(.init(blockIO: .init(throttleWriteBpsDevice: [free])))
            let again = try loaded.run("write", scratch.path + "/file", "2").output
            #expect(again.value("seconds").flatMap(Double.init) ?? 9 < 1, "\(again)")
        }
    }

    @Test func numbersOfReadsAreThrottled() throws {
        let disk = try LoopDisk()
        let number = disk.number
        let rate = RuntimeSpec.ThrottleDevice(major: Int64(number.major), minor: Int64(number.minor), rate: 20)
        try LoadedGroup.with(.init(blockIO: .init(throttleReadIOPSDevice: [rate]))) { loaded in
            let output = try loaded.run("read", disk.path, "0", "2000").output
            // 40 in two seconds, and what a slice more or less makes; without the limit there are thousands.
            let reads = try #require(output.value("reads").flatMap { Int($0) }, "\(output)")
            #expect(reads > 15 && reads < 80, "\(output)")
        }
    }

    @Test(.enabled(if: LoopDisk.canWeigh, "no scheduler that knows weights")) func weightsDivideADisk() throws {
        let disk = try LoopDisk(weighs: true)
        let parent = "/berth-test-\(Random.hex(6))"
        try LoadedGroup.with(path: parent) { _ in
            try LoadedGroup.with(.init(blockIO: .init(weight: 1000)), path: parent + "/one") { one in
                try LoadedGroup.with(.init(blockIO: .init(weight: 10)), path: parent + "/two") { two in
                    let (heavy, light) = try Self.reads(disk, one, two)
                    #expect(heavy > 2 * light, "\(heavy) and \(light)")
                    // And the other way round, by weights for this disk alone.
                    func weight(_ weight: UInt16) -> RuntimeSpec.Resources {
                        let (major, minor) = (Int64(disk.number.major), Int64(disk.number.minor))
                        let device = RuntimeSpec.WeightDevice(major: major, minor: minor, weight: weight)
                        return .init(blockIO: .init(weightDevice: [device]))
                    }
                    try one.group.apply(weight(10))
                    try two.group.apply(weight(1000))
                    let (lighter, heavier) = try Self.reads(disk, one, two)
                    #expect(heavier > 2 * lighter, "\(heavier) and \(lighter)")
                }
            }
        }
    }

    /// How often each of two groups could read in three seconds in which both wanted to.
    private static func reads(_ disk: LoopDisk, _ one: LoadedGroup, _ two: LoadedGroup) throws -> (Int, Int) {
        let works = [
            try one.start("read", disk.path, "0", "3000"), try two.start("read", disk.path, "32", "3000"),
        ]
        for work in works { try work.begin() }
        let counts = try works.map { work in
            let output = try work.end().output
            return try #require(output.value("reads").flatMap { Int($0) }, "\(output)")
        }
        return (counts[0], counts[1])
    }
}

/// A disk of a test's own: a file behind a loop device, with a queue that nobody else uses.
final class LoopDisk {
    let path: String
    let number: DeviceNumber
    private let scratch: Scratch

    /// - Parameter weighs: Whether its scheduler shall know weights, and give the disk to one reader at a time.
    /// - Throws: What kept it from being made.
    init(weighs: Bool = false) throws {
        scratch = try Scratch()
        let file = scratch.path + "/disk"
        let data = try RootedDir(scratch.path).create("disk", mode: 0o600)
        for _ in 0..<64 { try data.writeAll([UInt8](repeating: 7, count: 1 << 20)) }
        path = try Self.losetup("--find", "--show", "--direct-io=on", file)
        number = try File.status(path).representedDevice
        // A reader that is late, because a machine is busy, keeps its turn for a tenth of a second, and nobody else's request goes in between.
        let settings = [
            ("scheduler", "bfq"), ("rotational", "1"), ("iosched/low_latency", "0"), ("iosched/slice_idle", "100"),
            ("iosched/strict_guarantees", "1"),
        ]
        for (name, value) in weighs ? settings : [] {
            try File.writeOnce("/sys/dev/block/\(number.major):\(number.minor)/queue/\(name)", value)
        }
    }

    deinit { _ = try? Self.losetup("--detach", path) }

    static let canWeigh: Bool = {
        do {
            _ = try LoopDisk(weighs: true)
            return true
        } catch {
            return false
        }
    }()

    private static func losetup(_ words: String...) throws -> String {
        let (output, writer) = try Pipe().ends()
        var spawn = Spawn(arguments: ["losetup"] + words, environment: ["PATH=/usr/sbin:/sbin"])
        spawn.descriptors = [1: writer.raw, 2: 2]
        let child = try withExtendedLifetime(writer) { try spawn.start("/usr/sbin/losetup") }
        _ = consume writer
        let text = String(decoding: try output.readToEnd(limit: 1 << 16), as: UTF8.self)
        try #require(try child.pidfd.wait() == .exited(0), "losetup \(words)")
        return text.filter { $0 != "\n" }
    }
}
