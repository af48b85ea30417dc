import Kernel
import ProbeSupport

/// A directory that looks like mounted hierarchies, for what the host cannot show.
///
/// The suite keeps the object, because its directory goes with it.
struct FakeTree {
    let scratch: Scratch

    var root: String { scratch.path }

    init(_ scratch: Scratch) throws { self.scratch = scratch }

    /// A v1 hierarchy with a group in it that has some files.
    func v1(_ controller: String, group: String, files: [String: String]) throws {
        try File.makeDirectories("\(root)/\(controller)/\(group)", mode: 0o755)
        try write("\(controller)/cgroup.procs", "")
        for (name, content) in ["cgroup.procs": "", "tasks": ""].merging(files, uniquingKeysWith: { $1 }) {
            try write("\(controller)/\(group)/\(name)", content)
        }
    }

    /// The whole tree as v2, with a group in it that has some files.
    func v2(group: String, controllers: String, files: [String: String]) throws {
        try File.makeDirectories("\(root)/\(group)", mode: 0o755)
        try write("cgroup.controllers", controllers)
        for (name, content) in ["cgroup.procs": "", "cgroup.kill": ""].merging(files, uniquingKeysWith: { $1 }) {
            try write("\(group)/\(name)", content)
        }
    }

    func write(_ path: String, _ content: String) throws {
        try File.writeAtomically("\(root)/\(path)", Array(content.utf8), durable: false)
    }

    /// Changes a file in place, as the kernel does.
    func rewrite(_ path: String, _ content: String) throws {
        try File.open("\(root)/\(path)", [.write, .truncate]).writeAll(content)
    }

    /// What was written; a real kernel file shows a write as a whole, a plain one keeps the tail of longer old content.
    func read(_ path: String) throws -> String { try File.readText("\(root)/\(path)") }
}
