internal import Cgroups
internal import DocumentTexts
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

    /// Looks, before anything of a container is made, at the group that its document names.
    ///
    /// - Parameter specification: The document.
    /// - Returns: Whether the group is there already, and so stays when the container goes.
    /// - Throws: `alreadyExists` for one with processes: they are another's.
    public static func isThere(forDocument specification: [UInt8]) throws(BackendError) -> Bool {
        guard let path = path(inDocument: specification) else { return false }
        let hasProcesses: Bool?
        do throws(CgroupError) { hasProcesses = try CgroupTree().hasProcesses(path) } catch {
            throw .refused(stage: "cgroup", operation: error.operation, code: error.code, detail: "\(error)")
        }
        guard hasProcesses != true else {
            throw .refused(
                stage: "cgroup",
                operation: "create",
                object: path,
                code: .alreadyExists,
                detail: "it has processes, which are another's"
            )
        }
        return hasProcesses != nil
    }

    /// The group that a document names; nil for none.
    private static func path(inDocument json: [UInt8]) -> String? {
        guard let path = (try? RuntimeSpec(parsing: json))?.linux?.cgroupsPath, !path.isEmpty else { return nil }
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

    /// Kills what is left of a container in its group and removes the group; none is fine.
    ///
    /// A group that only the document names may be another's: nobody in it is killed, and it is removed when it is empty and was not there
    /// before the container.
    ///
    /// - Parameters:
    ///   - bundle: Absolute path of the bundle, whose document may name a group.
    ///   - found: The group that the container was found in; nil for none.
    ///   - wasThere: What `isThere` has said; nil when that is not known, as good as true.
    /// - Returns: What could not be removed, and why.
    public static func remove(bundle: String, found: String?, wasThere: Bool?) -> [String] {
        // Without a document there is none that it names.
        // A damaged document may name somebody else's group.
        let document = (try? File.read("\(bundle)/config.json", limit: 1 << 24)).flatMap {
            CheckedObject.isSound($0) ? $0 : nil
        }
        let named = document.flatMap(path(inDocument:))
        var failures: [String] = []
        if let found {
            kill(found)
            if found != named || wasThere == false { failures += remove(found) }
        }
        if let named, named != found, wasThere == false, (try? CgroupTree().hasProcesses(named)) == false {
            failures += remove(named)
        }
        return failures
    }

    private static func remove(_ path: String) -> [String] {
        guard let group = try? CgroupTree().open(path) else { return [] }
        do throws(CgroupError) { try group.remove(timeout: .seconds(2)) } catch {
            return ["remove cgroup \(path): \(error)"]
        }
        return []
    }
}
