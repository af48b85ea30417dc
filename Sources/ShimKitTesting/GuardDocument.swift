/// What a document asks of a backend that guards system calls.
public struct GuardDocument: Sendable {
    /// `learn`, `enforce`, `kill` or `audit`.
    public var mode: String
    /// Name of the profile.
    public var profile: String
    /// Members of `linux.seccomp` besides its default.
    var filter: Document

    /// A guard over a filter that refuses one call only, which nothing needs.
    public init(mode: String, profile: String = "conformance") {
        self.mode = mode
        self.profile = profile
        filter = [
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                ["names": ["getpgrp"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1],
                ["names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38],
            ],
        ]
    }

    /// What the annotations say.
    var annotationMembers: Document { ["dev.berth.profile": .text(profile), "dev.berth.profile-mode": .text(mode)] }

    /// The member of the document, with the comma behind it.
    var annotations: String { "\"annotations\":\(annotationMembers.json)," }

    /// The member of `linux`, with the comma behind it.
    var seccomp: String { "\"seccomp\":\(filter.json)," }
}
