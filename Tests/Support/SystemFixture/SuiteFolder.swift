package import Foundation

/// Where the tests of one process put what is not one test's: programs and images that are made once, and output of tools.
///
/// It goes when the process ends. One that was killed leaves its folder behind, and the next process removes it.
package enum SuiteFolder {
    private static let prefix = "berth-suite-"
    private static let parent = URL(fileURLWithPath: "/tmp")

    /// The folder, made at its first use.
    package static let url: URL = {
        sweep()
        let folder = parent.appendingPathComponent("\(prefix)\(getpid())")
        // Without it every use says which file could not be made.
        try? FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        atexit { try? FileManager.default.removeItem(at: SuiteFolder.url) }
        return folder
    }()

    /// Removes the folders of processes that are gone.
    private static func sweep() {
        for name in (try? FileManager.default.contentsOfDirectory(atPath: parent.path)) ?? [] {
            guard name.hasPrefix(prefix), let pid = Int32(name.dropFirst(prefix.count)) else { continue }
            guard kill(pid, 0) != 0, errno == ESRCH else { continue }
            // Another process may be doing the same.
            try? FileManager.default.removeItem(at: parent.appendingPathComponent(name))
        }
    }
}
