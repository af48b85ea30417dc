import Engine
import EngineModel
import FoundationEssentials
import Kernel
import Logging

/// What `berthd --check` looks at and says.
enum SelfCheck {
    /// One thing that was looked at.
    struct Finding: Codable {
        /// What it is.
        var what: String
        /// What is wrong with it; nil for nothing.
        var problem: String?
        /// Whether a daemon needs it.
        var isRequired: Bool
        /// The container that it belongs to.
        var container: String?
    }

    /// What another berthd reads of a check; fields are only ever added.
    struct Document: Codable {
        /// Version of the program that looked.
        var version: String
        /// Its root directory.
        var root: String
        /// Its state directory.
        var state: String
        /// The findings.
        var findings: [Finding]
    }

    /// The findings.
    struct Report {
        fileprivate(set) var file = "none"
        fileprivate(set) var findings: [Finding] = []

        /// Whether the daemon would start and containers would run.
        var isGood: Bool { findings.allSatisfy { $0.problem == nil || !$0.isRequired } }

        /// One line for each thing that was looked at.
        var lines: [String] {
            ["config   \(file)"]
                + findings.map { finding in
                    let word = finding.problem == nil ? "ok       " : finding.isRequired ? "bad      " : "missing  "
                    return word + finding.what + (finding.problem.map { ": \($0)" } ?? "")
                }
        }

        /// The same for a program.
        func json(_ settings: Settings) -> String {
            let document = Document(
                version: Daemon.version,
                root: settings.root,
                state: settings.state,
                findings: findings
            )
            // A document of plain values always encodes.
            return (try? JSON.encode(document)) ?? "{}"
        }

        fileprivate mutating func add(
            _ what: String,
            _ problem: String?,
            required: Bool = true,
            container: String? = nil
        ) {
            findings.append(Finding(what: what, problem: problem, isRequired: required, container: container))
        }
    }

    /// Looks at everything; changes nothing.
    static func run(_ settings: Settings) async -> Report {
        var report = Report()
        report.file = settings.file ?? "none"
        report.add("user", Credentials.effectiveUser == 0 ? nil : "berthd runs as root")
        directory("root directory", settings.root, &report)
        directory("state directory", settings.state, &report)
        directory("socket directory", parent(settings.socket), &report)
        for (name, path) in settings.backends.sorted(by: { $0.key < $1.key }) {
            let isDefault = name == settings.defaultBackend ? " (default)" : ""
            let problem = BackendStatus.obstacle(path, settings.backendOptions[name] ?? [:])
            report.add("backend \(name)\(isDefault) \(path)", problem, required: name == settings.defaultBackend)
        }
        if let path = settings.initPath {
            report.add("init \(path)", Installation.isProgram(path) ? nil : "no executable file", required: false)
        } else {
            report.add("init berth-init", "not found", required: false)
        }
        kernel(&report)
        let silent = Logger(label: "check") { _ in SwiftLogNoOpLogHandler() }
        for finding in await Engine.check(settings.engineConfiguration(silent)) {
            report.add(finding.what, finding.problem, required: finding.isFatal, container: finding.container)
        }
        return report
    }

    /// The nearest directory of `path` that exists must be a directory that root can write.
    private static func directory(_ what: String, _ path: String, _ report: inout Report) {
        var place = path
        while !File.exists(place), place != "/" { place = parent(place) }
        guard let status = try? File.status(place, follow: true) else {
            return report.add("\(what) \(path)", "cannot be read")
        }
        guard status.isDirectory else { return report.add("\(what) \(path)", "'\(place)' is no directory") }
        let made = place == path ? "" : " (will be made)"
        report.add("\(what) \(path)\(made)", status.permissions & 0o200 == 0 ? "'\(place)' is not writable" : nil)
    }

    private static func parent(_ path: String) -> String {
        let parts = path.split(separator: "/").dropLast()
        return "/" + parts.joined(separator: "/")
    }

    private static func kernel(_ report: inout Report) {
        let fileSystems = (try? File.readText("/proc/filesystems", limit: 1 << 16)) ?? ""
        let names = Set(
            fileSystems.split(separator: "\n").compactMap { $0.split(separator: "\t").last.map(String.init) }
        )
        report.add("kernel overlay", names.contains("overlay") ? nil : "no overlay file system: load the module")
        for name in ["mnt", "uts", "ipc", "pid", "net", "cgroup"] {
            report.add("kernel namespace \(name)", File.exists("/proc/self/ns/\(name)") ? nil : "not built in")
        }
        // Whether the file system of the root directory can do its part is tried at the start, because trying writes.
        let limit = (try? File.readText("/proc/sys/user/max_user_namespaces", limit: 64)) ?? "0"
        report.add(
            "kernel namespace user",
            limit.hasPrefix("0") ? "not built in, or /proc/sys/user/max_user_namespaces is 0" : nil,
            required: false
        )
        report.add("kernel pidfd", works { _ = try Pidfd(pid: Credentials.processID) })
        report.add("kernel new mount calls", works { _ = try FileSystemContext("tmpfs") })
        let actions = (try? File.readText("/proc/sys/kernel/seccomp/actions_avail", limit: 4096)) ?? ""
        report.add("kernel seccomp filter", actions.contains("errno") ? nil : "not built in")
        cgroups(&report)
    }

    private static func cgroups(_ report: inout Report) {
        if let text = try? File.readText("/sys/fs/cgroup/cgroup.controllers", limit: 4096) {
            let controllers = Set(text.split(separator: " ").map { $0.filter { !$0.isWhitespace } })
            for name in ["memory", "cpu", "pids"] {
                report.add("cgroup v2 \(name)", controllers.contains(name) ? nil : "controller is off")
            }
            return
        }
        for name in ["memory", "cpu", "pids", "freezer", "devices"] {
            report.add("cgroup v1 \(name)", File.exists("/sys/fs/cgroup/\(name)") ? nil : "hierarchy is not mounted")
        }
    }

    private static func works(_ body: () throws -> Void) -> String? {
        do {
            try body()
            return nil
        } catch {
            return "\(error)"
        }
    }
}
