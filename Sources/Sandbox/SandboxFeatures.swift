internal import MountTrees

/// What documents may ask for, from the tables that documents are read with.
public enum SandboxFeatures {
    /// Kinds of hooks.
    public static var hooks: [String] { HookRunner.Kind.allCases.map(\.rawValue) + ["startContainer"] }

    /// Words that a mount's options may hold, besides parameters of the filesystem; sorted.
    public static var mountOptions: [String] { MountOptions.knownWords }

    /// Modes of `linux.memoryPolicy`.
    public static var memoryModes: [String] { ProcessPlan.memoryModes }

    /// Flags of `linux.memoryPolicy`; sorted.
    public static var memoryFlags: [String] { ProcessPlan.memoryFlags.keys.sorted() }
}
