import Kernel
import OCISpec
import Sandbox
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
    static var value: JSONValue {
        .object([
            ("ociVersionMin", .string("1.0.0")), ("ociVersionMax", .string(Runtime.specificationVersion)),
            ("hooks", .strings(SandboxFeatures.hooks)), ("mountOptions", .strings(SandboxFeatures.mountOptions)),
            ("linux", linux),
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
            ("netDevices", .object([("enabled", .bool(true))])),
            (
                "memoryPolicy",
                .object([
                    ("modes", .strings(SandboxFeatures.memoryModes)), ("flags", .strings(SandboxFeatures.memoryFlags)),
                ])
            ),
        ])
    }

    private static var seccomp: JSONValue {
        .object([
            ("enabled", .bool(true)), ("actions", .strings(RuntimeSpec.Seccomp.Action.allCases.map(\.rawValue))),
            ("operators", .strings(RuntimeSpec.Seccomp.Operator.allCases.map(\.rawValue))),
            ("archs", .strings(SeccompFeatures.architectures)), ("knownFlags", .strings(SeccompFeatures.flags)),
            ("supportedFlags", .strings(SeccompFeatures.flags)),
        ])
    }
}
