import Kernel

/// Where something is mounted, as this process sees it.
enum MountPoints {
    /// All of them, as the kernel writes them.
    ///
    /// - Throws: `KernelError` when they cannot be read.
    static func all() throws(KernelError) -> [String] {
        try File.readText("/proc/self/mountinfo", limit: 16 << 20).split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ")
            return fields.count > 4 ? unescape(fields[4]) : nil
        }
    }

    /// Blanks, line ends and backslashes are octal numbers there.
    private static func unescape(_ field: Substring) -> String {
        [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")].reduce(String(field)) {
            $0.replacing($1.0, with: $1.1)
        }
    }

    /// Takes away what is mounted inside of a directory, the outermost first and with it all that is mounted on it.
    ///
    /// Each is reached from the directory, through no link and no other mount, so nothing outside of it is unmounted whatever the names
    /// lead to.
    ///
    /// - Parameter directory: where; not there is fine.
    /// - Throws: `KernelError` for the first that does not go.
    static func unmountAll(inside directory: String) throws(KernelError) {
        guard try File.isThere(directory) else { return }
        let root = try RootedDir(directory)
        let place = String(decoding: try RootedDir("/proc").readlink("self/fd/\(root.raw)"), as: UTF8.self) + "/"
        // The bound is for a place that somebody fills as fast as it is emptied.
        for _ in 0..<256 {
            let inside = try all().filter { $0.hasPrefix(place) && !$0.hasSuffix("//deleted") }
            guard let outermost = inside.min(by: { $0.utf8.count < $1.utf8.count }) else { return }
            let (parent, name) = File.split(String(outermost.dropFirst(place.utf8.count)))
            let folder = try root.openWithoutLinks(parent, [.path, .directory])
            try Mount.unmount("\(folder.procPath)/\(name)", [.detach, .noFollow])
        }
        throw .failed("unmount", directory, .busy)
    }
}
