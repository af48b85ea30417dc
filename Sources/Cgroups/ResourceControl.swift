internal import Kernel
package import OCISpec

/// A container's group in a resctrl filesystem (OCI runtime-spec "intelRdt").
package struct ResourceControl: Sendable {
    private let root: String
    /// Directory of the class of service; the root's for the default class.
    private let directory: String
    /// Whether the class has the container's name, and goes with it if the container has made it.
    private let isOwn: Bool
    private let id: String

    /// On a class that was made for one container, with its id: another one's of the same name is not removed.
    private static let mark = "trusted.berth.container"
    /// Directory of the monitoring group, nil without one.
    private let monitoring: String?

    /// Finds or makes the group.
    ///
    /// - Parameters:
    ///   - rdt: The section.
    ///   - id: Id of the container, the name of its own class and of its monitoring group.
    ///   - isFirst: Whether the container is being created; else the group must be there and is only joined.
    ///   - root: Where the filesystem is; nil finds the mounted one.
    /// - Throws: `unsupported` without a mounted filesystem, `invalidArgument` for a name or lines that contradict what is there.
    package init(
        _ rdt: RuntimeSpec.IntelRdt,
        id: String,
        isFirst: Bool,
        root: String? = nil
    ) throws(CgroupError) {
        let place: String
        if let root { place = root } else { place = try Self.mountPoint() }
        self.root = place
        let asked = rdt.closID ?? ""
        guard asked == "/" || Self.isName(asked.isEmpty ? id : asked) else {
            throw .invalid("linux.intelRdt.closID", "'\(asked)' is no name of a directory")
        }
        isOwn = asked.isEmpty
        self.id = id
        directory = asked == "/" ? place : "\(place)/\(asked.isEmpty ? id : asked)"
        monitoring = rdt.enableMonitoring == true ? "\(directory)/mon_groups/\(id)" : nil
        guard isFirst else { return }
        let lines = try Self.lines(rdt)
        if File.exists(directory) {
            try requireSame(lines)
        } else {
            try make(lines)
        }
        guard let monitoring else { return }
        do throws(KernelError) { try File.makeDirectory(monitoring, mode: 0o755) } catch {
            remove()
            throw .failed("make monitoring group", field: "linux.intelRdt.enableMonitoring", error)
        }
    }

    /// Puts a process into the group, and with it its later children.
    package func enter(_ pid: Int32) throws(CgroupError) {
        for place in [directory] + (monitoring.map { [$0] } ?? []) {
            do throws(KernelError) { try write("\(place)/tasks", "\(pid)") } catch {
                throw .failed("enter class of service", field: "linux.intelRdt", error)
            }
        }
    }

    /// Removes what was made for the container alone.
    package func remove() {
        // What is gone or in use by others stays as it is: a class that a document names outlives its containers.
        if let monitoring { _ = try? File.removeDirectory(monitoring) }
        if isOwn, isMarked { _ = try? File.removeDirectory(directory) }
    }

    private var isMarked: Bool {
        // One that cannot be looked at is gone, or nobody knows whose it is.
        let mark = try? File.open(directory, [.path, .directory, .noFollow]).extendedAttribute(Self.mark)
        return mark == Array(id.utf8)
    }

    /// The lines to write, in their order: cache, bandwidth, the rest.
    private static func lines(_ rdt: RuntimeSpec.IntelRdt) throws(CgroupError) -> [String] {
        let fields: [(String, [String?])] = [
            ("l3CacheSchema", [rdt.l3CacheSchema]), ("memBwSchema", [rdt.memBwSchema]),
            ("schemata", rdt.schemata ?? []),
        ]
        var lines: [String] = []
        for (name, texts) in fields {
            for text in texts {
                guard let text, !text.isEmpty else { continue }
                for line in text.split(separator: "\n") {
                    guard line.contains(":"), line.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) else {
                        throw .invalid("linux.intelRdt.\(name)", "'\(line.prefix(100))' is no line such as L3:0=f")
                    }
                    // Bandwidth in the cache's text is what older documents have; the other field says it.
                    if name == "l3CacheSchema", line.hasPrefix("MB:"), rdt.memBwSchema?.isEmpty == false { continue }
                    lines.append(String(line))
                }
            }
        }
        return lines
    }

    private func make(_ lines: [String]) throws(CgroupError) {
        do throws(KernelError) {
            try File.makeDirectory(directory, mode: 0o755)
            if isOwn {
                let made = try File.open(directory, [.path, .directory, .noFollow])
                try made.setExtendedAttribute(Self.mark, Array(id.utf8))
            }
            for line in lines {
                do throws(KernelError) { try write("\(directory)/schemata", line + "\n") } catch {
                    let status = (try? File.readText("\(root)/info/last_cmd_status", limit: 4096)) ?? ""
                    throw .failed("set", line, error.errno, detail: "'\(line)': \(error.errno) \(status)")
                }
            }
        } catch {
            // A class that was half made is nobody's.
            _ = try? File.removeDirectory(directory)
            throw .failed("make class of service", field: "linux.intelRdt.schemata", error)
        }
    }

    private func requireSame(_ lines: [String]) throws(CgroupError) {
        guard !lines.isEmpty else { return }
        let text: String
        do throws(KernelError) { text = try File.readText("\(directory)/schemata") } catch {
            throw .failed("look at class of service", field: "linux.intelRdt.schemata", error)
        }
        let present = Set(text.split(separator: "\n").map(Self.normal))
        for line in lines where !present.contains(Self.normal(line[...])) {
            throw .invalid(
                "linux.intelRdt.schemata",
                "the class '\(directory)' exists and has no line '\(line)'"
            )
        }
    }

    /// A line without blanks and leading zeros, which the kernel pads with, its domains in order.
    private static func normal(_ line: Substring) -> String {
        let parts = line.filter { $0 != " " }.split(separator: ":", maxSplits: 1)
        guard parts.count == 2 else { return String(line) }
        let domains = parts[1].split(separator: ";").map { domain in
            domain.split(separator: "=").map { part in
                let short = part.drop { $0 == "0" }
                return short.isEmpty ? "0" : short.lowercased()
            }.joined(separator: "=")
        }
        return "\(parts[0]):\(domains.sorted().joined(separator: ";"))"
    }

    private func write(_ path: String, _ text: String) throws(KernelError) {
        let file = try File.open(path, [.write, .create])
        try file.writeAll(text)
    }

    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && name != "." && name != ".." && name.utf8.count <= 255
            && !["info", "mon_groups", "mon_data"].contains(name)
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x2f && $0 != 0x7f }
    }

    private static func mountPoint() throws(CgroupError) -> String {
        let text: String
        do throws(KernelError) { text = try File.readText("/proc/self/mountinfo", limit: 1 << 24) } catch {
            throw .failed("find resctrl filesystem", field: "linux.intelRdt", error)
        }
        for line in text.split(separator: "\n") {
            let fields = line.split(separator: " ")
            if let dash = fields.firstIndex(of: "-"), dash + 1 < fields.count, fields[dash + 1] == "resctrl" {
                return String(fields[4])
            }
        }
        throw .unsupported("linux.intelRdt", "no resctrl filesystem is mounted")
    }
}
