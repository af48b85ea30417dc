internal import FoundationEssentials
internal import OCISpec
internal import Seccomp

// The form that docker, podman and Kubernetes read.

extension WorkloadProfile {
    /// What runc and crun call themselves between loading the filter and the program's execve: Berth loads it last, and needs
    /// none of it.
    static let runtimeCalls = """
        brk capget capset chdir clock_gettime clone:0 close close_range dup3 epoll_create1 epoll_ctl epoll_pwait execve execveat
        faccessat faccessat2 fchdir fchown fcntl:F_DUPFD fcntl:F_DUPFD_CLOEXEC fcntl:F_GETFD fcntl:F_GETFL fcntl:F_SETFD
        fcntl:F_SETFL fstat fstatfs futex getcwd getdents64 getegid geteuid getgid getpid getppid gettid getuid lseek lstat
        madvise mmap:PROT_NONE mmap:PROT_READ mmap:PROT_READ|PROT_WRITE mprotect:PROT_NONE mprotect:PROT_READ
        mprotect:PROT_READ|PROT_WRITE munmap nanosleep newfstatat openat pidfd_open pipe2 prctl:PR_CAPBSET_DROP
        prctl:PR_CAPBSET_READ prctl:PR_CAP_AMBIENT prctl:PR_GET_DUMPABLE prctl:PR_GET_KEEPCAPS prctl:PR_GET_PDEATHSIG
        prctl:PR_GET_SECUREBITS prctl:PR_SET_CHILD_SUBREAPER prctl:PR_SET_DUMPABLE prctl:PR_SET_KEEPCAPS prctl:PR_SET_NAME
        prctl:PR_SET_NO_NEW_PRIVS prctl:PR_SET_PDEATHSIG prctl:PR_SET_SECUREBITS read readlinkat recvmsg rseq rt_sigaction
        rt_sigprocmask sched_getaffinity sched_yield sendmsg set_robust_list setfsgid setfsuid setgid setgroups setresgid
        setresuid setuid sigaltstack stat statfs statx tgkill umask write
        """

    /// The profile in Docker's JSON form, the content of `--security-opt seccomp=FILE`.
    ///
    /// - Parameter exact: Whether to say what Berth enforces and no more; runtimes that load a filter early do not start with it.
    /// - Returns: The document.
    /// - Throws: What the encoder throws; nothing for a profile.
    package func exported(exact: Bool = false) throws -> [UInt8] {
        var profile = self
        if !exact {
            let words = Self.runtimeCalls.split(whereSeparator: { $0 == " " || $0 == "\n" })
            // A machine that has no such call needs none.
            profile.allow(words.compactMap { try? CallSelector(parsing: String($0)) })
        }
        let filter = profile.filter
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(filter)) + [0x0a]
    }

    /// What came of reading another form.
    package struct Import: Sendable, Equatable {
        /// The profile.
        package var profile: WorkloadProfile
        /// Dangerous calls that were left out, for nobody has named them.
        package var leftOut: [String]
        /// Calls whose conditions are no classes: left out as well.
        package var inexpressible: [String]
        /// Names of allowed calls that this machine does not have.
        package var unknown: [String] = []
    }

    /// Reads Docker's JSON form, by asking the filter that it means about every call and class.
    ///
    /// - Parameters:
    ///   - json: The document.
    ///   - name: What the profile is called from now on.
    ///   - named: Dangerous calls that the operator wants.
    ///   - kernel: Release of the running kernel, for rules with a `minKernel`.
    /// - Returns: A profile that allows nothing that the document does not.
    /// - Throws: `ProfileError` or `SeccompError` for a document that is none, or that allows nothing.
    package static func imported(
        _ json: [UInt8],
        name: String,
        naming named: [CallSelector],
        kernel: String
    ) throws -> Import {
        var result = Import(profile: try WorkloadProfile(name: name), leftOut: [], inexpressible: [])
        let filter = try DockerProfile.parse(json, capabilities: [], kernel: kernel)
        let open = try AllowedCalls(filter)
        for (call, openness) in open.calls.sorted(by: { $0.key < $1.key }) { result.take(call, openness, named) }
        // What is named and not allowed by the document is not brought in by the back door.
        result.profile.allowed = named.filter { open.contains($0.name, $0.argument) }
        let names = (filter.syscalls ?? []).filter { $0.action == .allow }.flatMap(\.names)
        result.unknown = Set(names.filter { SyscallNames.number(of: $0) == nil }).sorted()
        guard !result.profile.isEmpty else {
            throw ProfileError.malformed("the document allows no system call that can be taken over")
        }
        return result
    }
}

extension WorkloadProfile.Import {
    fileprivate mutating func take(_ name: String, _ openness: AllowedCalls.Openness, _ named: [CallSelector]) {
        var call = WorkloadProfile.Call()
        guard let kind = ArgumentClass(call: name) else {
            guard openness == .whole else { return inexpressible.append(name) }
            let isNamed = named.contains { $0.matches(name, nil) }
            if !isNamed, DangerousCalls.reason(name: name, argument: nil) != nil { return leftOut.append(name) }
            profile.calls[name] = call
            return
        }
        let values: Set<UInt64>
        switch openness {
        case .conditional: return inexpressible.append(name)
        case .classes(let some): values = some
        case .whole:
            if DangerousCalls.reason(name: name, argument: nil) == nil {
                call.isWhole = true
                profile.calls[name] = call
                return
            }
            values = Set(kind.named + kind.namedProtocols + [0])
        }
        for value in values.sorted() {
            let isNamed = named.contains { $0.matches(name, value) }
            if !isNamed, DangerousCalls.reason(name: name, argument: value) != nil {
                leftOut.append(CallSelector(name: name, argument: value).description)
            } else {
                call.classes[value] = WorkloadProfile.Use()
            }
        }
        if !call.classes.isEmpty { profile.calls[name] = call }
    }
}
