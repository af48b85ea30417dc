import EngineModel
import Kernel
import MountTrees
import Snapshots

/// Gives a new volume what the image has at its place: files, owners and modes.
///
/// The image's layers are looked at through an overlay that is mounted nowhere, and everything is reached through descriptors:
/// a link in the image cannot lead out of it (security.md R1). The volume appears under its name when it is whole.
package struct VolumeSeeder {
    /// Levels of directories that are copied.
    static let depth = 256

    /// Makes `<folder>/_data` for a container on `mounts` if it is not there yet; `destination` is the place in the container.
    static func make(_ folder: String, for destination: String, on mounts: [Snapshots.Mount], copying: Bool) throws {
        let data = folder + "/_data"
        if File.exists(data) { return }
        try File.makeDirectories(folder, mode: 0o700)
        let fresh = folder + "/.new"
        _ = try File.removeTree(fresh)
        try File.makeDirectory(fresh, mode: 0o755)
        let target = try RootedDir(fresh)
        try target.changeMode(0o755)
        if copying { try copy(layers(of: mounts), destination, to: target, empty: folder) }
        try File.rename(fresh, to: data)
    }

    /// The layers below a container's own, topmost first.
    private static func layers(of mounts: [Snapshots.Mount]) -> [String] {
        let option = mounts.first?.options.first { $0.hasPrefix("lowerdir=") } ?? ""
        return option.dropFirst("lowerdir=".count).split(separator: ":").map(String.init)
    }

    private static func copy(
        _ layers: [String],
        _ destination: String,
        to target: borrowing RootedDir,
        empty folder: String
    ) throws {
        // An overlay without a writable part wants two layers at least: an empty one does no harm.
        let nothing = folder + "/.empty"
        _ = try File.removeTree(nothing)
        try File.makeDirectory(nothing)
        defer { _ = try? File.removeTree(nothing) }  // what is left of it is empty
        let directories = try ([nothing] + layers).map { SharedDescriptor(try File.open($0, [.path, .directory])) }
        let mount = try overlay(directories)
        let image = RootedDir(adopting: try File.open(".", [.directory], at: mount.raw))
        let status: FileStatus
        do throws(KernelError) {
            status = try image.stat(destination, follow: true)
        } catch {
            // The image has nothing at the place: the volume stays empty.
            if [.noEntry, .notDirectory].contains(error.errno) { return }
            throw error
        }
        guard status.isDirectory else { return }
        try copyDirectory(image.subdirectory(destination), status, to: target, depth: depth)
        withExtendedLifetime(directories) {}
    }

    private static func overlay(_ layers: [SharedDescriptor]) throws(KernelError) -> DetachedMount {
        func mount(
            _ set: (borrowing FileSystemContext) throws(KernelError) -> Void
        ) throws(KernelError) -> DetachedMount {
            let context = try FileSystemContext("overlay")
            try set(context)
            return try context.mount([.readOnly, .noDevices, .noSetID])
        }
        do throws(KernelError) {
            return try mount { context throws(KernelError) in
                for layer in layers { try context.set("lowerdir+", layer.procPath) }
            }
        } catch  where error.errno == .invalid {
            // Before Linux 6.5 there is the list alone, and the kernel says so at the end.
            let short = try ShortNames(layers)
            return try short.inside { () throws(KernelError) in
                try mount { context throws(KernelError) in
                    try context.set("lowerdir", short.names.joined(separator: ":"))
                }
            }
        }
    }

    private static func copyDirectory(
        _ source: borrowing RootedDir,
        _ status: FileStatus,
        to target: borrowing RootedDir,
        depth: Int
    ) throws {
        guard depth > 0 else { throw EngineError.invalid("volume: the image's directory is too deep to copy") }
        for entry in try source.readDirectory(".") {
            try copyEntry(entry.nameBytes, source, to: target, depth: depth)
        }
        try target.changeOwner(uid: status.uid, gid: status.gid)
        try target.changeMode(status.permissions)
        try target.changeTimes(accessed: .set(status.accessed), modified: .set(status.modified))
    }

    private static func copyEntry(
        _ name: [UInt8],
        _ source: borrowing RootedDir,
        to target: borrowing RootedDir,
        depth: Int
    ) throws {
        let status = try source.stat(name)
        switch status.kind {
        case .directory:
            try target.mkdir(name, mode: 0o700)
            try copyDirectory(source.subdirectory(name), status, to: target.subdirectory(name), depth: depth - 1)
            return
        case .symbolicLink:
            try target.symlink(name, to: try source.readlink(name))
            try target.chown(name, uid: status.uid, gid: status.gid)
            return
        case .regular:
            let from = try source.openRegular(name)
            let to = try target.create(name, mode: 0o600)
            while true {
                let bytes = try from.read(upTo: 1 << 17)
                if bytes.isEmpty { break }
                try to.writeAll(bytes)
            }
        case .fifo: try target.mknod(name, .fifo, permissions: 0o600)
        default: return  // devices and sockets are not data
        }
        try target.chown(name, uid: status.uid, gid: status.gid)
        try target.chmod(name, permissions: status.permissions)
        try target.utimes(name, accessed: .set(status.accessed), modified: .set(status.modified))
    }
}
