package import Kernel

/// Names of a byte or two for open directories.
///
/// Before Linux 6.5 overlay takes its layers as one text, of 255 bytes at most through the new interface, in which a path beyond `/` leaves
/// room for a few. Relative to a directory of links, there is room for a hundred.
package struct ShortNames {
    private static let letters = Array("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")

    private let links: SharedDescriptor
    /// The names, in order.
    package let names: [String]

    /// The name with this number: one letter for the first of them, two for the others.
    package static func name(_ number: Int) -> String {
        if number < letters.count { return String(letters[number]) }
        let rest = number - letters.count
        return String([letters[rest / letters.count % letters.count], letters[rest % letters.count]])
    }

    /// Makes links to directories, which have to stay open, in a filesystem that is attached nowhere.
    package init(_ directories: [SharedDescriptor]) throws(KernelError) {
        let tree = try FileSystemContext("tmpfs").mount()
        links = SharedDescriptor(tree.intoDescriptor())
        names = directories.indices.map(Self.name)
        let root = RootedDir(adopting: try links.duplicate())
        for (name, directory) in zip(names, directories) { try root.symlink(name, to: directory.procPath) }
    }

    /// Makes a mount where the names are relative paths.
    ///
    /// The working directory is the calling thread's own from then on, so no other thread sees it change.
    package func inside(_ body: () throws(KernelError) -> DetachedMount) throws(KernelError) -> DetachedMount {
        try Namespace.unshare(Self.workingDirectory)
        let before = try File.open(".", [.path, .directory])
        try WorkingDirectory.change(to: links.raw)
        do throws(KernelError) {
            let mount = try body()
            try WorkingDirectory.change(to: before.raw)
            return mount
        } catch {
            // The first error is what matters.
            try? WorkingDirectory.change(to: before.raw)
            throw error
        }
    }

    /// CLONE_FS: not a namespace, but given up in the same way.
    private static let workingDirectory = Namespace.Kinds(rawValue: 0x200)
}
