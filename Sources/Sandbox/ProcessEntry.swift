internal import DocumentTexts
internal import Kernel

/// The last steps before a program runs, the same for a container's first process and for every further one.
///
/// Runs in the child, inside the container's root and namespaces.
struct ProcessEntry {
    let plan: ProcessPlan
    /// The conversation with the parent, which a filter with a listener needs.
    let channel: HandshakeEnd
    /// The terminal, when the process has one.
    var terminal: RawDescriptor?
    /// The process that executes the program in place of the caller, which makes its own session; nil when that is the caller.
    var handOver: ExecHandOver?

    /// Becomes the program.
    ///
    /// Returns only by an error.
    func run() throws(SandboxError) -> Never {
        let root = try step(.workingDirectory) { () throws(KernelError) in try RootedDir("/") }
        let user = try resolveUser(root)
        let environment = try step(.user) { () throws(KernelError) in
            try ArgumentVector(completeEnvironment(for: user))
        }
        try placeStreams(owner: user.uid)
        try enterWorkingDirectory(root)
        try closeOthers()
        try setAttributes()
        Umask.set(plan.umask)
        // They take memory, a file and descriptors, of which the limits may leave none.
        let announcement = try announcement()
        let successor = try handOver?.prepare(environment)
        try setLimits()
        try runStartHooks(user)
        try setDeadline()
        try takeIdentity(user, announcement)
        if let handOver, let successor { try handOver.run(successor) }
        try execute(environment)
    }

    /// Keeps from the program what is not meant for it.
    private func closeOthers() throws(SandboxError) {
        try step(.exec) { () throws(KernelError) in
            let first = 3 + RawDescriptor(clamping: plan.preservedDescriptors)
            for number in 3..<first { try BorrowedDescriptor(number).setCloseOnExec(false) }
            try DescriptorTable.setCloseOnExec(from: UInt32(first))
        }
    }

    /// What needs rights that the process is about to give up, and what its filter may forbid it.
    private func setAttributes() throws(SandboxError) {
        // Keys of who started the shim are not the container's, and those of the container nobody else's.
        try step(.credentials) { () throws(KernelError) in try Credentials.newSessionKeyring() }
        try step(.limits) { () throws(KernelError) in
            if let processors = plan.finalProcessors {
                do throws(KernelError) { try processors.bindProcessors() } catch {
                    throw error.about("process.execCPUAffinity.final")
                }
            }
            if let policy = plan.memoryPolicy {
                do throws(KernelError) { try policy.apply() } catch { throw error.about("linux.memoryPolicy") }
            }
            if let personality = plan.personality {
                do throws(KernelError) { try ExecutionDomain.set(personality) } catch {
                    throw error.about("linux.personality")
                }
            }
        }
    }

    private func setLimits() throws(SandboxError) {
        for entry in plan.limits {
            try step(.limits) { () throws(KernelError) in try Rlimit.set(entry.resource, entry.limit) }
        }
    }

    /// A process with a deadline cannot be forked, so it gets one last.
    private func setDeadline() throws(SandboxError) {
        guard let scheduler = plan.scheduler, scheduler.policy == .deadline, handOver == nil else { return }
        try step(.limits) { () throws(KernelError) in
            do throws(KernelError) { try scheduler.apply() } catch { throw error.about("process.scheduler") }
        }
    }

    private func resolveUser(_ root: borrowing RootedDir) throws(SandboxError) -> ResolvedUser {
        var user: ResolvedUser
        switch plan.user {
        case .name(let text):
            // Only what is absent counts as empty; a file that cannot be read as one is an error, not "no entry".
            let database = UserDatabase(
                passwd: try read(root, "/etc/passwd", orEmpty: false),
                group: try read(root, "/etc/group", orEmpty: false)
            )
            user = try reading(.user) { () throws(TextError) in try database.resolve(text) }
        case .ids(let uid, let gid):
            user = ResolvedUser(uid: uid, gid: gid)
            if plan.lacksHome {
                let passwd = try read(root, "/etc/passwd", orEmpty: true)
                user.home = UserDatabase(passwd: passwd, group: []).home(of: uid)
            }
        }
        let known = Set(user.groups)
        user.groups += plan.additionalGroups.filter { !known.contains($0) }
        // A process in a group must be subject to what the group is denied.
        if !user.groups.contains(user.gid) { user.groups.insert(user.gid, at: 0) }
        return user
    }

