package import Foundation

/// What containers may leave on a host.
package enum HostState {
    /// The host's mounts, and of those of tests the ones in `folder` alone: runc's shim and buildah do mount on the host.
    package static func mounts(of folder: URL? = nil) throws -> [String] {
        let table = try String(contentsOfFile: "/proc/self/mountinfo", encoding: .utf8)
        return table.split(separator: "\n").map(String.init).filter { line in
            let fields = line.split(separator: " ")
            guard fields.count > 4, fields[4].hasPrefix("/tmp/berth-") else { return true }
            return folder.map { fields[4] == $0.path || fields[4].hasPrefix($0.path + "/") } ?? false
        }
    }

    /// The processes whose command line names `folder`, and all that they started.
    package static func processes(of folder: URL) -> [(pid: Int32, command: String)] {
        var parents: [Int32: Int32] = [:]
        var commands: [Int32: String] = [:]
        for entry in (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? [] {
            guard let pid = Int32(entry), pid != getpid(),
                let stat = try? String(contentsOfFile: "/proc/\(entry)/stat", encoding: .utf8),
                let end = stat.lastIndex(of: ")")
            else { continue }
            let fields = stat[stat.index(after: end)...].split(separator: " ")
            guard fields.count > 1, let parent = Int32(fields[1]) else { continue }
            parents[pid] = parent
            let line = (try? String(contentsOfFile: "/proc/\(entry)/cmdline", encoding: .utf8)) ?? ""
            commands[pid] = line.replacingOccurrences(of: "\0", with: " ")
        }
        let roots = Set(commands.filter { $0.value.contains(folder.path) }.keys)
        func isOurs(_ pid: Int32) -> Bool {
            var at = pid
            while let parent = parents[at], at > 1 {
                if roots.contains(at) { return true }
                at = parent
            }
            return false
        }
        return commands.filter { isOurs($0.key) }.map { ($0.key, $0.value) }.sorted { $0.0 < $1.0 }
    }

    /// What each thread of `folder`'s processes, and of those in the cgroups of `ids`, waits for in the kernel; for people.
    package static func waits(of folder: URL, _ ids: Set<String>) -> String {
        var pids = Set(processes(of: folder).map(\.pid))
        for group in cgroups(of: ids) {
            let list = (try? String(contentsOfFile: "\(group)/cgroup.procs", encoding: .utf8)) ?? ""
            pids.formUnion(list.split(separator: "\n").compactMap { Int32($0) })
        }
        func text(_ path: String) -> String {
            let bytes = (try? Data(contentsOf: URL(fileURLWithPath: path))) ?? Data()
            return String(decoding: bytes.map { $0 == 0 ? 0x20 : $0 }, as: UTF8.self)
                .trimmingCharacters(in: .whitespacesAndNewlines)
        }
        return pids.sorted().map { pid in
            let tasks = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
            let threads = tasks.map { task in
                let place = "/proc/\(pid)/task/\(task)"
                let state = text("\(place)/stat").split(separator: ")").last?.first { $0 != " " } ?? "?"
                return
                    "\(text("\(place)/comm")) \(state) \(text("\(place)/wchan")) \(text("\(place)/syscall").prefix(40))"
            }
            // Most are idle threads of a pool.
            let kinds = Dictionary(grouping: threads) { $0 }.map { "    \($0.value.count) × \($0.key)\n" }.sorted()
            return "\(pid) \(text("/proc/\(pid)/cmdline").prefix(200)) [\(text("/proc/\(pid)/cgroup").suffix(100))]\n"
                + kinds.joined()
        }.joined()
    }

    /// The cgroups whose name contains one of `ids`.
    package static func cgroups(of ids: Set<String>) -> [String] {
        guard !ids.isEmpty else { return [] }
        let folder = SuiteFolder.url
        // Cgroups of others come and go while find walks, so its status says nothing.
        let found = try? Command("find", ["/sys/fs/cgroup", "-type", "d"], in: folder).finish()
        return (found?.lines ?? []).filter { path in ids.contains { path.contains($0) } }
    }

    /// Everything that a manager which has removed its containers and ended should not have left.
    package static func leaks(of daemon: Daemon, mounts before: [String]) -> [String] {
        var leaks = processes(of: daemon.scratch).map { "process \($0.pid): \($0.command)" }
        for folder in ["state/containers", "root/containers", "root/snapshots/containers"] {
            let path = daemon.scratch.appendingPathComponent(folder).path
            let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
            leaks += names.map { "\(folder)/\($0)" }
        }
        let after = Set((try? mounts(of: daemon.scratch)) ?? [])
        leaks += after.subtracting(before).map { "mount: \($0)" }
        leaks += Set(before).subtracting(after).map { "a mount is gone: \($0)" }
        leaks += cgroups(of: daemon.seen).map { "cgroup: \($0)" }
        return leaks
    }

    /// Ends what `processes(of:)` finds: all of it was started by the fixture with that folder.
    package static func killAll(of folder: URL) {
        for process in processes(of: folder).reversed() { kill(process.pid, SIGKILL) }
    }
}
