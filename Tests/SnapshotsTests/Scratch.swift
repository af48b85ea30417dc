import Archive
import ContentStore
import Foundation
import Kernel
import OCISpec
import Snapshots

/// A directory for one test, with a store and snapshots in it; it goes with the object.
final class Scratch: Sendable {
    let path: String

    init() throws {
        path = "/tmp/berth-images-test." + Random.hex(6)
        try File.makeDirectory(path, mode: 0o700)
    }

    deinit { _ = try? File.removeTree(path) }

    func store() throws -> ContentStore { try ContentStore(path: path + "/content") }

    func snapshots(_ limits: Snapshots.Limits = Snapshots.Limits()) throws -> Snapshots {
        try Snapshots(path: path + "/snapshots", limits: limits)
    }

    /// Runs a command in a network namespace without a way out.
    @discardableResult
    func run(_ command: String) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/unshare")
        process.arguments = ["-n", "/bin/bash", "-euo", "pipefail", "-c", command]
        process.currentDirectoryURL = URL(fileURLWithPath: path)
        process.environment = ["PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": path, "LC_ALL": "C"]
        process.standardInput = FileHandle.nullDevice
        let output = Pipe()
        process.standardOutput = output
        process.standardError = output
        try process.run()
        let bytes = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let text = String(decoding: bytes, as: UTF8.self)
        guard process.terminationStatus == 0 else { throw Failure(text: "\(command): \(text)") }
        return text
    }

    struct Failure: Error { let text: String }

    /// A source over a file of the directory.
    func source(_ name: String) throws -> DescriptorSource {
        DescriptorSource(try File.open(path + "/" + name), name: name)
    }
}

/// Makes archives for tests.
struct Tar {
    var bytes: [UInt8] = []

    static func of(_ members: [(TarEntry, [UInt8])]) -> [UInt8] {
        var tar = Tar()
        for (entry, content) in members { tar.add(entry, content) }
        return tar.bytes + TarWriter.end
    }

    mutating func add(_ entry: TarEntry, _ content: [UInt8] = []) {
        var entry = entry
        if entry.kind == .file { entry.size = Int64(content.count) }
        bytes += TarWriter.header(entry) + content + TarWriter.padding(after: Int64(content.count))
    }
}

extension TarEntry {
    static func file(_ path: String, mode: UInt32 = 0o644) -> TarEntry {
        TarEntry(path: path.utf8, kind: .file, mode: mode, modified: Time(seconds: 1_000_000_000))
    }

    static func directory(_ path: String, mode: UInt32 = 0o755) -> TarEntry {
        TarEntry(path: path.utf8, kind: .directory, mode: mode, modified: Time(seconds: 1_000_000_000))
    }

    static func link(_ path: String, to target: String) -> TarEntry {
        TarEntry(path: path.utf8, kind: .symbolicLink, linkTarget: target.utf8, mode: 0o777)
    }

    static func hardLink(_ path: String, to target: String) -> TarEntry {
        TarEntry(path: path.utf8, kind: .hardLink, linkTarget: target.utf8)
    }
}
