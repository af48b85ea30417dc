import DocumentTexts
import FoundationEssentials
import Kernel
import ShimKit

/// What another process needs to know of a container: written into the bundle before anything of it is made.
struct RuntimeRecord: Codable {
    static let version = 1

    var version = RuntimeRecord.version
    /// Absolute path of the runtime.
    var program: String
    /// Its `--root`.
    var root: String
    var usesSystemdCgroup: Bool
    /// Path of the container's group below each hierarchy; nil while there is none, and for a container without one.
    var cgroup: String?
    /// Whether the group that the document names was there before the container.
    var groupWasThere: Bool?
    var pid: Int32?

    /// Writes the record.
    func write(_ bundle: String) throws(BackendError) {
        do throws(KernelError) {
            guard let bytes = try? JSONEncoder().encode(self) else { throw .failed("encode", "record", .invalid) }
            try File.writeAtomically("\(bundle)/oci.json", CheckedObject.sealed(Array(bytes)), durable: false)
        } catch {
            throw .failed(stage: "bundle", error)
        }
    }

    /// Reads the record of a bundle; nil when there is none that can be read.
    static func read(_ bundle: String) -> RuntimeRecord? {
        guard let bytes = try? File.read("\(bundle)/oci.json", limit: 64 << 10), CheckedObject.isSound(bytes),
            let record = try? JSONDecoder().decode(RuntimeRecord.self, from: Data(bytes)), record.version == version
        else { return nil }
        return record
    }
}
