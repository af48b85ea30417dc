package import MountTrees

extension MountOptions {
    /// Sorts the words of one mount after a look at them.
    ///
    /// - Parameters:
    ///   - words: The `options`, in order; later words win over earlier ones.
    ///   - field: Name of the mount for errors.
    /// - Throws: `invalidArgument` for a NUL byte.
    package init(_ words: [String], field: String) throws(SandboxError) {
        for word in words where word.utf8.contains(0) { throw .invalid(field, "an option contains a NUL byte") }
        self.init(words)
    }

    /// Types whose files have labels of their own, or none.
    private static let unlabelled: Set<String> = ["proc", "sysfs", "mqueue", "cgroup", "cgroup2"]

    /// Gives all files of a new filesystem a label (runtime-spec "mountLabel", SELinux `context`).
    ///
    /// - Parameters:
    ///   - label: The label.
    ///   - type: Type of the filesystem; those of the kernel keep their own labels.
    package mutating func label(_ label: String, type: String) {
        guard bind == nil, !remount, type != "bind", type != "rbind", !Self.unlabelled.contains(type),
            !parameters.contains(where: { $0.key == "context" })
        else { return }
        parameters.append(Parameter(key: "context", value: label))
    }
}
