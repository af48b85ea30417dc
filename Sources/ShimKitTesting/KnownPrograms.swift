internal import Kernel

extension ShimProgram {
    /// containerd's own shim with runc, where distributions install it; what it passes proves the suite.
    public static let containerdRunc: ShimProgram = {
        var program = ShimProgram(name: "runc", path: "/usr/bin/containerd-shim-runc-v2", exceptions: runcExceptions)
        program.unsteady = [
            "limitsAreSet": "the Go runtime raises RLIMIT_NOFILE for itself, and its old value comes back late",
            "flagsOfBinds": "'atime' does not undo what the source is mounted with",
            "failedPoststartHookIsAnError": "whether its shim still knows the container is a matter of time",
        ]
        return program
    }()

    /// The same shim with crun.
    public static let containerdCrun: ShimProgram = {
        var program = ShimProgram(name: "crun", path: containerdRunc.path, exceptions: crunExceptions)
        program.runtime = "/usr/bin/crun"
        program.unsteady = [
            "hooksRunInOrder": "poststart hooks run beside those of the container",
            "execHasATerminalOfItsSize": "the size is set after the program runs",
            "errorOfTheDefaultIsItsOwn":
                "its own last calls are filtered, and more of them at some times than at others",
        ]
        program.prefix = prefix(of: "crun")
        return program
    }()

    /// Berth's own shim over a runtime.
    ///
    /// - Parameters:
    ///   - path: The shim's executable.
    ///   - runtime: Absolute path of the runtime.
    /// - Returns: The program, as this runtime needs it.
    public static func oci(_ path: String, runtime: String) -> ShimProgram {
        var program = ShimProgram(name: "oci with \(runtime)", path: path)
        program.runtime = runtime
        program.prefix = prefix(of: runtime)
        return program
    }

    /// A command that runs a shim so that its runtime works here.
    private static func prefix(of runtime: String) -> [String] {
        // crun takes no hierarchies of both versions at once: the shim does not see the second where it is beside the first.
        guard runtime.hasSuffix("crun"), File.exists("/sys/fs/cgroup/unified/cgroup.controllers") else { return [] }
        return [
            "/usr/bin/unshare", "-m", "--propagation", "private", "/bin/sh", "-ec",
            "mount -t tmpfs tmpfs /sys/fs/cgroup/unified; exec \"$0\" \"$@\"",
        ]
    }

    /// One reason for several checks.
    private static func because(_ reason: String, _ checks: String...) -> [String: String] {
        Dictionary(uniqueKeysWithValues: checks.map { ($0, reason) })
    }

    private static func merged(_ lists: [String: String]...) -> [String: String] {
        lists.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    }

    /// What is newer than both (runtime-spec 1.1 to 1.3).
    private static let newerThanBoth = merged(
        because(
            "the field is newer than this version, and ignored",
            "schedulerIsSet",
            "idleSchedulerIsSet",
            "schedulerFlagsAreSet",
            "unknownSchedulerIsRefused",
            "realTimeSchedulerIsSet",
            "unknownSchedulerFlagIsRefused",
            "ioPriorityIsSet",
            "idleIOPriorityIsSet",
            "unknownIOClassIsRefused",
            "execHasItsAffinity",
            "execHasItsScheduling",
            "memoryPolicyIsSet",
            "unknownMemoryPolicyIsRefused",
            "offsetsNeedAnOwnNamespace",
            "interfaceIsMoved",
            "movedInterfaceIsThere",
            "movedInterfaceClashesWithNone",
            "cpuBurstReachesItsFile"
        ),
        because(
            "time namespaces are newer than this version",
            "newTimeNamespace",
            "timeNamespaceIsJoinedByPath",
            "clocksAreOffset",
            "execIsInTheTimeNamespace"
        ),
        because("not looked at", "annotationsHaveKeys", "limitIsListedOnce", "ruleHasNames"),
        because("any file at the place is taken for the device", "deviceIsNotAnotherThanTheFileThere"),
        because("the field is not read for further processes", "execHasItsOOMScore"),
        because(
            "mounts are mapped with mappings of their own at most, and not recursively",
            "mountHasTheMappingOfTheContainer",
            "mountsBelowAreMappedToo"
        )
    )

