/// What a container may call by a profile: one that it teaches, or one that it is held to.
public struct Restriction: Sendable, Equatable, Codable {
    /// What happens to a call that the profile does not allow.
    public enum Mode: String, Sendable, Codable, CaseIterable {
        /// The profile learns what is called; the engine's own filter is the ceiling.
        case learn
        /// The call fails, and is reported.
        case enforce
        /// The process is killed, and the call reported.
        case kill
        /// The call goes through, but for dangerous ones, and is reported.
        case audit
    }

    /// Name of the profile.
    public var profile: String
    /// What happens.
    public var mode: Mode
    /// Calls that are learned although they are dangerous: `NAME` or `NAME:CLASS`.
    public var allowed: [String]

    /// The backend that can it.
    public static let backend = "restricted"
    /// Beginning of the names of its security options.
    public static let prefix = "berth."
    /// Annotations by which the backend is told.
    package static let profileAnnotation = "dev.berth.profile"
    package static let modeAnnotation = "dev.berth.profile-mode"
    /// Annotation by which the engine knows later which profile of that name it was.
    package static let identityAnnotation = "dev.berth.profile-identity"
    /// Annotation that says when the profile was promoted that a container is held to.
    package static let promotionAnnotation = "dev.berth.profile-promoted"

    /// What stands for a profile that was removed, or replaced by another of its name; no profile is called so.
    package static func removed(_ name: String) -> String { "\(name) (removed)" }

    /// The word by which the sandbox leaves a mount out whose place the image does not have.
    package static let ifPresent = "x-berth.if-present"

    /// Where a program may write although its root is read-only, in an image that has the place.
    ///
    /// One that it does not have would have to be made in each container's file system, which takes longer than all else that restricts it.
    private static let writable = [
        "/run": "mode=755,\(ifPresent)", "/tmp": "mode=1777,\(ifPresent)", "/var/tmp": "mode=1777,\(ifPresent)",
    ]
}

/// The security options `berth.learn`, `berth.profile`, `berth.mode`, `berth.allow`, `berth.readonly`, `berth.landlock` and `berth.namespaces`, as
/// they were given.
public struct RestrictionOptions: Sendable {
    private var values: [String: String] = [:]
    private var allowed: [String] = []

    /// None.
    public init() {}

    /// Takes one option.
    ///
    /// - Parameters:
    ///   - name: Its name, with `berth.` in front.
    ///   - value: Its value.
    /// - Throws: ``EngineError`` `.invalidArgument` for an unknown one, one without a value, or one that was given before.
    public mutating func take(_ name: String, _ value: String) throws {
        let known = [
            "berth.learn", "berth.profile", "berth.mode", "berth.readonly", AccessRules.option,
            ContainerConfiguration.namespacesOption,
        ]
        guard known.contains(name) || name == "berth.allow" else {
            throw EngineError.invalid(
                "security option '\(name)' is not known; there are \((known + ["berth.allow"]).joined(separator: ", "))"
            )
        }
        guard !value.isEmpty else { throw EngineError.invalid("security option '\(name)' has no value: \(name)=VALUE") }
        if name == "berth.allow" { return allowed += value.split(separator: ",").map(String.init) }
        guard values.updateValue(value, forKey: name) == nil else {
            throw EngineError.invalid("security option '\(name)' is given twice")
        }
    }

    /// What the options ask for.
    ///
    /// - Throws: ``EngineError`` `.invalidArgument` for options that contradict each other.
    fileprivate func restriction() throws -> Restriction? {
        let (learn, profile, mode) = (values["berth.learn"], values["berth.profile"], values["berth.mode"])
        if let learn {
            for (other, value) in [("berth.profile", profile), ("berth.mode", mode)] where value != nil {
                throw EngineError.invalid(
                    "security options 'berth.learn' and '\(other)' exclude each other: a container teaches a profile, or is held to one"
                )
            }
            return Restriction(profile: learn, mode: .learn, allowed: allowed)
        }
        guard allowed.isEmpty else {
            throw EngineError.invalid(
                "security option 'berth.allow' goes with 'berth.learn=NAME'; to change a profile there is 'berth profile allow'"
            )
        }
        guard let profile else {
            guard mode == nil else {
                throw EngineError.invalid("security option 'berth.mode' needs 'berth.profile=NAME'")
            }
            return nil
        }
        guard let mode else { return Restriction(profile: profile, mode: .enforce, allowed: []) }
        guard let known = Restriction.Mode(rawValue: mode), known != .learn else {
            throw EngineError.invalid("security option 'berth.mode': '\(mode)' is none of enforce, kill, audit")
        }
        return Restriction(profile: profile, mode: known, allowed: [])
    }

