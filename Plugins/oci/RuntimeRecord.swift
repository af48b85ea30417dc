import DocumentTexts
import FoundationEssentials
import Kernel
import ShimKit

/// What another process needs to know of a container: written into the bundle before anything of it is made.
struct RuntimeRecord: Codable {
    static let version = 1
    /// Its file in the bundle.
    static let fileName = "oci.json"

    var version = RuntimeRecord.version
    /// Absolute path of the runtime.
    var program: String
    /// Its `--root`.
    var root: String
    var usesSystemdCgroup: Bool
    /// Whether it must not see the hierarchy of cgroup version 2; nil, of versions before, for no.
    var hidesCgroup2: Bool?
    /// Path of the container's group below each hierarchy; nil while there is none, and for a container without one.
    var cgroup: String?
    /// Whether the group that the document names was there before the container.
    var groupWasThere: Bool?
    var pid: Int32?

    /// What is known before the container is made.
    init(program: String, root: String, usesSystemdCgroup: Bool) {
        (self.program, self.root, self.usesSystemdCgroup) = (program, root, usesSystemdCgroup)
    }

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
    static func read(_ bundle: String) -> RuntimeRecord? {
        (try? File.read("\(bundle)/\(fileName)", limit: 64 << 10)).flatMap { RuntimeRecord(bytes: $0) }
    }

    /// The record of these bytes; nil when they are not as they were written.
    init?(bytes: [UInt8]) {
        guard CheckedObject.isSound(bytes),
            let record = try? JSONDecoder().decode(RuntimeRecord.self, from: Data(bytes)),
            record.version == Self.version
        else { return nil }
        self = record
    }
}