    private static let runcExceptions = merged(
        newerThanBoth,
        because("its delete wants a file that only its Create writes", "deleteOfNothingSucceeds"),
        because("poststart hooks run at the end of create", "hooksRunInOrder", "stateIsOnTheInputOfPoststart"),
        because("start does not wait for the hooks in the container", "failedStartContainerHookIsAnError"),
        because("the first hook that fails ends the list", "failedPoststopHookStopsNothing"),
        because("not looked at", "versionIsOfTheGrammar", "versionIsThere", "versionFromTheFutureIsRefused"),
        because("of runtime-spec 1.1", "domainnameIsSet"),
        because("mappings of a mount are ignored", "mappingsOfAMountComeInPairs", "mountIsMapped"),
        because("handed to the file system as its own option", "defaultsIsAccepted"),
        because("the field is ignored", "personalityIsSet", "unknownPersonalityIsRefused", "cpuIdleReachesItsFile"),
        because("wants mappings as well", "userNamespaceIsJoinedByPath"),
        because("set before the root is the root, and lost", "rootIsShared"),
        because("its own bind of the root fails", "rootIsUnbindable"),
        because("flags are refused whatever they are", "flagsAreAccepted"),
        because("an error for an action that has none is ignored", "errorIsOnlyForErrors"),
        because("the mask is not set for further processes", "execIsWhoItSays"),
        because("the files stay the host's", "cgroupOfAMappedContainerIsItsOwn"),
        KernelFeature.cgroup2.isPresent
            ? [:] : because("of hierarchies of both versions only the first's are used", "hugePagesReachesItsFile")
    )

    private static let crunExceptions = merged(
        newerThanBoth,
        because("its delete wants a file that only its Create writes", "deleteOfNothingSucceeds"),
        because("the status says 'created'", "stateIsOnTheInputOfCreateRuntime", "stateIsOnTheInputOfCreateContainer"),
        because("bundle and pid are not the container's", "stateIsOnTheInputOfStartContainer"),
        because(
            "poststop hooks do not run after a hook that failed",
            "failedPrestartHookIsAnError",
            "failedCreateRuntimeHookIsAnError",
            "failedCreateContainerHookIsAnError"
        ),
        because("only a warning", "failedStartContainerHookIsAnError", "failedPoststartHookIsAnError"),
        because("0 is no limit", "hookTimeoutIsPositive"),
        because("only 1.0 is accepted", "laterMinorVersionIsAccepted"),
        because(
            "a word that undoes another is not obeyed",
            "flagsOfNewFileSystems",
            "flagsOfBinds",
            "laterFlagsOfTheFileSystemWin"
        ),
        because(
            "handed to the file system as its own option",
            "loudIsAccepted",
            "silentIsAccepted",
            "iversionIsAccepted",
            "noiversionIsAccepted"
        ),
        because("the word is ignored", "nosymfollowIsObeyed"),
        because("times of access are not cleared first", "recursiveAttributes"),
        because(
            "its last step makes all mounts private",
            "propagationOfSlave",
            "propagationOfRslave",
            "propagationOfShared",
            "propagationOfRshared",
            "propagationOfUnbindable",
            "propagationOfRunbindable"
        ),
        because(
            "not looked at",
            "workingDirectoryIsAbsolute",
            "namespaceIsListedOnce",
            "deviceIsOfAKnownType",
            "unknownPropagationIsRefused"
        ),
        because("ignored without the kernel's part", "resourceControlNeedsItsFileSystem", "labelOfMountsNeedsSELinux"),
        KernelFeature.cgroup2.isPresent ? crunExceptionsOfVersion2 : crunExceptionsOfVersion1
    )

    private static let crunExceptionsOfVersion1 = merged(
        because("-1 is written as it is", "pidsLimitOfNoneReachesItsFile"),
        because("the cgroup stays after a refusal", "hugePagesReachesItsFile", "limitBelowNothingIsRefused")
    )

    private static let crunExceptionsOfVersion2 = because(
        "the cgroup stays after a refusal",
        "offsetIsOfAKnownClock",
        "mappingsOfAMountComeInPairs",
        "unifiedFileOfAnAbsentController",
        "pathOfANamespaceIsAbsolute",
        "pathOfANamespaceIsOfItsType",
        "pathOfANamespaceIsThere",
        "namespaceIsOfAKnownType",
        "mappingsDoNotOverlap",
        "limitIsKnown",
        "limitBelowNothingIsRefused"
    )
}
