package import Kernel

/// The option words of a mount (OCI runtime-spec "mounts"), sorted by what applies them.
package struct MountOptions: Sendable, Equatable {
    /// Attributes of the mount that are switched on and off.
    package var attributes = AttributeChange()
    /// The same for the mount and everything below it.
    package var recursiveAttributes = AttributeChange()
    /// Parameters of the filesystem, for fsconfig(2).
    package var parameters: [Parameter] = []
    /// Whether the source is bound instead of a filesystem made.
    package var bind: Bind?
    /// Propagation changes in the order of the words.
    package var propagation: [PropagationChange] = []
    /// Whether the owners of the files are mapped, and below the mount too.
    package var idMap: Bind?
    /// Whether the directory that the mount hides is copied into it first.
    package var copyUp = false
    /// Whether what is mounted there already is changed instead of something mounted.
    package var remount = false
    /// Whether the filesystem shall count the changes of each file.
    package var countsChanges = false
    /// Whether there is no mount where the root has no such place; otherwise the place is made.
    package var onlyIfPresent = false

    /// The word for ``onlyIfPresent``; words that begin so are of userspace alone (mount(8), "x-*").
    package static let ifPresent = "x-berth.if-present"

    /// What a bind or a mapping takes along.
    package enum Bind: Sendable { case single, recursive }

    /// One propagation word.
    package struct PropagationChange: Sendable, Equatable {
        /// What it asks for.
        package var type: Mount.Propagation
        /// Whether mounts below follow.
        package var recursive: Bool
    }

    /// A parameter of a filesystem.
    package struct Parameter: Sendable, Equatable {
        /// Its name.
        package var key: String
        /// Its value; nil for a flag.
        package var value: String?

        /// Makes a parameter from its parts.
        package init(key: String, value: String?) {
            self.key = key
            self.value = value
        }
    }

    /// Attributes to set and to clear.
    package struct AttributeChange: Sendable, Equatable {
        /// To set.
        package var set: Mount.Attributes = []
        /// To clear.
        package var clear: Mount.Attributes = []

        /// Whether nothing changes.
        package var isEmpty: Bool { self.set.isEmpty && clear.isEmpty }

        mutating func turnOn(_ attributes: Mount.Attributes) {
            set.formUnion(attributes)
            clear.subtract(attributes)
        }

        /// Clears attributes, also those that were to be set.
        package mutating func turnOff(_ attributes: Mount.Attributes) {
            clear.formUnion(attributes)
            set.subtract(attributes)
        }

        /// Takes one setting of the access time back, which leaves the kernel's default when it was the one in force.
        mutating func withdraw(_ value: Mount.Attributes) {
            let asked = set.intersection(.accessTimeMask)
            if asked.isEmpty || asked == value { accessTime([]) }
        }

        /// The access time settings are one number, not bits: the field is cleared whenever one is set.
        mutating func accessTime(_ value: Mount.Attributes) {
            set.subtract(.accessTimeMask)
            set.formUnion(value)
            clear.formUnion(.accessTimeMask)
        }
    }

    /// Sorts the words of one mount.
    ///
    /// - Parameter words: The `options`, in order and without NUL bytes; later words win over earlier ones.
    package init(_ words: [String]) {
        for word in words {
            if applyAttribute(word) { continue }
            if applyBehaviour(word) { continue }
            addParameter(word)
        }
    }

    private mutating func applyAttribute(_ word: String) -> Bool {
        if let effect = Self.attributes[word] {
            effect(&attributes)
            return true
        }
        // The recursive words are the plain ones with an r in front; "ro", "rw" and "relatime" were taken above.
        guard let effect = Self.recursiveAttribute(word) else { return false }
        effect(&recursiveAttributes)
        return true
    }

    private static func recursiveAttribute(_ word: String) -> Effect<AttributeChange>? {
        word.hasPrefix("r") ? attributes[String(word.dropFirst())] : nil
    }

    private typealias Effect<Value> = @Sendable (inout Value) -> Void

    /// Words about the mount itself.
    private static let attributes: [String: Effect<AttributeChange>] = [
        "ro": { $0.turnOn(.readOnly) }, "rw": { $0.turnOff(.readOnly) },
        "nosuid": { $0.turnOn(.noSetID) }, "suid": { $0.turnOff(.noSetID) },
        "nodev": { $0.turnOn(.noDevices) }, "dev": { $0.turnOff(.noDevices) },
        "noexec": { $0.turnOn(.noExecute) }, "exec": { $0.turnOff(.noExecute) },
        "nodiratime": { $0.turnOn(.noDirectoryAccessTime) }, "diratime": { $0.turnOff(.noDirectoryAccessTime) },
        "nosymfollow": { $0.turnOn(.noSymbolicLinks) }, "symfollow": { $0.turnOff(.noSymbolicLinks) },
        "relatime": { $0.accessTime([]) }, "noatime": { $0.accessTime(.noAccessTime) },
        "strictatime": { $0.accessTime(.strictAccessTime) },
        "atime": { $0.withdraw(.noAccessTime) }, "nostrictatime": { $0.withdraw(.strictAccessTime) },
        // The kernel has nothing else for a mount that asks for neither of the other two.
        "norelatime": { _ in },
    ]

    /// Words about what is done with the mount.
    private static let behaviours: [String: Effect<MountOptions>] = [
        "bind": { if $0.bind == nil { $0.bind = .single } }, "rbind": { $0.bind = .recursive },
        "tmpcopyup": { $0.copyUp = true }, ifPresent: { $0.onlyIfPresent = true },
        "idmap": { if $0.idMap == nil { $0.idMap = .single } }, "ridmap": { $0.idMap = .recursive },
        "remount": { $0.remount = true },
        "async": { $0.parameters.removeAll { $0.key == "sync" } },
        "nolazytime": { $0.parameters.removeAll { $0.key == "lazytime" } },
        "nomand": { $0.parameters.removeAll { $0.key == "mand" } },
        "iversion": { $0.countsChanges = true }, "noiversion": { $0.countsChanges = false },
        // Words about mount(8)'s own business; "silent" is about a log that the new interface does not write.
        "defaults": { _ in }, "loud": { _ in }, "silent": { _ in },
        "shared": { $0.propagate(.shared) }, "rshared": { $0.propagate(.shared, recursive: true) },
        "slave": { $0.propagate(.slave) }, "rslave": { $0.propagate(.slave, recursive: true) },
        "private": { $0.propagate(.private) }, "rprivate": { $0.propagate(.private, recursive: true) },
        "unbindable": { $0.propagate(.unbindable) }, "runbindable": { $0.propagate(.unbindable, recursive: true) },
    ]

    private mutating func propagate(_ type: Mount.Propagation, recursive: Bool = false) {
        propagation.append(PropagationChange(type: type, recursive: recursive))
    }

    private mutating func applyBehaviour(_ word: String) -> Bool {
        // Flags of the filesystem itself, which fsconfig takes by name like any parameter, are in neither list.
        guard let effect = Self.behaviours[word] else { return false }
        effect(&self)
        return true
    }

    /// All words that are understood here, sorted; every other one is a parameter of the filesystem.
    package static var knownWords: [String] {
        let recursive = attributes.keys.map { "r\($0)" }.filter { attributes[$0] == nil && behaviours[$0] == nil }
        return Set(Array(attributes.keys) + recursive + behaviours.keys + commonFlags).sorted()
    }

    /// Filesystems that count the changes of every file, which is all that "iversion" asks for; the kernel has no switch for it.
    private static let counting: Set<String> = ["tmpfs", "ext4", "xfs", "btrfs"]

    /// Whether the words about counting changes can be honoured by a new filesystem of a type.
    ///
    /// Without a word, and with "noiversion", the filesystem does as it always does.
    package func canCountChanges(type: String) -> Bool { !countsChanges || Self.counting.contains(type) }

    /// Parameters that are flags of every filesystem; a bind, which shares its filesystem, has the flags of that one.
    package static let commonFlags: Set<String> = ["sync", "dirsync", "lazytime", "mand"]

    private mutating func addParameter(_ word: String) {
        guard let equals = word.firstIndex(of: "=") else {
            if !word.isEmpty { parameters.append(Parameter(key: word, value: nil)) }
            return
        }
        let value = String(word[word.index(after: equals)...])
        parameters.append(Parameter(key: String(word[..<equals]), value: value))
    }
}