    fileprivate func accessRules() throws -> AccessRules? {
        try values[AccessRules.option].map { try AccessRules(option: $0) }
    }

    /// Whether the container shares all namespaces with the host.
    ///
    /// - Throws: ``EngineError`` `.invalidArgument` for another value than `none`.
    public func sharesNamespaces() throws -> Bool {
        let option = ContainerConfiguration.namespacesOption
        guard let text = values[option] else { return false }
        guard text == ContainerConfiguration.noNamespaces else {
            throw EngineError.invalid(
                "security option '\(option)': '\(text)' is not '\(ContainerConfiguration.noNamespaces)'"
            )
        }
        return true
    }

    /// Whether nobody may write to the root; nil where nothing was said.
    fileprivate func isReadOnly() throws -> Bool? {
        switch values["berth.readonly"] {
        case nil: return nil
        case "true"?: return true
        case "false"?: return false
        case let other?:
            throw EngineError.invalid("security option 'berth.readonly': '\(other)' is neither true nor false")
        }
    }
}

extension ContainerConfiguration {
    /// Applies the options of restricted mode: the backend, and defaults that take rights away.
    ///
    /// - Parameters:
    ///   - options: What the client has asked for.
    ///   - defaultBackend: The one that holds where none is named.
    /// - Throws: ``EngineError`` `.invalidArgument` for what contradicts them.
    public mutating func restrict(_ options: RestrictionOptions, defaultBackend: String) throws {
        if let rules = try options.accessRules() {
            try takeBackend(AccessRules.option)
            accessRules = rules
        }
        if try options.sharesNamespaces() {
            try takeBackend(Self.namespacesOption)
            try shareNamespaces()
        }
        if let restriction = try options.restriction() { try hold(to: restriction) }
        let backend = backend.flatMap { $0.isEmpty ? nil : $0 } ?? defaultBackend
        let isReadOnly = try options.isReadOnly()
        // Who asks for all rights has asked for these, by name.
        if backend == Restriction.backend, !privileged {
            takeRightsAway(leavingRoot: isReadOnly == false)
        } else if isReadOnly == true {
            readonlyRootfs = true
        }
    }

    /// Takes what a container of the backend has not got unless it is named: with a profile or without.
    private mutating func takeRightsAway(leavingRoot: Bool) {
        if !capabilitiesToDrop.contains(where: { $0.uppercased() == "ALL" }) { capabilitiesToDrop.append("ALL") }
        // Without a mount of its own there would be no place to write.
        guard !leavingRoot, sharesNamespaces != true else { return }
        readonlyRootfs = true
        for (path, mode) in Restriction.writableDirectories where !isMounted(path) { tmpfs[path] = mode }
    }

    private mutating func hold(to restriction: Restriction) throws {
        let option = restriction.mode == .learn ? "berth.learn" : "berth.profile"
        try takeBackend(option)
        if privileged { throw EngineError.invalid("security option '\(option)' and privileged exclude each other") }
        switch seccomp {
        case .unconfined?:
            throw EngineError.invalid("security options '\(option)' and 'seccomp=unconfined' exclude each other")
        case .json?, .default?:
            guard restriction.mode != .learn else { break }
            throw EngineError.invalid(
                "security options 'berth.profile' and 'seccomp' exclude each other: both are filters"
            )
        case nil: break
        }
        self.restriction = restriction
    }

    /// Takes the backend that can what an option asks for.
    private mutating func takeBackend(_ option: String) throws {
        if let backend, backend != Restriction.backend {
            throw EngineError.invalid(
                "security option '\(option)' needs the runtime '\(Restriction.backend)', and '\(backend)' was asked for: leave one out"
            )
        }
        backend = Restriction.backend
    }

    private func isMounted(_ path: String) -> Bool {
        func matches(_ target: some StringProtocol) -> Bool {
            target == path || target == path + "/"
        }
        if tmpfs.keys.contains(where: matches) || mounts.contains(where: { matches($0.target) }) { return true }
        if volumes.contains(where: matches) { return true }
        return binds.contains { bind in
            let parts = bind.split(separator: ":", omittingEmptySubsequences: false)
            return matches(parts.count == 1 ? parts[0] : parts[1])
        }
    }
}

extension Restriction {
    fileprivate static var writableDirectories: [(String, String)] { writable.sorted { $0.key < $1.key } }
}
