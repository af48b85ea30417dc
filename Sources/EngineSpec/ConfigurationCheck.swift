package import EngineModel
package import Kernel

/// What can be said about a configuration without looking at the node.
///
/// Everything that ends up in a generated file or a system call is looked at here once, image or client alike (security.md
/// R12): later code relies on it.
package enum ConfigurationCheck {
    package static let minimumMemory: Int64 = 6 << 20

    package static func check(_ configuration: ContainerConfiguration, cpus: Int) throws {
        try texts(configuration)
        try resources(configuration.resources, cpus: cpus)
        try process(configuration)
        try policies(configuration)
        _ = try Capabilities.resolve(
            privileged: configuration.privileged,
            adding: configuration.capabilitiesToAdd,
            dropping: configuration.capabilitiesToDrop
        )
    }

    /// A label that nobody would enforce is worse than none, whichever backend is asked to set it.
    ///
    /// `modules` are those that are active here.
    package static func labels(_ configuration: ContainerConfiguration, modules: Set<SecurityModule>) throws {
        let (profile, label) = SpecBuilder.labels(configuration)
        for (option, value, module) in [("apparmor", profile, SecurityModule.appArmor), ("label", label, .selinux)] {
            guard let value else { continue }
            try oneLine(value, "security option '\(option)'")
            guard value.utf8.count < 4096 else {
                throw EngineError.invalid("invalid security option '\(option)': too long")
            }
            guard modules.contains(module) else {
                throw EngineError(
                    .unsupported,
                    "security option '\(option)': '\(value)' cannot be set, \(module.rawValue) is not active in this kernel"
                )
            }
        }
    }

    /// What this kernel cannot give a restricted container of what was asked for, and what it does without.
    ///
    /// - Throws: ``EngineError`` `.unsupported` for rules that are required and that it does not have.
    package static func rules(
        _ configuration: ContainerConfiguration,
        backend: String,
        version: Int = Landlock.version
    ) throws -> String? {
        guard backend == Restriction.backend, configuration.accessRules != .off else { return nil }
        let found = version == 0 ? "no Landlock" : "version \(version) of Landlock"
        if configuration.sharesNamespaces == true, configuration.accessRules != .available, version < scopedLandlock {
            throw EngineError(
                .unsupported,
                "without namespaces rules must bind signals too: the kernel has \(found), and version \(scopedLandlock) "
                    + "(Linux 6.12) is needed; 'berth.landlock=available' does with what there is, 'berth.landlock=off' without"
            )
        }
        guard version < oldestLandlock else { return nil }
        let lack = "the kernel has \(found), and version \(oldestLandlock) (Linux 5.19) is needed"
        guard configuration.accessRules == .required else { return "There are no rules for files: \(lack)." }
        throw EngineError(.unsupported, "security option 'berth.landlock=required': \(lack)")
    }

    private static let (oldestLandlock, scopedLandlock) = (2, 6)

    // Text that must stay on its line -----------------------------------------------------------------------------------

    private static func texts(_ configuration: ContainerConfiguration) throws {
        try oneLine(configuration.hostname, "hostname")
        try oneLine(configuration.domainname, "domainname")
        guard configuration.hostname.utf8.count <= 64 else { throw EngineError.invalid("invalid hostname: too long") }
        guard !configuration.hostname.contains("/"), !configuration.hostname.hasPrefix("-") else {
            throw EngineError.invalid("invalid hostname format: \(configuration.hostname)")
        }
        for host in configuration.extraHosts { try extraHost(host) }
        for text in configuration.dns { try word(text, "dns") }
        for text in configuration.dnsSearch { try word(text, "dns-search") }
        for text in configuration.dnsOptions { try word(text, "dns-option") }
        for (key, value) in configuration.sysctls { try sysctl(key, value, configuration) }
        for (key, value) in configuration.labels { try noNUL(key + value, "label") }
        for (key, value) in configuration.annotations {
            try noNUL(key + value, "annotation")
            guard !key.isEmpty else { throw EngineError.invalid("invalid annotation: empty key") }
            guard !SpecBuilder.isReserved(key) else {
                throw EngineError.invalid(
                    "invalid annotation '\(key)': names that begin with '\(SpecBuilder.reservedPrefix)' are what Berth tells its "
                        + "backends; what they say is chosen by '--security-opt berth.…'"
                )
            }
        }
    }

    package static func noNUL(_ text: String, _ what: String) throws {
        guard !text.utf8.contains(0) else { throw EngineError.invalid("invalid \(what): it contains a NUL byte") }
    }

    static func oneLine(_ text: String, _ what: String) throws {
        guard text.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7f }) else {
            throw EngineError.invalid("invalid \(what): it contains a control character")
        }
    }

    private static func word(_ text: String, _ what: String) throws {
        try oneLine(text, what)
        guard !text.isEmpty, !text.contains(" ") else { throw EngineError.invalid("invalid \(what): '\(text)'") }
    }

    private static func extraHost(_ text: String) throws {
        try oneLine(text, "extra host")
        guard let colon = text.firstIndex(of: ":"), colon != text.startIndex, !text.contains(" "),
            text.index(after: colon) != text.endIndex
        else { throw EngineError.invalid("bad format for add-host: \"\(text)\"") }
    }

    private static func sysctl(_ key: String, _ value: String, _ configuration: ContainerConfiguration) throws {
        try oneLine(key + value, "sysctl '\(key)'")
        guard key.utf8.allSatisfy({ $0 != 0x2b && $0 != 0x3d && $0 != 0x20 }), !key.contains(".."), !key.contains("//")
        else {
            throw EngineError.invalid("invalid sysctl: '\(key)'")
        }
        let plain = key.replacing("/", with: ".")
        if plain.hasPrefix("net.") {
            guard configuration.network != .host else {
                throw EngineError.invalid("sysctl '\(key)' not allowed in host network namespace")
            }
        } else if plain.hasPrefix("fs.mqueue.") || ipcSysctls.contains(plain) {
            guard configuration.ipcMode != .host else {
                throw EngineError.invalid("sysctl '\(key)' not allowed in host ipc namespace")
            }
        } else {
            throw EngineError.invalid("sysctl '\(key)' is not allowed")
        }
    }

    private static let ipcSysctls: Set<String> = [
        "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ]

    // Limits ----------------------------------------------------------------------------------------------------------

    package static func resources(_ limits: ResourceLimits, cpus: Int) throws {
        let memory = limits.memoryInBytes ?? 0
        guard memory >= 0, memory == 0 || memory >= minimumMemory else {
            throw EngineError.invalid("Minimum memory limit allowed is 6MB")
        }
        if let swap = limits.memorySwapInBytes, swap > 0 {
            guard memory > 0 else {
                throw EngineError.invalid(
                    "You should always set the Memory limit when using Memoryswap limit, see usage"
                )
            }
            guard swap >= memory else {
                throw EngineError.invalid("Minimum memoryswap limit should be larger than memory limit, see usage")
            }
        }
        if let reservation = limits.memoryReservationInBytes, reservation > 0 {
            guard reservation >= minimumMemory else {
                throw EngineError.invalid("Minimum memory reservation allowed is 6MB")
            }
            guard memory == 0 || reservation <= memory else {
                throw EngineError.invalid(
                    "Minimum memory limit can not be less than memory reservation limit, see usage"
                )
            }
        }
        if let swappiness = limits.memorySwappiness, swappiness != -1, !(0...100).contains(swappiness) {
            throw EngineError.invalid("Invalid value: \(swappiness), valid memory swappiness range is 0-100")
        }
        try cpu(limits, cpus: cpus)
    }

    private static func cpu(_ limits: ResourceLimits, cpus: Int) throws {
        if let nano = limits.nanoCPUs, nano != 0 {
            guard (limits.cpuPeriodInMicroseconds ?? 0) == 0, (limits.cpuQuotaInMicroseconds ?? 0) == 0 else {
                throw EngineError.invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set")
            }
            guard nano >= 10_000_000, nano <= Int64(cpus) * 1_000_000_000 else {
                throw EngineError.invalid(
                    "range of CPUs is from 0.01 to \(cpus).00, as there are only \(cpus) CPUs available"
                )
            }
        }
        if let shares = limits.cpuShares, shares < 0 {
            throw EngineError.invalid("The minimum allowed cpu-shares is 2")
        }
        if let period = limits.cpuPeriodInMicroseconds, period != 0, !(1000...1_000_000).contains(period) {
            throw EngineError.invalid("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s")
        }
        if let quota = limits.cpuQuotaInMicroseconds, quota > 0, quota < 1000 {
            throw EngineError.invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)")
        }
        for list in [limits.cpusetCPUs, limits.cpusetMemories] {
            guard (list ?? "").utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == 0x2c || $0 == 0x2d }) else {
                throw EngineError.invalid("Invalid value \(list ?? "") for cpuset")
            }
        }
        if let weight = limits.blockIOWeight, weight != 0, !(10...1000).contains(weight) {
            throw EngineError.invalid("Range of blkio weight is from 10 to 1000")
        }
    }

    // Process ---------------------------------------------------------------------------------------------------------

    private static func process(_ configuration: ContainerConfiguration) throws {
        for text in (configuration.entrypoint ?? []) + (configuration.command ?? []) { try noNUL(text, "argument") }
        for text in configuration.environment { try variable(text) }
        try workingDirectory(configuration.workingDirectory)
        try user(configuration.user)
        for group in configuration.additionalGroups {
            try identity(group)
            guard UInt32(group) != nil else {
                throw EngineError.invalid("group '\(group)' is not a number: additional groups are given by their gid")
            }
        }
        if let signal = configuration.stopSignal, !signal.isEmpty { _ = try self.signal(signal) }
        var seen: Set<String> = []
        for limit in configuration.ulimits {
            guard SpecBuilder.rlimits.contains(limit.name) else {
                throw EngineError.invalid("invalid ulimit type: \(limit.name)")
            }
            guard seen.insert(limit.name).inserted else { throw EngineError.invalid("duplicate ulimit: \(limit.name)") }
            guard limit.hard == -1 || (limit.soft != -1 && limit.soft <= limit.hard) else {
                throw EngineError.invalid("ulimit \(limit.name): soft limit must be less than or equal to hard limit")
            }
        }
        if let score = configuration.oomScoreAdjustment, !(-1000...1000).contains(score) {
            throw EngineError.invalid("Invalid value \(score), range for oom score adj is [-1000, 1000]")
        }
    }

    package static func variable(_ text: String) throws {
        try noNUL(text, "environment variable")
        let name = text.prefix { $0 != "=" }
        guard !name.isEmpty else { throw EngineError.invalid("invalid environment variable: \(text)") }
        try oneLine(String(name), "environment variable name")
        if name == "HOME" { try oneLine(text, "environment variable HOME") }
    }

    package static func workingDirectory(_ path: String) throws {
        try oneLine(path, "working directory")
        guard path.isEmpty || path.hasPrefix("/") else {
            throw EngineError.invalid("the working directory '\(path)' is invalid, it needs to be an absolute path")
        }
    }

    /// `user`, `uid`, with or without `:group` or `:gid`; names themselves are looked up in the image at start.
    package static func user(_ text: String) throws {
        guard !text.isEmpty else { return }
        try oneLine(text, "user")
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count <= 2, parts.allSatisfy({ !$0.isEmpty && !$0.contains(" ") }) else {
            throw EngineError.invalid("invalid user '\(text)'")
        }
        for part in parts { try identity(String(part)) }
    }

    /// A number must be an id that exists (security.md R9); anything else is a name.
    private static func identity(_ text: String) throws {
        try oneLine(text, "user or group")
        guard let first = text.utf8.first else { throw EngineError.invalid("invalid group ''") }
        guard (0x30...0x39).contains(first) || first == 0x2d || first == 0x2b else { return }
        guard text.utf8.count <= 10, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt64(text), number <= 4_294_967_294
        else { throw EngineError.invalid("invalid user or group '\(text)': ids are 0 to 4294967294") }
    }

    /// A signal by name, with or without `SIG`, or by number.
    package static func signal(_ text: String) throws -> Signal {
        guard let known = Signal(name: text) else { throw EngineError.invalid("invalid signal: \(text)") }
        return known
    }

    /// Seconds between the stop signal and the kill; -1 waits without end.
    package static func stopTimeout(_ seconds: Int?) throws {
        guard let seconds, !(-1...Int(Int32.max)).contains(seconds) else { return }
        throw EngineError.invalid("invalid stop timeout \(seconds): it is -1 (no end) or 0 to \(Int32.max) seconds")
    }

    private static func policies(_ configuration: ContainerConfiguration) throws {
        try stopTimeout(configuration.stopTimeout)
        if configuration.autoRemove, configuration.restartPolicy != .no {
            throw EngineError.invalid("can't create 'AutoRemove' container with restart policy")
        }
        if case .onFailure(let maximum) = configuration.restartPolicy, maximum < 0 {
            throw EngineError.invalid("invalid restart policy: maximum retry count cannot be negative")
        }
        if case .named(let name) = configuration.network {
            throw EngineError(.notFound, "network \(name) not found")
        }
        if configuration.privileged, configuration.readonlyPaths?.isEmpty == false {
            throw EngineError.invalid("privileged excludes read-only paths")
        }
    }
}
