package import EngineModel

/// The binds, volumes and tmpfs of a container, worked out from the four ways in which a client may ask for them.
///
/// Values only: nothing is made or looked at on the node.
package struct MountPlan: Sendable, Equatable {
    /// One mount with what is needed to make its source.
    package struct Entry: Sendable, Equatable, Codable {
        package var point: MountPoint
        package var nonRecursive = false
        package var createSource = false
        package var tmpfsOptions: [String] = []
        /// Whether a new volume stays empty.
        package var noCopy: Bool?
    }

    package var entries: [Entry] = []

    /// Works out the mounts of `configuration` on an image that declares `imageVolumes`.
    ///
    /// - Parameters:
    ///   - configuration: what the client asked for.
    ///   - imageVolumes: what the image declares.
    ///   - volumePath: where a named volume's files are.
    ///   - newVolumeName: names an anonymous volume.
    /// - Throws: `.invalidArgument` for a bad form and for two mounts on one place.
    package init(
        _ configuration: ContainerConfiguration,
        imageVolumes: [String],
        volumePath: (String) -> String,
        newVolumeName: () -> String
    ) throws {
        for bind in configuration.binds { try add(Self.parse(bind: bind, volumePath, newVolumeName)) }
        for mount in configuration.mounts { try add(Self.entry(mount, volumePath, newVolumeName)) }
        for (destination, options) in configuration.tmpfs.sorted(by: { $0.key < $1.key }) {
            try add(
                Self.tmpfs(destination, options: options.isEmpty ? [] : options.split(separator: ",").map(String.init))
            )
        }
        for destination in (configuration.volumes + imageVolumes).sorted() {
            let path = try Self.destination(destination)
            guard !entries.contains(where: { $0.point.destination == path }) else { continue }
            try add(Self.volume(nil, on: path, readOnly: false, mode: "", volumePath, newVolumeName))
        }
        entries.sort { Self.depth($0) < Self.depth($1) }
    }

    private mutating func add(_ entry: Entry) throws {
        guard !entries.contains(where: { $0.point.destination == entry.point.destination }) else {
            throw EngineError.invalid("Duplicate mount point: \(entry.point.destination)")
        }
        entries.append(entry)
    }

    /// Mounts nearer to the root come first, so that none hides another.
    private static func depth(_ entry: Entry) -> Int {
        entry.point.destination.utf8.count { $0 == 0x2f }
    }

    // One of each kind ------------------------------------------------------------------------------------------------

    private static func parse(
        bind text: String,
        _ volumePath: (String) -> String,
        _ newVolumeName: () -> String
    ) throws -> Entry {
        try ConfigurationCheck.oneLine(text, "volume specification")
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 3, parts.allSatisfy({ !$0.isEmpty }) else {
            throw EngineError.invalid("invalid volume specification: '\(text)'")
        }
        if parts.count == 1 {
            return volume(nil, on: try destination(text), readOnly: false, mode: "", volumePath, newVolumeName)
        }
        let options = try BindOptions(parts.count == 3 ? parts[2] : "", in: text)
        let target = try destination(parts[1])
        if parts[0].hasPrefix("/") {
            return Entry(
                point: MountPoint(
                    kind: .bind,
                    name: nil,
                    source: try normal(parts[0], "volume specification: '\(text)'"),
                    destination: target,
                    mode: options.text,
                    readWrite: !options.readOnly,
                    propagation: options.propagation,
                    anonymous: false
                ),
                nonRecursive: options.nonRecursive
            )
        }
        let name = try volumeName(parts[0])
        return volume(name, on: target, readOnly: options.readOnly, mode: options.text, volumePath, newVolumeName)
    }

    private static func entry(
        _ request: MountRequest,
        _ volumePath: (String) -> String,
        _ newVolumeName: () -> String
    ) throws -> Entry {
        let target = try destination(request.target)
        switch request.kind {
        case .bind:
            let what = "mount config for type \"bind\""
            guard let source = request.source, source.hasPrefix("/") else {
                throw EngineError.invalid(
                    "invalid \(what): invalid mount path: '\(request.source ?? "")' must be absolute"
                )
            }
            let propagation = request.propagation ?? "rprivate"
            guard BindOptions.propagations.contains(propagation) else {
                throw EngineError.invalid("invalid \(what): invalid propagation: '\(propagation)'")
            }
            return Entry(
                point: MountPoint(
                    kind: .bind,
                    name: nil,
                    source: try normal(source, what),
                    destination: target,
                    mode: request.readOnly ? "ro" : "",
                    readWrite: !request.readOnly,
                    propagation: propagation,
                    anonymous: false
                ),
                nonRecursive: request.nonRecursive,
                createSource: request.createSource
            )
        case .volume:
            let name = try request.source.flatMap { $0.isEmpty ? nil : try volumeName($0) }
            var entry = volume(name, on: target, readOnly: request.readOnly, mode: "z", volumePath, newVolumeName)
            entry.noCopy = request.noCopy
            return entry
        case .tmpfs:
            var options: [String] = []
            if let size = request.tmpfsSizeInBytes { options.append("size=\(size)") }
            if let mode = request.tmpfsMode { options.append("mode=\(String(mode, radix: 8))") }
            if request.readOnly { options.append("ro") }
            return try tmpfs(target, options: options)
        }
    }

    private static func volume(
        _ name: String?,
        on target: String,
        readOnly: Bool,
        mode: String,
        _ volumePath: (String) -> String,
        _ newVolumeName: () -> String
    ) -> Entry {
        let real = name ?? newVolumeName()
        return Entry(
            point: MountPoint(
                kind: .volume,
                name: real,
                source: volumePath(real),
                destination: target,
                mode: mode,
                readWrite: !readOnly,
                propagation: "",
                anonymous: name == nil
            ),
            createSource: true
        )
    }

    private static func tmpfs(_ target: String, options: [String]) throws -> Entry {
        let path = try destination(target)
        let known: Set<String> = [
            "ro", "rw", "nosuid", "suid", "nodev", "dev", "noexec", "exec", "sync", "async", "noatime", "atime",
            "nodiratime", "diratime", "relatime", "norelatime", "strictatime", "nostrictatime",
            Restriction.ifPresent,
        ]
        let parameters: Set<String> = ["size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol", "huge"]
        for option in options {
            try ConfigurationCheck.oneLine(option, "tmpfs option")
            let name = option.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let valid = name.count == 1 ? known.contains(option) : parameters.contains(String(name[0]))
            guard valid else { throw EngineError.invalid("invalid tmpfs option \"\(option)\"") }
        }
        return Entry(
            point: MountPoint(
                kind: .tmpfs,
                name: nil,
                source: "",
                destination: path,
                mode: options.joined(separator: ","),
                readWrite: !options.contains("ro"),
                propagation: "",
                anonymous: false
            ),
            tmpfsOptions: ["nosuid", "nodev", "noexec"] + options
        )
    }

    // Paths and names -------------------------------------------------------------------------------------------------

    private static func destination(_ path: String) throws -> String {
        let what = "mount config: mount path '\(path)'"
        guard path.hasPrefix("/") else { throw EngineError.invalid("invalid \(what) must be absolute") }
        let normal = try normal(path, what)
        guard normal != "/" else { throw EngineError.invalid("invalid specification: destination can't be '/'") }
        for place in ["/proc", "/sys"] where normal == place || normal.hasPrefix(place + "/") {
            throw EngineError.invalid("invalid \(what): it is inside \(place)")
        }
        return normal
    }

    /// The path without `.`, empty parts and a trailing `/`; `..` is refused rather than worked out.
    private static func normal(_ path: String, _ what: String) throws -> String {
        try ConfigurationCheck.oneLine(path, what)
        let parts = path.split(separator: "/").filter { $0 != "." }
        guard !parts.contains("..") else { throw EngineError.invalid("invalid \(what): '..' in a path") }
        return "/" + parts.joined(separator: "/")
    }

    private static func volumeName(_ name: String) throws -> String {
        guard (try? Names.validated(name)) == name else {  // the rule of names, with words for volumes
            throw EngineError.invalid(
                "\"\(name)\" includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are "
                    + "allowed. If you intended to pass a host directory, use absolute path"
            )
        }
        return name
    }
}

/// The options behind the second colon of a bind.
struct BindOptions {
    static let propagations: Set<String> = ["private", "rprivate", "shared", "rshared", "slave", "rslave"]

    package let text: String
    package var readOnly = false
    package var propagation = "rprivate"
    package var nonRecursive = false

    package init(_ text: String, in specification: String) throws {
        self.text = text
        for option in text.split(separator: ",").map(String.init) {
            switch option {
            case "ro": readOnly = true
            case "rw", "z", "Z", "nocopy", "consistent", "cached", "delegated": break
            case "bind": nonRecursive = true
            case "rbind": nonRecursive = false
            case let option where Self.propagations.contains(option): propagation = option
            default:
                throw EngineError.invalid("invalid mode: \(text) in volume specification '\(specification)'")
            }
        }
    }
}
