internal import Kernel
internal import OCISpec
public import ShimKit

extension BundleRoot {
    /// What managers put into every document: who shares all with the host has it, or can do without.
    private static let usual: Set = [
        "/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys", "/sys/fs/cgroup", "/run",
        "/etc/hosts", "/etc/hostname", "/etc/resolv.conf",
    ]

    /// Refuses, for a backend that mounts nothing but the root, what it would pass over in silence.
    ///
    /// That is further mounts, and a root that is not written to.
    ///
    /// - Parameter specification: `config.json`.
    /// - Throws: `unsupported` with the place of the mount, or `root.readonly`.
    public func refuseMounts(of specification: [UInt8]) throws(BackendError) {
        guard let document = try? RuntimeSpec(parsing: specification) else { return }
        let further = document.mounts?.map(\.destination).first { !Self.usual.contains($0) }
        guard let object = further ?? (document.root?.readonly == true ? "root.readonly" : nil) else { return }
        throw .refused(
            stage: "mounts",
            operation: "mount",
            object: object,
            code: .unsupported,
            detail: "this backend mounts the root alone, to be written to"
        )
    }
}
