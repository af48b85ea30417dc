import Archive
import ContentStore
import Kernel
import Snapshots
import Testing

/// Large input in little memory.
@Suite(.serialized)
struct SizeTests {
    /// Bytes of the most memory that this process ever had.
    private func peak() throws -> Int {
        let line = try File.readText("/proc/self/status").split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
        let number = try #require(line).split(separator: " ").dropLast().last.flatMap { Int($0) }
        return try #require(number) * 1024
    }

    /// A gigabyte and more of zeros as a plain and as a packed layer: the memory of the process must not follow.
    @Test(arguments: [false, true]) func zerosOfMoreThanAGigabyte(_ isPacked: Bool) throws {
        let scratch = try Scratch()
        let pack = isPacked ? "| gzip -1" : ""
        try scratch.run(
            "truncate -s 1200M zeros; tar -c zeros \(pack) > layer.tar; rm zeros"
        )
        let store = try scratch.store()
        let snapshots = try scratch.snapshots()
        let before = try peak()
        let image = try store.makeImage(layers: [scratch.source("layer.tar")])
        try snapshots.unpack(image, from: store)
        let grown = try peak() - before
        #expect(grown < 64 << 20)
        #expect(try snapshots.usage(chainID: #require(image.chainID)).entries == 1)
    }

    @Test func aHundredThousandMembers() throws {
        let scratch = try Scratch()
        try scratch.run("mkdir t; cd t; seq 1 100000 | xargs touch; cd ..; tar -c t > layer.tar; rm -r t")
        let store = try scratch.store()
        let before = try peak()
        let image = try store.makeImage(layers: [scratch.source("layer.tar")])
        let snapshots = try scratch.snapshots()
        try snapshots.unpack(image, from: store)
        #expect(try peak() - before < 64 << 20)
        #expect(try snapshots.usage(chainID: #require(image.chainID)).entries == 100_001)
    }
}
