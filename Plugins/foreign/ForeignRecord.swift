import DocumentTexts
import FoundationEssentials
import Kernel
import ShimKit
import ShimProtocol

/// What another process needs to know of a container: written into the bundle before anything of it is made.
struct ForeignRecord: Codable {
    static let version = 1
    /// Its file in the bundle.
    static let fileName = "foreign.json"

    var version = ForeignRecord.version
    var program: ForeignShim.Program
    var address: ShimAddress?
    var cgroup: String?
    /// Whether the group that the document names was there before the container.
    var groupWasThere: Bool?

    /// Writes the record.
    ///
    /// - Returns: its bytes.
    func write(_ bundle: String) throws(BackendError) -> [UInt8] {
        do throws(KernelError) {
            guard let object = try? JSONEncoder().encode(self) else { throw .failed("encode", "record", .invalid) }
            let bytes = CheckedObject.sealed(Array(object))
            try File.writeAtomically("\(bundle)/\(Self.fileName)", bytes, durable: false)
            return bytes
        } catch {
            throw .failed(stage: "bundle", error)
        }
    }

    /// Reads the record of a bundle; nil when there is none that can be read.
    static func read(_ bundle: String) -> ForeignRecord? {
        (try? File.read("\(bundle)/\(fileName)", limit: 64 << 10)).flatMap { ForeignRecord(bytes: $0) }
    }

    /// The record of these bytes; nil when they are not as they were written.
    init?(bytes: [UInt8]) {
        guard CheckedObject.isSound(bytes),
            let record = try? JSONDecoder().decode(ForeignRecord.self, from: Data(bytes)),
            record.version == Self.version
        else { return nil }
        self = record
    }

    init(program: ForeignShim.Program) { self.program = program }

    /// Ends the shim, has its own `delete` clean up, and removes what is left all the same; nothing there is fine.
    ///
    /// - Returns: What went wrong.
    func cleanUp(_ bundle: String) -> [String] {
        var failures: [String] = []
        killShim()
        do throws(BackendError) {
            _ = try program.run("delete", ["-bundle", program.bundle], input: [], within: .seconds(5))
        } catch {
            failures.append("\(error)")
        }
        failures += HostLeftovers.remove(of: program.bundle, cgroup: cgroup, wasThere: groupWasThere)
        // It is where the shim has said; nothing but a socket is removed on its word. One that stays does no harm.
        if let path = address?.path, path.hasPrefix("/"), (try? File.status(path))?.kind == .socket {
            _ = try? File.remove(path)
        }
        return failures
    }

    /// Kills what the shim's program has left running, and our own process for its events, known by their command lines.
    private func killShim() {
        let entries = (try? File.open("/proc", .directory).readDirectory()) ?? []
        for pid in entries.compactMap({ Int32($0.name) }) {
            // Opened before it is looked at: a number that was used again names no process of this shim.
            guard let process = try? Pidfd(pid: pid), isShim(pid) else { continue }
            _ = try? process.send(.kill)
            _ = try? process.poll(for: .readable, timeout: .seconds(2))
        }
    }

    private func isShim(_ pid: Int32) -> Bool {
        let words = (try? ProcessFacts.commandLine(of: pid)) ?? []
        guard words.contains(program.id) else { return false }
        return words.first == program.path && words.contains(program.namespace)
            || words.dropFirst().first == EventSink.command
    }
}
