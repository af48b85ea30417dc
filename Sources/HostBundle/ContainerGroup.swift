internal import Cgroups
internal import Kernel
internal import OCISpec
public import ShimKit

/// Where a container is in the host's hierarchies.
public enum ContainerGroup {
    /// Hierarchies of version 1 by which a container is known, the best first.
    private static let controllers = ["memory", "pids", "freezer", "cpu", "devices"]

    /// The group of a process.
    ///
    /// - Parameter pid: The process.
    /// - Returns: Its path below each hierarchy; nil when it is the shim's own or the root's, so that nothing may be done to it.
    public static func path(of pid: Int32) -> String? {
        guard let path = read("\(pid)"), path != "/", path != read("self") else { return nil }
        return path
    }

    private static func read(_ process: String) -> String? {
        let text = (try? File.readText("/proc/\(process)/cgroup")) ?? ""
        var byController: [String: String] = [:]
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 3 else { continue }
            for name in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                byController[String(name)] = parts[2]
            }
        }
        return controllers.lazy.compactMap { byController[$0] }.first ?? byController[""]
    }

    /// The group that a bundle's document names.
    ///
    /// - Parameter bundle: Absolute path of the bundle.
    /// - Returns: Its path; nil for none.
    public static func path(inDocumentOf bundle: String) -> String? {
        guard let json = try? File.read("\(bundle)/config.json", limit: 1 << 24),
            let path = (try? RuntimeSpec(parsing: json))?.linux?.cgroupsPath, !path.isEmpty
        else { return nil }
        if let scope = try? SystemdScopeName(path) { return scope.path }
        return path.hasPrefix("/") ? path : nil
    }

    /// How often memory ran out in a group.
    ///
    /// - Parameter path: Below each hierarchy; nil for none.
    /// - Returns: The report; without a verdict there is nothing to blame memory for.
    public static func outOfMemory(_ path: String?) -> OutOfMemory {
        guard let path, let verdict = try? CgroupTree().open(path).outOfMemoryVerdict() else { return OutOfMemory() }
        return OutOfMemory(kills: verdict.kills, owner: verdict.owner)
    }

    /// Kills everybody in a group; none is fine.
    ///
    /// - Parameter path: Below each hierarchy; nil for none.
    public static func kill(_ path: String?) {
        guard let path, let group = try? CgroupTree().open(path) else { return }
        // What is still there after that is in the kernel's hands.
        _ = try? group.killAll(timeout: .seconds(2))
    }

    /// Kills what is left of a container in its groups and removes them; none is fine.
    ///
    /// - Parameters:
    ///   - bundle: Absolute path of the bundle, whose document may name a group.
    ///   - path: The group that the container was found in; nil for none.
    /// - Returns: What could not be removed, and why.
    public static func remove(bundle: String, and path: String?) -> [String] {
        var failures: [String] = []
        for path in Set([path, ContainerGroup.path(inDocumentOf: bundle)].compactMap(\.self)) {
            kill(path)
            guard let group = try? CgroupTree().open(path) else { continue }
            do throws(CgroupError) { try group.remove(timeout: .seconds(2)) } catch {
                failures.append("remove cgroup \(path): \(error)")
            }
        }
        return failures
    }
}
