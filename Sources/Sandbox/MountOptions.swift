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

        mutating func turnOff(_ attributes: Mount.Attributes) {
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
    /// - Parameters:
    ///   - words: The `options`, in order; later words win over earlier ones.
    ///   - field: Name of the mount for errors.
    /// - Throws: `invalidArgument` for a NUL byte.
    package init(_ words: [String], field: String) throws(SandboxError) {
        for word in words {
            guard !word.utf8.contains(0) else { throw .invalid(field, "an option contains a NUL byte") }
            if applyAttribute(word) { continue }
            if applyBehaviour(word) { continue }
            addParameter(word)
        }
    }

    private mutating func applyAttribute(_ word: String) -> Bool {
        if apply(word, \.attributes) { return true }
        // The recursive words are the plain ones with an r in front; "ro", "rw" and "relatime" were taken above.
        guard word.hasPrefix("r"), word != "rbind", word != "remount" else { return false }
        return apply(String(word.dropFirst()), \.recursiveAttributes)
    }

    private mutating func apply(_ word: String, _ target: WritableKeyPath<MountOptions, AttributeChange>) -> Bool {
        switch word {
        case "ro": self[keyPath: target].turnOn(.readOnly)
        case "rw": self[keyPath: target].turnOff(.readOnly)
        case "nosuid": self[keyPath: target].turnOn(.noSetID)
        case "suid": self[keyPath: target].turnOff(.noSetID)
        case "nodev": self[keyPath: target].turnOn(.noDevices)
        case "dev": self[keyPath: target].turnOff(.noDevices)
        case "noexec": self[keyPath: target].turnOn(.noExecute)
        case "exec": self[keyPath: target].turnOff(.noExecute)
        case "nodiratime": self[keyPath: target].turnOn(.noDirectoryAccessTime)
        case "diratime": self[keyPath: target].turnOff(.noDirectoryAccessTime)
        case "nosymfollow": self[keyPath: target].turnOn(.noSymbolicLinks)
        case "symfollow": self[keyPath: target].turnOff(.noSymbolicLinks)
        case "relatime": self[keyPath: target].accessTime([])
        case "atime": self[keyPath: target].withdraw(.noAccessTime)
        case "nostrictatime": self[keyPath: target].withdraw(.strictAccessTime)
        // The kernel has nothing else for a mount that asks for neither of the other two.
        case "norelatime": break
        case "noatime": self[keyPath: target].accessTime(.noAccessTime)
        case "strictatime": self[keyPath: target].accessTime(.strictAccessTime)
        default: return false
        }
        return true
    }

    private mutating func applyBehaviour(_ word: String) -> Bool {
        switch word {
        case "bind": if bind == nil { bind = .single }
        case "rbind": bind = .recursive
        case "tmpcopyup": copyUp = true
        case "idmap": if idMap == nil { idMap = .single }
        case "ridmap": idMap = .recursive
        case "remount": remount = true
        case "async": parameters.removeAll { $0.key == "sync" }
        case "nolazytime": parameters.removeAll { $0.key == "lazytime" }
        case "nomand": parameters.removeAll { $0.key == "mand" }
        // Words about mount(8)'s own business, or about what the kernel has no choice in any more: filesystems that count
        // changes of a file do so always, and "silent" is about a log that the new interface does not write.
        case "defaults", "loud", "silent", "iversion", "noiversion": break
        case "shared": propagation.append(PropagationChange(type: .shared, recursive: false))
        case "rshared": propagation.append(PropagationChange(type: .shared, recursive: true))
        case "slave": propagation.append(PropagationChange(type: .slave, recursive: false))
        case "rslave": propagation.append(PropagationChange(type: .slave, recursive: true))
        case "private": propagation.append(PropagationChange(type: .private, recursive: false))
        case "rprivate": propagation.append(PropagationChange(type: .private, recursive: true))
        case "unbindable": propagation.append(PropagationChange(type: .unbindable, recursive: false))
        case "runbindable": propagation.append(PropagationChange(type: .unbindable, recursive: true))
        // Flags of the filesystem itself, which fsconfig takes by name like any parameter: sync, dirsync, lazytime,
        // mand.
        default: return false
        }
        return true
    }

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
