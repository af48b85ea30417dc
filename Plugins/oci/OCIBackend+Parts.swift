import Cgroups
import FoundationEssentials
import Kernel
import OCISpec
import ShimKit

// The runtime, documents and groups.
extension OCIBackend {
    /// The runtime that a request asks for, and what is written down of it.
    static func runtime(
        _ request: BackendCreateRequest,
        _ context: BackendContext
    ) throws(BackendError) -> (RuntimeProgram, RuntimeRecord) {
        let options = request.options
        if let unknown = options.keys.sorted().first(where: { !["runtime", "root", "timeout"].contains($0) }) {
            throw .refused(
                stage: "runtime",
                operation: "read option",
                object: unknown,
                code: .invalidArgument,
                detail: "the options of this backend are runtime, root and timeout"
            )
        }
        guard let seconds = Int(options["timeout"] ?? "\(defaultPatience)"), (1...3600).contains(seconds) else {
            throw .refused(
                stage: "runtime",
                operation: "read option",
                object: "timeout",
                code: .invalidArgument,
                detail: "'\(options["timeout"] ?? "")' is not a number of seconds from 1 to 3600"
            )
        }
        let record = RuntimeRecord(
            program: try RuntimeProgram.find(options["runtime"] ?? defaultRuntime),
            // Its notes of this container go with the bundle, whatever happens.
            root: options["root"] ?? "\(context.bundle)/runtime",
            usesSystemdCgroup: request.usesSystemdCgroup
        )
        return (RuntimeProgram(record, bundle: context.bundle, patience: .seconds(seconds)), record)
    }

    /// The runtime of a container that is there.
    func existing(_ operation: String) throws(BackendError) -> RuntimeProgram {
        if let runtime { return runtime }
        throw .refused(
            stage: operation,
            operation: operation,
            code: .failedPrecondition,
            detail: "there is no container"
        )
    }

    // Documents -----------------------------------------------------------------------------------------------------------

    /// Gives the init process the ids of a user that the document names; only a manager of ours writes such a document.
    func resolveUser(in specification: [UInt8]) throws(BackendError) {
        guard var document = try? RuntimeSpec(parsing: specification), var process = document.process,
            try root.resolveUser(of: &process)
        else { return }
        document.process = process
        try write(try Self.json(document), to: "\(context.bundle)/config.json")
    }

    /// An additional process with the ids of its user.
    static func resolved(_ process: [UInt8], _ root: BundleRoot) throws(BackendError) -> [UInt8] {
        guard var document = try? RuntimeSpec.Process(parsing: process), try root.resolveUser(of: &document) else {
            return process
        }
        return try json(document)
    }

    private static func json(_ value: some Encodable) throws(BackendError) -> [UInt8] {
        guard let bytes = try? JSONEncoder().encode(value) else {
            throw .refused(stage: "spec", operation: "encode", code: .internal, detail: "not a JSON document")
        }
        return Array(bytes)
    }

    /// Writes a file of the bundle.
    func write(_ bytes: [UInt8], to path: String) throws(BackendError) {
        do throws(KernelError) {
            try File.writeAtomically(path, bytes, durable: false)
        } catch {
            throw .failed(stage: "bundle", error)
        }
    }

    // Groups --------------------------------------------------------------------------------------------------------------

    /// Asks the group.
    func group<Value>(_ body: () throws(CgroupError) -> Value) throws(BackendError) -> Value {
        do throws(CgroupError) { return try body() } catch {
            throw .refused(stage: "cgroup", operation: error.operation, code: error.code, detail: "\(error)")
        }
    }

    /// Kills everybody in a group; none is fine.
    static func killGroup(_ path: String?) {
        guard let path, let group = try? CgroupTree().open(path) else { return }
        _ = try? group.killAll(timeout: .seconds(2))
    }

    /// Kills what is left in the container's groups and removes them; none is fine.
    static func removeGroups(of context: BackendContext, _ record: RuntimeRecord?) {
        for path in Set([record?.cgroup, ContainerGroup.path(inDocumentOf: context.bundle)].compactMap(\.self)) {
            killGroup(path)
            guard let group = try? CgroupTree().open(path) else { continue }
            do throws(CgroupError) { try group.remove(timeout: .seconds(2)) } catch {
                RuntimeLog.note("remove cgroup \(path): \(error)")
            }
        }
    }

    /// Does what must be tried and may fail; a failure is noted.
    static func report(_ body: () throws(BackendError) -> Void) {
        do throws(BackendError) { try body() } catch { RuntimeLog.note("\(error)") }
    }
}

extension RuntimeProgram {
    /// The runtime of a record.
    init(_ record: RuntimeRecord, bundle: String, patience: Duration) {
        path = record.program
        root = record.root
        self.bundle = bundle
        usesSystemdCgroup = record.usesSystemdCgroup
        self.patience = patience
    }
}

/// Where a container is in the host's hierarchies.
enum ContainerGroup {
    /// Hierarchies of version 1 by which a container is known, the best first.
    private static let controllers = ["memory", "pids", "freezer", "cpu", "devices"]

    /// The group of a process; nil when it is the shim's own or the root's, so that nothing may be done to it.
    static func path(of pid: Int32) -> String? {
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

    /// The group that a bundle's document names; nil for none.
    static func path(inDocumentOf bundle: String) -> String? {
        guard let json = try? File.read("\(bundle)/config.json", limit: 1 << 24),
            let path = (try? RuntimeSpec(parsing: json))?.linux?.cgroupsPath, !path.isEmpty
        else { return nil }
        if let scope = try? SystemdScopeName(path) { return scope.path }
        return path.hasPrefix("/") ? path : nil
    }
}
