import Kernel
import OCISpec
import Seccomp

extension Runtime {
    /// Prints what this runtime can do (OCI runtime-spec "features").
    func features(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        guard arguments.operands.isEmpty else { throw .usage("features takes no operands") }
        return try print(FeatureList.value.text(indented: true) + "\n")
    }
}

/// What the native backend can do.
enum FeatureList {
    /// Words that a mount's options may hold, besides data of the filesystem.
    static let mountOptions = [
        "async", "atime", "bind", "defaults", "dev", "diratime", "exec", "loud", "noatime", "nodev", "nodiratime",
        "noexec", "noiversion", "nolazytime", "nomand", "norelatime", "nostrictatime", "nosuid", "nosymfollow",
        "private", "ratime", "rbind", "rdev", "rdiratime", "relatime", "remount", "rexec", "rnoatime", "rnodev",
        "rnodiratime", "rnoexec", "rnorelatime", "rnostrictatime", "rnosuid", "rnosymfollow", "ro", "rprivate",
        "rrelatime", "rro", "rrw", "rshared", "rslave", "rstrictatime", "rsuid", "rsymfollow", "runbindable", "rw",
        "shared", "silent", "slave", "strictatime", "suid", "symfollow", "unbindable",
    ]

    static var value: JSONValue {
        .object([
            ("ociVersionMin", .string("1.0.0")), ("ociVersionMax", .string(Runtime.specificationVersion)),
            (
                "hooks",
                .strings(["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"])
            ),
            ("mountOptions", .strings(mountOptions)), ("linux", linux),
            ("annotations", .strings(["org.berth.runtime.version": RuntimeCommand.version])),
        ])
    }

    private static var linux: JSONValue {
        .object([
            ("namespaces", .strings(RuntimeSpec.NamespaceType.allCases.map(\.rawValue))),
            ("capabilities", .strings(CapabilitySet.allKnown.names)),
            (
                "cgroup",
                .object([
                    ("v1", .bool(true)), ("v2", .bool(true)), ("systemd", .bool(true)), ("systemdUser", .bool(false)),
                    ("rdma", .bool(true)),
                ])
            ),
            ("seccomp", seccomp), ("apparmor", .object([("enabled", .bool(true))])),
            ("selinux", .object([("enabled", .bool(true))])), ("intelRdt", .object([("enabled", .bool(true))])),
            ("mountExtensions", .object([("idmap", .object([("enabled", .bool(true))]))])),
        ])
    }

    private static var seccomp: JSONValue {
        let flags = ["TSYNC", "LOG", "SPEC_ALLOW", "WAIT_KILLABLE_RECV"].map { "SECCOMP_FILTER_FLAG_\($0)" }
        let actions = ["ALLOW", "ERRNO", "KILL", "KILL_PROCESS", "KILL_THREAD", "LOG", "NOTIFY", "TRACE", "TRAP"]
        return .object([
            ("enabled", .bool(true)), ("actions", .strings(actions.map { "SCMP_ACT_\($0)" })),
            ("operators", .strings(["NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"].map { "SCMP_CMP_\($0)" })),
            ("knownFlags", .strings(flags)), ("supportedFlags", .strings(flags)),
        ])
    }
}
