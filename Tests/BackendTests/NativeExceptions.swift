import ShimKitTesting

/// What a container cannot do whose calls are all asked about, by name; not tried, for it takes long to see.
let learningExceptions = [
    "adoptionFindsOutputThatNobodyHeld": "without its listener a process does nothing more",
    "endWithoutAShimIsFound": "a process waits for the next shim",
]

/// What the native backend is known not to do, by the reason.
let nativeExceptions: [String: [String]] = [
    "mounts are refused by name in a joined namespace: they would be made in a tree that others live in": [
        "mountNamespaceIsJoinedByPath"
    ],
    "the cgroup tree of the host is never the container's business: its namespace is always its own": [
        "absentCgroupNamespaceIsTheRuntimes"
    ],
]

/// What a container with a guard cannot do, by the reason, beside what the native one cannot.
let restrictedExceptions = nativeExceptions.merging([
    "the suite gives it a filter to be guarded by": ["noFilterIsNone"],
    "the guard is the one listener that the kernel has for a process": ["agentGetsTheListener"],
    "the guard kills by SIGKILL": ["actionOfKILL_PROCESS", "actionOfKILL_THREAD", "actionOfKILL"],
    "Landlock lets nobody who is held to rules change mounts": ["capabilitiesAreThoseOfTheNamespace"],
    "Landlock lets processes with rules of their own, as an exec has, look into no others": ["execIsNotTraceable"],
]) { $1 }