    private func read(
        _ root: borrowing RootedDir,
        _ path: String,
        orEmpty forgiving: Bool
    ) throws(SandboxError) -> [UInt8] {
        do throws(KernelError) {
            return try readRegularFile(root, path)
        } catch {
            if forgiving || error.errno == .noEntry || error.errno == .notDirectory { return [] }
            throw .failed(.user, error.about(path))
        }
    }

    /// Reads a file of the container without help of any `/proc`, which is the container's here.
    ///
    /// It is looked at before it is opened, because opening a device or a pipe can already do something, and again after,
    /// because another process of the container may have put something else there. What that one could make us open then
    /// it could open itself.
    private func readRegularFile(_ root: borrowing RootedDir, _ path: String) throws(KernelError) -> [UInt8] {
        let seen = try root.openPath(path, follow: true)
        guard try seen.status().isRegular else {
            throw .failed("open", path, .invalid, detail: "not a regular file")
        }
        let file = try root.open(path, [.read, .nonBlocking, .noControllingTerminal])
        guard try file.status().isRegular else {
            throw .failed("open", path, .invalid, detail: "not a regular file")
        }
        return try file.readToEnd(limit: UserDatabase.fileLimit)
    }

    private func completeEnvironment(for user: ResolvedUser) -> [String] {
        plan.lacksHome ? plan.environment + ["HOME=\(user.home ?? "/")"] : plan.environment
    }

    /// Puts the three streams in place.
    ///
    /// They become the user's, so that the program can open them again by `/dev/stdout` and its like.
    private func placeStreams(owner: UInt32) throws(SandboxError) {
        try step(.console) { () throws(KernelError) in
            let sources: [RawDescriptor]
            if let terminal {
                if handOver == nil { try Pty.makeControllingTerminal(terminal) }
                sources = [terminal, terminal, terminal]
            } else {
                sources = plan.streams ?? []
            }
            for (target, source) in sources.enumerated() {
                try DescriptorTable.place(source, at: RawDescriptor(target))
            }
            guard owner != 0 else { return }
            for number: RawDescriptor in 0...2 {
                let stream = BorrowedDescriptor(number)
                let status = try stream.status()
                let isOurs = status.kind == .fifo || status.kind == .socket || terminal != nil
                guard isOurs, status.uid != owner else { continue }
                try naming("process.user.uid", "\(owner)") { () throws(KernelError) in
                    try stream.changeOwner(uid: owner, gid: status.gid)
                }
            }
        }
    }

    /// Does something with ids; what the kernel means by EINVAL is that the user namespace has not got them.
    private func naming(
        _ field: String,
        _ ids: String,
        _ body: () throws(KernelError) -> Void
    ) throws(KernelError) {
        do throws(KernelError) { try body() } catch {
            guard error.errno == .invalid else { throw error }
            let reason = "\(ids) is not mapped in the container's user namespace"
            throw .failed(error.operation, field, .invalid, detail: reason)
        }
    }

    private static func list(_ ids: [UInt32]) -> String {
        ids.prefix(20).map { "\($0)" }.joined(separator: ", ") + (ids.count > 20 ? ", …" : "")
    }

    /// Enters the working directory inside the root, never through a magic link, and looks where that led.
    private func enterWorkingDirectory(_ root: borrowing RootedDir) throws(SandboxError) {
        let path = plan.workingDirectory
        do throws(KernelError) {
            let directory = try root.open(path, [.path, .directory])
            try WorkingDirectory.change(to: directory.raw)
            let reached = try WorkingDirectory.current()
            guard reached.hasPrefix("/") else {
                throw .failed("enter", path, .accessDenied, detail: "it lies outside of the root")
            }
        } catch {
            throw .failed(.workingDirectory, .failed("enter", path, error.errno, detail: error.detail))
        }
    }

