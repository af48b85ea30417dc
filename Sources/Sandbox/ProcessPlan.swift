internal import Kernel
internal import OCISpec
internal import Seccomp

/// A process to start, checked and prepared.
struct ProcessPlan {
    /// Standard streams; nil means a terminal.
    var streams: [RawDescriptor]?
    var consoleSize: Pty.Size?
    var user: UserSource
    var umask: UInt32
    var workingDirectory: String
    var arguments: ArgumentVector
    /// Where the program may be, in order.
    var candidates: [String]
    /// First word of the arguments, for errors.
    var program: String
    var environment: [String]
    var limits: [(resource: Rlimit.Resource, limit: Rlimit)] = []
    var oomScoreAdjustment: Int?
    var capabilities: Capabilities
    var noNewPrivileges: Bool
    /// Records of the system call filter, empty without one.
    var filter: [UInt64] = []
    var filterFlags: UInt32 = 0
    /// How many descriptors from 3 on stay open for the program.
    var preservedDescriptors = 0

    /// Who the process runs as.
    enum UserSource {
        /// Ids of the document.
        case ids(uid: UInt32, gid: UInt32)
        /// A text that the container's own files resolve.
        case name(String)
    }

    var additionalGroups: [UInt32] = []

    /// The descriptors of the caller that the program gets or that the streams come from.
    var keptDescriptors: [RawDescriptor] {
        (streams ?? []) + (3..<3 + RawDescriptor(clamping: preservedDescriptors))
    }

    /// Whether HOME must be looked up.
    var lacksHome: Bool { !environment.contains { $0.hasPrefix("HOME=") } }
}

extension ProcessPlan {
    /// Reads and checks a document's process.
    init(
        _ process: RuntimeSpec.Process,
        streams: SandboxStreams,
        seccomp: SeccompProgram?
    ) throws(SandboxError) {
        try Self.refuseUnsupported(process)
        guard let args = process.args, let program = args.first, !program.isEmpty else {
            throw .invalid("process.args", "empty")
        }
        workingDirectory = process.cwd ?? "/"
        guard workingDirectory.hasPrefix("/"), !workingDirectory.utf8.contains(0) else {
            throw .invalid("process.cwd", "'\(workingDirectory)' is not an absolute path")
        }
        switch streams {
        case .descriptors(let input, let output, let error): self.streams = [input, output, error]
        case .terminal: self.streams = nil
        }
        consoleSize = process.consoleSize.map {
            Pty.Size(rows: UInt16(clamping: $0.height), columns: UInt16(clamping: $0.width))
        }
        let user = process.user ?? RuntimeSpec.User()
        if let name = user.username, !name.isEmpty {
            self.user = .name(name)
        } else {
            guard user.uid != .max, user.gid != .max else { throw .invalid("process.user", "id out of range") }
            self.user = .ids(uid: user.uid, gid: user.gid)
        }
        additionalGroups = user.additionalGids ?? []
        umask = (user.umask ?? 0o022) & 0o777
        environment = process.env ?? []
        guard environment.allSatisfy({ !$0.utf8.contains(0) }) else { throw .invalid("process.env", "a NUL byte") }
        arguments = try step(.specification) { () throws(KernelError) in try ArgumentVector(args) }
        self.program = program
        candidates = Self.candidates(program, environment)
        noNewPrivileges = process.noNewPrivileges ?? false
        oomScoreAdjustment = process.oomScoreAdj
        if let score = oomScoreAdjustment, !(-1000...1000).contains(score) {
            throw .invalid("process.oomScoreAdj", "\(score) is not in -1000...1000")
        }
        capabilities = try Self.capabilities(process.capabilities)
        limits = try Self.limits(process.rlimits ?? [])
        if let seccomp {
            filter = seccomp.records
            filterFlags = seccomp.flags
        }
    }

    /// The paths that execvp(3) tries, with the container's own PATH.
    private static func candidates(_ program: String, _ environment: [String]) -> [String] {
        if program.contains("/") { return [program] }
        let variable = environment.last { $0.hasPrefix("PATH=") }.map { String($0.dropFirst("PATH=".count)) }
        let search = variable ?? "/bin:/usr/bin"
        return search.split(separator: ":", omittingEmptySubsequences: false).map { directory in
            directory.isEmpty ? "./\(program)" : "\(directory)/\(program)"
        }
    }

    /// The sets by bits.
    ///
    /// Names that this kernel or this shim cannot grant are left out, as the specification asks.
    private static func capabilities(_ sets: RuntimeSpec.Capabilities?) throws(SandboxError) -> Capabilities {
        let own = try step(.credentials) { () throws(KernelError) in try Credentials.permittedCapabilities() }
        func bits(_ names: [String]?) -> CapabilitySet {
            let known = (names ?? []).compactMap { CapabilitySet(name: $0) }
            return known.reduce(CapabilitySet()) { $0.union($1) }.intersection(own)
        }
        let permitted = bits(sets?.permitted)
        let inheritable = bits(sets?.inheritable)
        return Capabilities(
            effective: bits(sets?.effective).intersection(permitted),
            permitted: permitted,
            inheritable: inheritable,
            ambient: bits(sets?.ambient).intersection(permitted).intersection(inheritable),
            bounding: bits(sets?.bounding)
        )
    }

    private static func limits(
        _ limits: [RuntimeSpec.Rlimit]
    ) throws(SandboxError) -> [(resource: Rlimit.Resource, limit: Rlimit)] {
        var result: [(resource: Rlimit.Resource, limit: Rlimit)] = []
        for entry in limits {
            guard let resource = Rlimit.Resource(name: entry.type), entry.type.hasPrefix("RLIMIT_") else {
                throw .invalid("process.rlimits", "unknown limit '\(entry.type)'")
            }
            guard !result.contains(where: { $0.resource == resource }) else {
                throw .invalid("process.rlimits", "\(entry.type) is listed twice")
            }
            result.append((resource, Rlimit(soft: entry.soft, hard: entry.hard)))
        }
        return result
    }

    private static func refuseUnsupported(_ process: RuntimeSpec.Process) throws(SandboxError) {
        let asked: [(String, Bool)] = [
            ("process.apparmorProfile", process.apparmorProfile?.isEmpty == false),
            ("process.selinuxLabel", process.selinuxLabel?.isEmpty == false),
            ("process.scheduler", process.scheduler != nil),
            ("process.ioPriority", process.ioPriority != nil),
            ("process.execCPUAffinity", process.execCPUAffinity != nil),
        ]
        if let field = asked.first(where: \.1) { throw .unsupported(field.0) }
    }
}
