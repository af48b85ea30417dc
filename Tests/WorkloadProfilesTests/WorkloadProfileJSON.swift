import FoundationEssentials
import OCISpec

/// Any filter in Docker's JSON form.
enum WorkloadProfileJSON {
    static func encode(_ filter: RuntimeSpec.Seccomp) throws -> [UInt8] {
        Array(try JSONEncoder().encode(filter))
    }
}
