import Cgroups
import HostBundle
import Kernel
import ShimKit

// The runtime, documents and groups.
extension OCIBackend {
    /// The runtime that a request asks for, and what is written down of it.
    static func runtime(
        _ request: BackendCreateRequest,
        _ context: BackendContext
    ) throws(BackendError) -> (RuntimeProgram, RuntimeRecord) {
        let options = request.options
        guard let seconds = Int(options["timeout"] ?? "\(defaultPatience)"), (1...3600).contains(seconds) else {
            throw .refused(
                stage: "runtime",
                operation: "read option",
                object: "timeout",
                code: .invalidArgument,
                detail: "'\(options["timeout"] ?? "")' is not a number of seconds from 1 to 3600"
            )
        }
        let hides = options["hide-cgroup2"] ?? "false"
        guard ["true", "false"].contains(hides) else {
            throw .refused(
                stage: "runtime",
                operation: "read option",
                object: "hide-cgroup2",
                code: .invalidArgument,
                detail: "'\(hides)' is neither true nor false"
            )
        }
        var record = RuntimeRecord(
            program: try HostProgram.find(options["runtime"] ?? defaultRuntime, stage: "runtime"),
            // Its notes of this container go with the bundle, whatever happens.
            root: options["root"] ?? "\(context.bundle)/runtime",
            usesSystemdCgroup: request.usesSystemdCgroup
        )
        record.hidesCgroup2 = hides == "true"
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

    /// Kills what is left in the container's group and removes it.
    static func removeGroups(of context: BackendContext, _ record: RuntimeRecord?) {
        let failures = ContainerGroup.remove(
            bundle: context.bundle,
            found: record?.cgroup,
            wasThere: record?.groupWasThere
        )
        for failure in failures { RuntimeLog.note(failure) }
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
        hidesCgroup2 = record.hidesCgroup2 ?? false
        self.patience = patience
    }
}
