internal import Cgroups
internal import DocumentTexts
internal import Kernel
internal import MountTrees
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
    /// How an additional process is cloned in spite of the filter.
    var cloning = ExecCloning.newer
    /// How many descriptors from 3 on stay open for the program.
    var preservedDescriptors = 0
    /// What it may do with files; nil leaves that to the mounts.
    var rules: SandboxRules?
    /// Who answers the filter's questions.
    var listener: SeccompListener?
    var labels: SecurityLabels
    var scheduler: SchedulingAttributes?
    var ioPriority: IOPriorityValue?
    /// Processors while an exec session is set up, and when its program runs; the container's first process has none.
    var initialProcessors: NumberSet?
    var finalProcessors: NumberSet?
    var personality: UInt?
    var memoryPolicy: MemoryPolicy?
    /// Group of the processor's resources.
    var resourceControl: ResourceControl?
    /// Hooks that run as the process would, before it.
    var startHooks: StartHooks?
    /// What was left out without being an error.
    var warnings: [String]

    /// Who the process runs as.
    enum UserSource {
        /// Ids of the document.
        case ids(uid: UInt32, gid: UInt32)
        /// A text that the container's own files resolve.
        case name(String)
    }

    var additionalGroups: [UInt32] = []

    /// The descriptors of the caller that the child needs: those that its program gets, those that the streams come from,
    /// and what the last steps before the program use.
    var keptDescriptors: [RawDescriptor] {
        var kept = (streams ?? []) + (3..<3 + RawDescriptor(clamping: preservedDescriptors))
        if let procfs = labels.procfs { kept.append(procfs.mount.raw) }
        if let hooks = startHooks { kept.append(hooks.null.raw) }
        if let rules { kept.append(rules.descriptor.raw) }
        return kept
    }

    /// Whether filter and rules can be loaded with nothing but what the program has: else that takes CAP_SYS_ADMIN, before it goes.
    var filterIsLast: Bool {
        noNewPrivileges || capabilities.effective.contains(CapabilitySet(name: "CAP_SYS_ADMIN") ?? [])
    }

    /// Whether an additional process waits for the parent before its program.
    var waitsForParent: Bool { schedulingEndsWithFork || (listener != nil && cloning != .beforeFilter) }

    /// Whether HOME must be looked up.
    var lacksHome: Bool { !environment.contains { $0.hasPrefix("HOME=") } }
}

extension ProcessPlan {
    /// Reads and checks a document's process.
    ///
    /// - Parameters:
    ///   - process: The section.
    ///   - streams: Its standard streams.
    ///   - seccomp: Its filter.
    ///   - answers: What the caller answers the filter's questions by; nil when it does not.
    ///   - surroundings: What the process takes from its container; nil when nothing is known of that.
    ///   - isFirst: Whether it is the container's first process.
    ///   - grantable: The capabilities that the process can get; nil for those of the caller.
    /// - Throws: `invalidArgument` or `unsupported` with the field.
    init(
        _ process: RuntimeSpec.Process,
        streams: SandboxStreams,
        seccomp: SeccompProgram?,
        answers: SeccompProgram? = nil,
        surroundings: SandboxSurroundings? = nil,
        isFirst: Bool = false,
        grantable: CapabilitySet? = nil
    ) throws(SandboxError) {
        guard let args = process.args, let program = args.first, !program.isEmpty else {
            throw .invalid("process.args", "empty")
        }
        workingDirectory = process.cwd ?? "/"
        guard workingDirectory.hasPrefix("/"), !workingDirectory.utf8.contains(0), workingDirectory.utf8.count < 4096
        else {
            throw .invalid(
                "process.cwd",
                "'\(workingDirectory.prefix(200))' is not an absolute path of up to 4095 bytes"
            )
        }
        switch streams {
        case .descriptors(let input, let output, let error): self.streams = [input, output, error]
        case .terminal: self.streams = nil
        }
        consoleSize = self.streams == nil ? try Self.consoleSize(process.consoleSize) : nil
        let user = process.user ?? RuntimeSpec.User()
        if let name = user.username, !name.isEmpty {
            self.user = .name(name)
        } else {
            guard user.uid != .max, user.gid != .max else { throw .invalid("process.user", "id out of range") }
            self.user = .ids(uid: user.uid, gid: user.gid)
        }
        additionalGroups = try Self.groups(user.additionalGids ?? [])
        umask = (user.umask ?? 0o022) & 0o777
        environment = process.env ?? []
        _ = try Self.vector(environment, "process.env")
        arguments = try Self.vector(args, "process.args")
        self.program = program
        candidates = Self.candidates(program, environment)
        noNewPrivileges = process.noNewPrivileges ?? false
        oomScoreAdjustment = process.oomScoreAdj
        if let score = oomScoreAdjustment, !(-1000...1000).contains(score) {
            throw .invalid("process.oomScoreAdj", "\(score) is not in -1000...1000")
        }
        let own = try step(.credentials) { () throws(KernelError) in try Credentials.permittedCapabilities() }
        let granted = GrantedCapabilities(process.capabilities, grantable: grantable ?? own)
        capabilities = granted.sets
        warnings = granted.warnings
        limits = try Self.limits(process.rlimits ?? [])
        labels = try SecurityLabels(process)
        try readAttributes(process, surroundings, isFirst: isFirst)
        if let seccomp {
            filter = seccomp.records
            filterFlags = seccomp.flags
            if !isFirst { cloning = try ExecCloning(answers ?? seccomp, loadsLast: filterIsLast) }
        }
        listener = try SeccompListener.plan(
            surroundings,
            asks: seccomp?.asks ?? false,
            isCaller: answers != nil,
            flags: filterFlags
        )
    }

