import ShimKitTesting

/// What the native backend is known not to do, by the reason.
let nativeExceptions: [String: [String]] = [
    "refused by name, as not supported": [
        "tmpcopyupKeepsTheFiles",
        "mountNamespaceIsJoinedByPath",
    ],
    "a word that undoes another is not obeyed for the file system": [
        "laterFlagsOfTheFileSystemWin"
    ],
    "no file system takes it by name, and mount(2) is not used": [
        "iversionIsAccepted"
    ],
    "mounted once more on top": [
        "remountChangesTheEarlierMount"
    ],
    "the cgroup tree of the host is never the container's business: its namespace is always its own": [
        "absentCgroupNamespaceIsTheRuntimes"
    ],
]
