import Kernel

/// What a spawned program finds: descriptors, mask, session, signals.
func reportFacts() throws {
    let directory = try File.open("/proc/self/fd", .directory)
    let own = String(directory.raw)
    let open = try directory.readDirectory().map(\.name).filter { $0 != own }.compactMap { Int($0) }.sorted()
    report("descriptors", open.map(String.init).joined(separator: ","))
    for descriptor in open {
        report(
            "fd\(descriptor)",
            String(decoding: try RootedDir("/proc/self/fd").readlink("\(descriptor)"), as: UTF8.self)
        )
    }
    for line in try File.readText("/proc/self/status").split(separator: "\n") {
        let parts = line.split(separator: ":", maxSplits: 1).map { $0.filter { $0 != "\t" && $0 != " " } }
        if parts.count == 2 { report(String(parts[0]), String(parts[1])) }
    }
    report("oom", try File.readText("/proc/self/oom_score_adj").filter { $0 != "\n" })
    report("directory", try WorkingDirectory.current())
    // Field 6 of stat is the session, equal to the pid for its leader.
    let stat = try File.readText("/proc/self/stat").split(separator: " ")
    report("leadsSession", stat[5] == stat[0])
    report("arguments", CommandLine.arguments.dropFirst(2).joined(separator: "|"))
}

/// Tries to open the running program for writing, as a container's root would.
func trySealed() throws {
    report("sealed", SealedExecutable.isRunningSealed())
    do {
        _ = try File.open("/proc/self/exe", .write)
        report("writing", "allowed")
    } catch {
        report("writing", error.errno.description)
    }
}

func changeCredentials() throws {
    try ProcessAttributes.setDumpable(false)
    let kept = CapabilitySet(rawValue: 1 << 0 | 1 << 7)  // CAP_CHOWN, CAP_SETUID
    try Credentials.limitBounding(to: kept)
    try Credentials.setSupplementaryGroups([1000, 77])
    try Credentials.setGroup(1000)
    try Credentials.setKeepCapabilities(true)
    try Credentials.setUser(1000)
    try Credentials.setCapabilities(Capabilities(effective: kept, permitted: kept, inheritable: kept, bounding: kept))
    try Credentials.setAmbient(CapabilitySet(rawValue: 1))
    try Credentials.setNoNewPrivileges()
    let ids = try Credentials.currentIDs()
    report("users", ids.users.map(String.init).joined(separator: ","))
    report("groups", ids.groups.map(String.init).joined(separator: ","))
    report("supplementary", ids.supplementary.map(String.init).sorted().joined(separator: ","))
    let sets = try Credentials.capabilities()
    report("effective", sets.effective.names.joined(separator: ","))
    report("ambient", sets.ambient.names.joined(separator: ","))
    report("bounding", sets.bounding.names.joined(separator: ","))
}

func receiveSignal() throws {
    let signals = try SignalFd(SignalSet([.terminate, .user1]))
    try Signals.send(.user1, toChild: Credentials.processID)
    report("ready", try signals.poll(for: .readable, timeout: .seconds(5)).contains(.readable))
    let received = try signals.next()
    report("signal", received?.signal.name ?? "none")
    report("fromMyself", received?.sender == Credentials.processID)
    report("another", try signals.next() != nil)
}