    /// Labels, groups, ids and capabilities, then rules and filter; every step is looked at again before the program may run.
    ///
    /// `announcement`: for a filter with a listener that this process loads itself.
    func takeIdentity(_ user: ResolvedUser, _ announcement: FilterAnnouncement?) throws(SandboxError) {
        // Without no_new_privs rules and filter need CAP_SYS_ADMIN: they are loaded before that capability goes, if it goes.
        let loadsEarly = !plan.filterIsLast && (!plan.filter.isEmpty || plan.rules != nil)
        try plan.labels.apply()
        try step(.credentials) { () throws(KernelError) in
            try Credentials.limitBounding(to: plan.capabilities.bounding)
            try Credentials.setKeepCapabilities(true)
            // First the one that is among the others too.
            try naming("process.user.gid", "\(user.gid)") { () throws(KernelError) in
                try Credentials.setGroup(user.gid)
            }
            try naming("process.user.additionalGids", "one of \(Self.list(user.groups))") { () throws(KernelError) in
                try Credentials.setSupplementaryGroups(user.groups)
            }
            try naming("process.user.uid", "\(user.uid)") { () throws(KernelError) in
                try Credentials.setUser(user.uid)
            }
            // The change of the user sets it as fs.suid_dumpable says.
            try ProcessAttributes.setDumpable(false)
            if plan.noNewPrivileges { try Credentials.setNoNewPrivileges() }
        }
        try verifyIDs(user)
        if loadsEarly {
            try step(.credentials) { () throws(KernelError) in
                // Changing the user emptied the effective set; the permitted one was kept for this.
                var sets = try Credentials.capabilities()
                sets.effective = (CapabilitySet(name: "CAP_SYS_ADMIN") ?? []).union(plan.capabilities.effective)
                sets.permitted = sets.effective.union(plan.capabilities.permitted)
                sets.inheritable = plan.capabilities.inheritable
                try Credentials.setCapabilities(sets)
            }
            try restrict()
            if !plan.filter.isEmpty { try loadFilter(announcement) }
        }
        try step(.credentials) { () throws(KernelError) in
            try Credentials.setCapabilities(plan.capabilities)
            try Credentials.setAmbient(plan.capabilities.ambient)
            try Credentials.setKeepCapabilities(false)
        }
        try verifyCapabilities()
        guard !loadsEarly else { return }
        try restrict()
        if !plan.filter.isEmpty, handOver?.loadsFilter != true { try loadFilter(announcement) }
    }

    /// Holds the process to the rules, before the filter, which need not let it.
    private func restrict() throws(SandboxError) {
        guard let rules = plan.rules else { return }
        try step(.rules) { () throws(KernelError) in
            try rules.allowStreams()
            try rules.kernel.restrict()
        }
    }

    private func loadFilter(_ announcement: FilterAnnouncement?) throws(SandboxError) {
        try step(.seccomp) { () throws(KernelError) in
            guard let announcement else {
                _ = try SeccompFilter.load(plan.filter, flags: plan.filterFlags)
                return
            }
            // From here on nothing is called but what the program's own execution takes.
            announcement.handover.keep()
            try channel.send(.filterNext, passing: [announcement.process.raw, announcement.handover.memory.raw])
            try SeccompFilter.load(plan.filter, flags: plan.filterFlags, handingOver: announcement.handover)
        }
    }

    /// What a filter with a listener takes; nil where this process loads none.
    func announcement() throws(SandboxError) -> FilterAnnouncement? {
        guard plan.listener != nil, !plan.filter.isEmpty, handOver?.loadsFilter != true else { return nil }
        return try step(.seccomp) { () throws(KernelError) in
            FilterAnnouncement(
                process: SharedDescriptor(try Pidfd(pid: Credentials.processID).intoDescriptor()),
                handover: try ListenerHandover()
            )
        }
    }

    private func verifyIDs(_ user: ResolvedUser) throws(SandboxError) {
        let ids = try step(.credentials) { () throws(KernelError) in try Credentials.currentIDs() }
        guard ids.users == [user.uid, user.uid, user.uid], ids.groups == [user.gid, user.gid, user.gid],
            Set(ids.supplementary) == Set(user.groups)
        else {
            throw .refused(.credentials, "verify ids", "", "the process has other ids than asked for", code: .internal)
        }
    }

    private func verifyCapabilities() throws(SandboxError) {
        let sets = try step(.credentials) { () throws(KernelError) in try Credentials.capabilities() }
        guard sets == plan.capabilities else {
            throw .refused(
                .credentials,
                "verify capabilities",
                "",
                "the process has other sets than asked for",
                code: .internal
            )
        }
    }

    /// Tries the candidates in order, as execvp(3) does.
    private func execute(_ environment: ArgumentVector) throws(SandboxError) -> Never {
        var refusal: Errno?
        for candidate in plan.candidates {
            do throws(KernelError) {
                try Exec.replace(candidate, arguments: plan.arguments, environment: environment)
            } catch {
                switch error.errno {
                case .noEntry, .notDirectory: continue
                case .accessDenied: refusal = .accessDenied
                default: throw .failed(.exec, "execute", plan.program, error.errno)
                }
            }
        }
        throw plan.noProgram(refusal)
    }
}

/// What the parent gets of a process that is about to load a filter with a listener.
struct FilterAnnouncement {
    /// A pidfd of the process itself.
    let process: SharedDescriptor
    /// Where it tells the number of the listener.
    let handover: ListenerHandover
}
