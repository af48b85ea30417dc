package import Kernel

/// Numbers the descriptors that a manager holds for a successor of this shim, so that it is asked only for what is new.
package struct HeldDescriptors {
    private struct Entry {
        let name: String
        let descriptor: SharedDescriptor
        /// The generation in which it got its name.
        let birth: UInt64
    }

    /// Oldest first.
    private var entries: [Entry] = []
    /// Grows with every change.
    package private(set) var generation: UInt64 = 1

    package init() {}

    /// Goes on above the number of another program: its descriptors are duplicates of the same, and are asked for again.
    package mutating func advance(beyond other: UInt64) {
        generation = max(generation, other) + 1
    }

    /// Takes over what there is now.
    ///
    /// - Returns: Whether that is something else than before.
    package mutating func update(_ names: NamedDescriptors) -> Bool {
        var fresh: [String: SharedDescriptor] = [:]
        for entry in names.entries {
            fresh[entry.name] = entry.descriptor
        }
        let kept = entries.filter { fresh[$0.name] === $0.descriptor }
        guard kept.count != entries.count || kept.count != fresh.count else {
            return false
        }
        generation += 1
        let known = Set(kept.map(\.name))
        entries =
            kept
            + names.entries.filter { !known.contains($0.name) }.map {
                Entry(name: $0.name, descriptor: $0.descriptor, birth: generation)
            }
        return true
    }

    /// All names, oldest first, and how many of them were there already in a generation.
    package func names(after generation: UInt64) -> (names: [String], kept: Int) {
        (entries.map(\.name), entries.count { $0.birth <= generation })
    }

    /// The descriptors from a position on.
    package func descriptors(from position: Int) -> [SharedDescriptor] {
        entries.dropFirst(position).map(\.descriptor)
    }
}
