import Foundation
import Kernel
import SystemFixture
import Testing

/// What of the host a container must not change: a canary tree, kernel parameters.
///
/// Mounts are compared by ``Box``, in a mount namespace that stands for the host's and that nobody else uses.
struct Host: Equatable {
    var canary: [String: String]
    var parameters: [String: String]

    init(canary path: String) throws {
        canary = [:]
        try Self.read(path, into: &canary)
        parameters = try Self.kernelParameters()
    }

    /// What differs, in words.
    func differences(from before: Host) -> [String] {
        Self.differences(before.canary, canary, "canary") + Self.differences(before.parameters, parameters, "parameter")
    }

    private static func differences(_ old: [String: String], _ new: [String: String], _ what: String) -> [String] {
        Set(old.keys).union(new.keys).sorted().compactMap { key in
            if old[key] == new[key] { return nil }
            return "\(what) \(key): \(old[key] ?? "absent") is now \(new[key] ?? "absent")"
        }
    }

    // The canary ------------------------------------------------------------------------------------------------------

    /// Random content, a program with the set-user-id bit, a pipe, links and other people's files.
    static func makeCanary(_ path: String) throws {
        try File.makeDirectories(path + "/inner", mode: 0o755)
        let root = try RootedDir(path)
        let secret = Random.hex(2048)
        try root.create("secret", mode: 0o600).writeAll(secret)
        try root.create("inner/readable", mode: 0o644).writeAll(Random.hex(64))
        try root.create("setuid", mode: 0o755).writeAll(try File.read("/bin/true", limit: 1 << 24))
        try root.chmod("setuid", permissions: 0o4755)
        try root.mknod("pipe", .fifo, permissions: 0o622)
        try root.symlink("link", to: "secret")
        try root.symlink("dangling", to: "/nothing/there")
        try root.mkdir("private", mode: 0o700)
        try root.chown("inner/readable", uid: 1234, gid: 5678)
    }

    /// Every name below with its type, mode, owner, times and content.
    private static func read(_ path: String, into found: inout [String: String], _ prefix: String = "") throws {
        let root = try RootedDir(path)
        try describe(root, ".", prefix + ".", into: &found)
        for entry in try root.readDirectory(".") {
            let name = prefix + entry.name
            try describe(root, entry.name, name, into: &found)
            if entry.kind == .directory { try read("\(path)/\(entry.name)", into: &found, name + "/") }
        }
    }

    private static func describe(
        _ root: borrowing RootedDir,
        _ name: String,
        _ key: String,
        into found: inout [String: String]
    ) throws {
        let status = try root.stat(name)
        var text = "\(status.kind.map { "\($0)" } ?? "?") \(String(status.permissions, radix: 8)) "
        text += "\(status.uid):\(status.gid) \(status.size) \(status.modified) \(status.changed) \(status.inode)"
        if status.isRegular { text += " \(try root.readFile(name, limit: 1 << 24).hashValue)" }
        if status.kind == .symbolicLink { text += " \(String(decoding: try root.readlink(name), as: UTF8.self))" }
        found[key] = text
    }

    // Parameters ------------------------------------------------------------------------------------------------------

    /// What changes by itself or with any process.
    private static let volatile = [
        "kernel/random/", "kernel/ns_last_pid", "kernel/pty/nr", "kernel/tainted", "net/netfilter/nf_conntrack_count",
        "net/ipv4/tcp_fastopen_key", "kernel/perf_event_max_sample_rate", "kernel/perf_cpu_time_max_percent",
    ]

    /// `kernel.*`, `net.*` of this network namespace, `vm.*` and `fs.*`, by path.
    ///
    /// `/proc/sysrq-trigger` cannot be read: what happens to it is seen by who can open it.
    static func kernelParameters() throws -> [String: String] {
        var found: [String: String] = [:]
        for part in ["kernel", "net/core", "net/ipv4/conf", "vm/overcommit_memory", "fs/protected_hardlinks"] {
            try readParameters(part, into: &found)
        }
        for name in ["ip_forward", "ip_default_ttl", "ip_local_port_range", "ip_unprivileged_port_start"] {
            try readParameters("net/ipv4/" + name, into: &found)
        }
        return found
    }

    /// What a parameter has now, if there is one of this name and the value asks for nothing else: a test of a rule that does
    /// not hold must not change the machine that it runs on.
    static func harmless(_ name: String, _ value: String) -> String {
        guard value.allSatisfy({ $0.isLetter || $0.isNumber || $0 == "." || $0 == "/" }) else { return value }
        let path = name.contains("/") ? name : name.replacing(".", with: "/")
        let text = try? File.readText("/proc/sys/" + path)
        return text.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) } ?? value
    }

    private static func readParameters(_ name: String, into found: inout [String: String]) throws {
        if volatile.contains(where: { (name + "/").hasPrefix($0) || name == $0 }) { return }
        let path = "/proc/sys/" + name
        // Devices of others come and go, and not everything can be read.
        guard let status = try? File.status(path) else { return }
        if status.isDirectory {
            for entry in (try? File.open(path, .directory).readDirectory()) ?? [] {
                try readParameters("\(name)/\(entry.name)", into: &found)
            }
        } else if let text = try? File.readText(path) {
            found[name] = text.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}
