import ShimKitTesting

/// What the native backend is known not to do, by the reason.
let nativeExceptions: [String: [String]] = [
    "refused by name, as not supported": [
        "mountIsMapped",
        "tmpcopyupKeepsTheFiles",
        "newTimeNamespace",
        "timeNamespaceIsJoinedByPath",
        "mountNamespaceIsJoinedByPath",
        "clocksAreOffset",
        "mappingsAreWritten",
        "severalMappingsAreWritten",
        "processIsTheMappedUserOutside",
        "userInsideIsAnIdOfTheContainer",
        "ownershipOfTheRootIsNotChanged",
        "devicesWorkInAUserNamespace",
        "capabilitiesAreThoseOfTheNamespace",
        "hostnameIsSetInAUserNamespace",
        "sysctlIsSetInAUserNamespace",
        "mountHasTheMappingOfTheContainer",
        "mountsBelowAreMappedToo",
        "execEntersTheUserNamespace",
        "userNamespaceIsJoinedByPath",
        "cgroupOfAMappedContainerIsItsOwn",
        "execIsInTheTimeNamespace",
    ],
    "a word that undoes another is not obeyed for the file system": [
        "laterFlagsOfTheFileSystemWin"
    ],
    "handed to the file system as its own option": [
        "iversionIsAccepted"
    ],
    "mounted once more on top": [
        "remountChangesTheEarlierMount"
    ],
    "the cgroup tree of the host is never the container's business: its namespace is always its own": [
        "absentCgroupNamespaceIsTheRuntimes"
    ],
]
