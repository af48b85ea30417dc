// The documents of the Open Container Initiative as Swift values: the runtime document `config.json` and the state of a
// container (`RuntimeSpec`, `ContainerState`), and what an image is made of (`ImageManifest`, `ImageIndex`, `ImageConfig`,
// `ImageDescriptor`, `Digest`). Values only: nothing here opens a file or judges whether a document can be applied.

/// Facts about the specifications that the documents follow.
public enum OCIVersion {
    /// Version of the runtime specification written into documents of our own: not the newest, for runtimes refuse documents that are newer
    /// than they are, whatever is in them (Debian's crun takes 1.1).
    public static let runtime = "1.1.0"

    /// Whether a document of this version is understood: any 1.x, and release candidates of 1.0.
    ///
    /// - Parameter version: The `ociVersion` of a document, a semantic version.
    /// - Returns: False for another major version and for what is not a version.
    public static func isSupported(_ version: String) -> Bool {
        let core = version.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)[0]
        let numbers = core.split(separator: ".", omittingEmptySubsequences: false)
        guard numbers.count == 3, numbers.allSatisfy({ UInt32($0) != nil }) else { return false }
        return numbers[0] == "1"
    }
}
