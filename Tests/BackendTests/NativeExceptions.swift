import ShimKitTesting

/// What the native backend is known not to do, by the reason.
let nativeExceptions: [String: [String]] = [
    "refused by name: what the document says of a root would be done to a tree that others live in": [
        "mountNamespaceIsJoinedByPath"
    ],
    "the cgroup tree of the host is never the container's business: its namespace is always its own": [
        "absentCgroupNamespaceIsTheRuntimes"
    ],
]
