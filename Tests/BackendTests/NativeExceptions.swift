import ShimKitTesting

/// What the native backend is known not to do, by the reason.
let nativeExceptions: [String: [String]] = [
    "the state has the number outside": [
        "stateIsOnTheInputOfCreateContainer"
    ],
    "not looked at": [
        "annotationsHaveKeys"
    ],
    "refused by name": [
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
        "interfaceIsMoved",
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
    "the session keyring is the manager's": [
        "keyringIsItsOwn"
    ],
    "the cgroup tree of the host is never the container's business: its namespace is always its own": [
        "absentCgroupNamespaceIsTheRuntimes"
    ],
]
