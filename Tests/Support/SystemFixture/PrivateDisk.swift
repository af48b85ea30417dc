import Foundation
import Testing

/// A small file system in a mount namespace of its own, which a process holds and nobody else sees.
package final class PrivateDisk {
    private let folder: URL
    private let holder: Command
    private var isFrozen = false
    /// Where it is mounted, in the namespace of ``pid`` alone.
    package let path: String
    /// The process that holds the namespace.
    package var pid: Int32 { holder.pid }

    /// Mounts what `script` mounts at `$1`; `$2` is a path for a file beside it.
    private init(_ script: String) throws {
        folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("berth-disk-\(UUID().uuidString.prefix(8))")
        path = folder.appendingPathComponent("mounted").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        let words = ["-m", "--propagation", "private", "sh", "-ec", script + "; echo ready; exec cat"]
        holder = try Command(
            "unshare",
            words + ["sh", path, folder.appendingPathComponent("image").path],
            in: folder,
            keepsInput: true
        )
        try eventually("the file system is mounted") {
            guard holder.isRunning else { throw Command.Overdue(description: "mount: \(holder.errors)") }
            return holder.output == "ready\n"
        }
    }

    /// An ext4 that can be frozen: whoever writes to it then waits in the kernel, unkillable.
    package static func freezable() throws -> PrivateDisk {
        try PrivateDisk(#"truncate -s 32M "$2"; mkfs.ext4 -q "$2"; mount -o loop "$2" "$1""#)
    }

    /// A file system in memory of so many mebibytes.
    package static func small(_ size: Int) throws -> PrivateDisk {
        try PrivateDisk("mount -t tmpfs -o size=\(size)m,nr_inodes=4000,mode=755 none \"$1\"")
    }

    /// An ext4 of so many mebibytes.
    package static func ext4(_ size: Int) throws -> PrivateDisk {
        try PrivateDisk(#"truncate -s \#(size)M "$2"; mkfs.ext4 -q -m 0 "$2"; mount -o loop "$2" "$1""#)
    }

    /// One whose other side never says a word: whoever looks at it waits.
    package static func silent() throws -> PrivateDisk {
        try PrivateDisk(
            #"exec 9<>/dev/fuse; mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none "$1""#
        )
    }

    /// Runs a program where the file system is seen.
    @discardableResult
    package func run(_ words: String...) throws -> Outcome {
        try Command("nsenter", ["--mount=/proc/\(pid)/ns/mnt", "--"] + words, in: folder).finish()
    }

    package func freeze() throws {
        isFrozen = true
        let outcome = try run("fsfreeze", "-f", path)
        try #require(outcome.status == 0, "\(outcome)")
    }

    /// One that is not frozen stays so.
    package func thaw() {
        guard isFrozen else { return }
        _ = try? run("fsfreeze", "-u", path)
        isFrozen = false
    }

    /// Fills it to the last byte.
    package func fill() throws { try run("dd", "if=/dev/zero", "of=\(path)/fill", "bs=4k") }

    /// Takes whatever anybody gives back from now on, as a program does that writes all the time.
    package func hog() throws -> Command {
        let script = #"open F, ">>", $ARGV[0]; syswrite F, "x" x 4096 while 1"#
        let words = ["--mount=/proc/\(pid)/ns/mnt", "--", "perl", "-e", script, "\(path)/fill"]
        return try Command("nsenter", words, in: folder)
    }

    /// Makes names until there can be no more.
    package func fillNames() throws {
        let script = #"mkdir -p "$1/fill"; cd "$1/fill"; seq 10000 | xargs touch"#
        try run("sh", "-c", script, "sh", path)
    }

    /// Makes room again.
    package func empty() throws { try run("rm", "-r", "\(path)/fill") }

    package func remove() {
        thaw()
        holder.send(SIGKILL)
        _ = try? holder.finish(within: 10)
        try? FileManager.default.removeItem(at: folder)
    }
}
