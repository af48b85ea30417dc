import Kernel
import ShimKitTesting

/// What a run of the suite may have left on disk and in the hierarchies of cgroups, and nowhere else.
struct Leftovers {
    private static let hierarchies = "/sys/fs/cgroup"
    /// Deeper than any group of a container.
    private static let depth = 16

    let place: ConformancePlace

    init(_ place: ConformancePlace) { self.place = place }

    /// Removes all of it; what cannot be removed is named on standard error.
    func remove() {
        let deadline = Clock.monotonic.now + .seconds(10)
        while true {
            thaw()
            var failures: [String] = []
            do throws(KernelError) { try File.removeTree(place.directory) } catch { failures.append("\(error)") }
            for group in groups() {
                do throws(KernelError) { try Self.removeGroup(group) } catch { failures.append("\(error)") }
            }
            if failures.isEmpty { return }
            guard Clock.monotonic.now < deadline else {
                // Without standard error nobody is there to be told.
                try? BorrowedDescriptor.standardError.writeAll("warning: left: \(failures.joined(separator: "; "))\n")
                return
            }
            // What was killed ends when the kernel gets to it, and nothing announces that here.
            Clock.sleep(.milliseconds(5))
        }
    }

    /// Lets the processes of frozen groups of version 1 go on: frozen they do not even end by SIGKILL.
    func thaw() {
        for group in groups() where File.exists(group + "/freezer.state") {
            // One that has gone needs it no more.
            try? File.writeOnce(group + "/freezer.state", "THAWED")
        }
    }

    /// The groups with the run's mark in their names, in every hierarchy; those inside of them are not listed.
    private func groups() -> [String] { Self.find(place.mark, below: Self.hierarchies, depth: Self.depth) }

    private static func find(_ mark: String, below directory: String, depth: Int) -> [String] {
        directories(directory).flatMap { name -> [String] in
            let path = "\(directory)/\(name)"
            if name.contains(mark) { return [path] }
            return depth > 0 ? find(mark, below: path, depth: depth - 1) : []
        }
    }

    private static func removeGroup(_ path: String) throws(KernelError) {
        for name in directories(path) { try removeGroup("\(path)/\(name)") }
        try File.removeDirectory(path)
    }

    /// Names of directories; none of what has gone meanwhile.
    private static func directories(_ path: String) -> [String] {
        ((try? File.open(path, .directory).readDirectory()) ?? []).filter { $0.kind == .directory }.map(\.name)
    }
}
