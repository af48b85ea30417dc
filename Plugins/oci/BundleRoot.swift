import FoundationEssentials
import Kernel
import OCISpec
import Sandbox
import ShimKit

/// The root file system in the bundle: mounted where the runtime looks for it, and the place of users' names.
struct BundleRoot {
    let bundle: String

    private var path: String { "\(bundle)/rootfs" }

    /// Performs the mounts, one on the other.
    func mount(_ mounts: [RootMount]) throws(BackendError) {
        for mount in mounts {
            do throws(SandboxError) {
                try SandboxRootMount(type: mount.type, source: mount.source, options: mount.options)
                    .attach(toPath: mount.target.isEmpty ? path : "\(path)/\(mount.target)")
            } catch {
                unmount()
                guard let errno = error.errno else {
                    throw .refused(
                        stage: "rootfs",
                        operation: error.operation,
                        object: error.object,
                        code: error.code,
                        detail: error.detail
                    )
                }
                throw .failed(stage: "rootfs", operation: error.operation, object: error.object, errno: errno)
            }
        }
    }

    /// Takes all mounts away; none is fine.
    func unmount() {
        // The bound is for a tree that somebody fills as fast as it is emptied. That there is nothing more says an error.
        for _ in 0..<64 where (try? Mount.unmount(path, [.detach, .noFollow])) == nil { return }
    }

    /// Replaces the text of a user (`process.user.username`) by the ids that the container's own files give it.
    ///
    /// - Returns: Whether there was one.
    func resolveUser(of process: inout RuntimeSpec.Process) throws(BackendError) -> Bool {
        guard let text = process.user?.username, !text.isEmpty else { return false }
        do throws(SandboxError) {
            let user = try UserDatabase(passwd: read("etc/passwd"), group: read("etc/group")).resolve(text)
            let added = (process.user?.additionalGids ?? []).filter { !user.groups.contains($0) }
            var ids = process.user ?? RuntimeSpec.User(uid: user.uid, gid: user.gid)
            (ids.uid, ids.gid, ids.username) = (user.uid, user.gid, nil)
            ids.additionalGids = [user.gid] + (user.groups + added).filter { $0 != user.gid }
            process.user = ids
            if process.env?.contains(where: { $0.hasPrefix("HOME=") }) != true {
                process.env = (process.env ?? []) + ["HOME=\(user.home ?? "/")"]
            }
            return true
        } catch {
            throw .refused(stage: "user", operation: "find user", object: text, code: error.code, detail: "\(error)")
        }
    }

    /// A file of the image, or nothing where there is none that is a file.
    private func read(_ name: String) -> [UInt8] {
        guard let root = try? RootedDir(path) else { return [] }
        return (try? root.readFile(name, limit: UserDatabase.fileLimit)) ?? []
    }
}