    /// The longest text that exec takes (MAX_ARG_STRLEN), its end included.
    private static let longestText = 1 << 17

    private static func vector(_ texts: [String], _ field: String) throws(SandboxError) -> ArgumentVector {
        for text in texts {
            guard !text.utf8.contains(0) else { throw .invalid(field, "a NUL byte") }
            guard text.utf8.count < longestText else {
                throw .invalid(field, "a text of \(text.utf8.count) bytes, the kernel takes \(longestText - 1)")
            }
        }
        do throws(KernelError) { return try ArgumentVector(texts) } catch { throw .invalid(field, error.description) }
    }

    private mutating func readAttributes(
        _ process: RuntimeSpec.Process,
        _ surroundings: SandboxSurroundings?,
        isFirst: Bool
    ) throws(SandboxError) {
        if let asked = process.scheduler { scheduler = try Self.scheduler(asked) }
        if let asked = process.ioPriority { ioPriority = try Self.ioPriority(asked) }
        if let asked = surroundings?.personality { personality = try Self.personality(asked) }
        if let asked = surroundings?.memoryPolicy { memoryPolicy = try Self.memoryPolicy(asked) }
        if let surroundings, let asked = surroundings.intelRdt {
            resourceControl = try limiting { () throws(CgroupError) in
                try ResourceControl(asked, id: surroundings.state.id, isFirst: isFirst)
            }
        }
        let lists = [("initial", process.execCPUAffinity?.initial), ("final", process.execCPUAffinity?.final)]
        for (name, list) in lists {
            guard let list, !list.isEmpty else { continue }
            let set = try reading(.specification) { () throws(TextError) in
                try NumberList.parse(list, field: "process.execCPUAffinity.\(name)")
            }
            if isFirst { continue }
            if name == "initial" { initialProcessors = set } else { finalProcessors = set }
        }
    }

    private static func groups(_ ids: [UInt32]) throws(SandboxError) -> [UInt32] {
        let field = "process.user.additionalGids"
        guard !ids.contains(.max) else { throw .invalid(field, "\(UInt32.max) is no id") }
        var seen = Set<UInt32>()
        let groups = ids.filter { seen.insert($0).inserted }
        guard groups.count < mostGroups else {
            throw .invalid(field, "\(groups.count) groups, the kernel takes \(mostGroups) with the process's own")
        }
        return groups
    }

    /// NGROUPS_MAX.
    private static let mostGroups = 65_536

    private static func consoleSize(_ size: RuntimeSpec.ConsoleSize?) throws(SandboxError) -> Pty.Size? {
        guard let size else { return nil }
        guard let rows = UInt16(exactly: size.height), let columns = UInt16(exactly: size.width) else {
            throw .invalid("process.consoleSize", "\(size.height) by \(size.width) is more than 65535")
        }
        return Pty.Size(rows: rows, columns: columns)
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
}
