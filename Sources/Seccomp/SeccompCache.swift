internal import Kernel
public import OCISpec

/// Compiled programs on disk, one file for each profile.
///
/// A file holds the profile's canonical bytes and the program. The name is only a hint where to look: what is loaded must
/// hold exactly the wanted profile and an undamaged program, everything else counts as absent and is replaced. Files appear
/// whole (rename), so any number of processes may share a directory.
public struct SeccompCache: Sendable {
    private let directory: String

    /// Uses a directory of ours, 0700 and owned by root; it is made when absent.
    ///
    /// - Parameter directory: Its absolute path.
    public init(directory: String) {
        self.directory = directory
    }

    /// The program of a profile, from the cache or compiled and then kept.
    ///
    /// - Parameter profile: The section.
    /// - Returns: The checked program. That it could not be kept is no error.
    /// - Throws: As `SeccompCompiler.compile`.
    public func program(for profile: RuntimeSpec.Seccomp) throws(SeccompError) -> SeccompProgram {
        let key = Self.generation + profile.canonicalBytes
        let hash = String(fingerprint(key), radix: 16)
        let path = "\(directory)/\(String(repeating: "0", count: 16 - hash.count))\(hash).bpf"
        if let program = Self.load(path, key) { return program }

        let program = try SeccompCompiler.compile(profile)
        var bytes: [UInt8] = []
        bytes.appendLittleEndian(UInt32(key.count))
        bytes += key + program.encoded
        do {
            try File.makeDirectories(directory)
            try File.writeAtomically(path, bytes, durable: false)
        } catch {
            // A cache that cannot be written costs time, not correctness; the caller has what it asked for.
        }
        return program
    }

    /// Changes when the compiler does, so that programs of an older Berth are not taken for its own.
    private static let generation: [UInt8] = Array("berth-seccomp-2\n".utf8)

    private static func load(_ path: String, _ key: [UInt8]) -> SeccompProgram? {
        // Absent, unreadable and damaged all mean the same: compile again.
        guard let bytes = try? File.read(path, limit: 4 + key.count + SeccompFiles.maximumSize) else { return nil }
        guard bytes.count > 4 + key.count, UInt32(key.count) == bytes.littleEndian(at: 0) as UInt32 else { return nil }
        guard bytes[4...].starts(with: key) else { return nil }
        return try? SeccompProgram(encoded: bytes[(4 + key.count)...])
    }
}
