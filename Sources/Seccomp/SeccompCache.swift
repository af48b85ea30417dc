internal import Kernel
public import OCISpec

/// Compiled programs on disk, one file for each profile.
///
/// A file holds the profile's canonical bytes and the program. The name is only a hint where to look: what is loaded must
/// hold exactly the wanted profile and an undamaged program, everything else counts as absent and is replaced. Files appear
/// whole (rename), so any number of processes may share a directory.
public struct SeccompCache: Sendable {
    private let directory: String
    private let onDamage: @Sendable (_ path: String, _ reason: String) -> Void

    /// Uses a directory of ours, 0700 and owned by root; it is made when absent.
    ///
    /// - Parameters:
    ///   - directory: Its absolute path.
    ///   - onDamage: Called with a file that is not as it was written, and why, before another one takes its place.
    public init(
        directory: String,
        onDamage: @escaping @Sendable (_ path: String, _ reason: String) -> Void = { _, _ in }
    ) {
        self.directory = directory
        self.onDamage = onDamage
    }

    /// The program of a profile, from the cache or compiled and then kept.
    ///
    /// - Parameter profile: The section.
    /// - Returns: The checked program. That it could not be kept is no error.
    /// - Throws: As `SeccompCompiler.compile`.
    public func program(for profile: RuntimeSpec.Seccomp) throws(SeccompError) -> SeccompProgram {
        let key = Self.generation + profile.canonicalBytes
        let path = "\(directory)/\(Self.name(key))"
        if let program = Self.load(path, key) { return program }
        if let reason = Self.damage(path) { onDamage(path, reason) }

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

    /// Looks at all files, and tells of those that are not as they were written; they count as absent.
    public func examine() {
        // No directory, no files.
        for entry in (try? File.open(directory, .directory).readDirectory()) ?? [] where entry.name.hasSuffix(".bpf") {
            let path = "\(directory)/\(entry.name)"
            if let reason = Self.damage(path) { onDamage(path, reason) }
        }
    }

    /// What is wrong with a file; nil for nothing, and for one that is not there.
    private static func damage(_ path: String) -> String? {
        guard File.exists(path) else { return nil }
        guard let bytes = try? File.read(path, limit: maximumSize), bytes.count > 4 else { return "it cannot be read" }
        let length = Int(bytes.littleEndian(at: 0) as UInt32)
        guard bytes.count > 4 + length else { return "it ends too early" }
        let key = bytes[4..<(4 + length)]
        guard path.hasSuffix("/" + name(key)) else { return "its name is that of another profile" }
        do throws(SeccompError) { _ = try SeccompProgram(encoded: bytes[(4 + length)...]) } catch {
            return error.description
        }
        return nil
    }

    /// Of a file: a profile's canonical bytes and a program.
    private static let maximumSize = 16 << 20

    private static func name(_ key: some Sequence<UInt8>) -> String {
        let hash = String(fingerprint(key), radix: 16)
        return "\(String(repeating: "0", count: 16 - hash.count))\(hash).bpf"
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
