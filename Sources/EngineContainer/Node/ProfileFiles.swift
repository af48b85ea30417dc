import DocumentTexts
import EngineModel
import Kernel
import Synchronization
package import WorkloadProfiles

/// The profiles on disk: `NAME.json` learns, `NAME.promoted.json` is enforced.
///
/// Every call blocks.
package final class ProfileFiles: Sendable {
    private let directory: String
    private let damage: DamageLog
    /// Held while a file is read, changed and written back.
    private let writing = Mutex(())
    private static let suffix = ".json"
    private static let promotedSuffix = ".promoted.json"

    package init(directory: String, damage: DamageLog) {
        (self.directory, self.damage) = (directory, damage)
    }

    /// One of the two files of a name.
    private func path(_ name: String, _ state: WorkloadProfile.State) -> String {
        "\(directory)/\(name)\(state == .promoted ? Self.promotedSuffix : Self.suffix)"
    }

    /// The names of all profiles, sorted.
    package func names() throws -> [String] {
        var names: Set<String> = []
        for entry in try File.open(directory, [.directory]).readDirectory() {
            for suffix in [Self.promotedSuffix, Self.suffix] where entry.name.hasSuffix(suffix) {
                let name = String(entry.name.dropLast(suffix.count))
                if (try? WorkloadProfile.check(name: name)) != nil { names.insert(name) }  // a file of somebody else's
                break
            }
        }
        return names.sorted()
    }

    /// Reads one; one that is damaged is set aside, told of, and absent.
    ///
    /// - Throws: `EngineError` for a name that is none; `KernelError` when it cannot be seen whether it is there.
    package func read(_ name: String, _ state: WorkloadProfile.State) throws -> WorkloadProfile? {
        try Self.checked { () throws(ProfileError) in try WorkloadProfile.check(name: name) }
        let path = path(name, state)
        guard try File.isThere(path) else { return nil }
        let bytes = try File.read(path, limit: WorkloadProfile.maximumSize)
        do {
            // What people have written has no check value, and maybe no newline.
            guard CheckedObject.isSound(bytes), !CheckedObject.isSealed(bytes) else {
                throw EngineError.invalid("its check value is that of another document")
            }
            let profile = try WorkloadProfile(document: bytes)
            guard profile.name == name, profile.state == state else {
                throw EngineError.invalid("it is of '\(profile.name)', \(profile.state.rawValue)")
            }
            return profile
        } catch {
            // A newer one is not damaged: its program will be back.
            if let error = error as? ProfileError, error.code == .unsupported {
                throw EngineError(error.code, error.message)
            }
            damage.setAside(path, "\(error)")
            return nil
        }
    }

    /// The one in force, else the one that learns.
    package func present(_ name: String) throws -> WorkloadProfile? {
        try read(name, .promoted) ?? read(name, .learned)
    }

    /// Writes one; it is on disk when this returns.
    package func write(_ profile: WorkloadProfile) throws {
        // Its document ends in a newline, which the check value comes before.
        let document = CheckedObject.sealed(Array(try profile.document().dropLast())) + [0x0a]
        try File.writeAtomically(path(profile.name, profile.state), document, durable: true)
    }

    /// Changes the one that learns, which is made when it is absent; nobody else changes it meanwhile.
    package func update(_ name: String, _ body: (inout WorkloadProfile) throws -> Void) throws -> WorkloadProfile {
        try writing.withLock { _ in
            let old = try read(name, .learned)
            var profile = try old ?? Self.checked { () throws(ProfileError) in try WorkloadProfile(name: name) }
            if old == nil {
                let promoted = try read(name, .promoted)
                profile.identity = promoted == nil ? Random.hex(8) : promoted?.identity
            }
            try body(&profile)
            if profile != old { try write(profile) }
            return profile
        }
    }

    /// Looks at all of them; what is damaged is set aside and told of.
    func examine() throws {
        for name in try names() {
            for state in [WorkloadProfile.State.learned, .promoted] {
                // A newer version's is left as it is.
                _ = try? read(name, state)
            }
        }
    }

    /// Removes both files.
    ///
    /// - Returns: Whether there was one.
    package func remove(_ name: String) throws -> Bool {
        try Self.checked { () throws(ProfileError) in try WorkloadProfile.check(name: name) }
        return try writing.withLock { _ in
            let learned = try File.remove(path(name, .learned))
            return try File.remove(path(name, .promoted)) || learned
        }
    }

    /// Runs what speaks of profiles, and speaks of its errors as the engine does.
    package static func checked<T>(_ body: () throws(ProfileError) -> T) throws -> T {
        do throws(ProfileError) { return try body() } catch { throw EngineError(error.code, error.message) }
    }
}
