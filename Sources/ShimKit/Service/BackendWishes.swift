import ShimProtocol
import SwiftProtobuf

/// What the options of Create say to the backend, whoever the caller is.
struct BackendWishes {
    var usesSystemdCgroup = false
    var options: [String: String] = [:]
    /// What the caller asks for and nobody does, by its name in the caller's own message.
    var unheard: [String] = []

    /// Reads the options: ours, or runc's, which containerd passes to every shim of a runtime that it takes for runc.
    ///
    /// - Parameters:
    ///   - request: The call.
    ///   - own: Its options when they are ours.
    ///   - names: Of the options that the backend reads; nil when it looks at them itself.
    /// - Throws: `invalidArgument` for an option of ours that the backend has not got: the operator has written it.
    init(_ request: TaskCreateRequest, _ own: ShimCreateOptions?, _ names: [String]?) throws(RPCError) {
        if let own {
            (usesSystemdCgroup, options) = (own.systemdCgroup, own.backendOptions)
            guard let names, let unknown = options.keys.sorted().first(where: { !names.contains($0) }) else { return }
            let known = names.isEmpty ? "has none" : "has \(names.joined(separator: ", "))"
            throw .invalidArgument("option '\(unknown)': this backend \(known)")
        }
        guard request.hasOptions else { return }
        guard let runc = try request.options.decode(RuncOptions.self) else {
            unheard = [request.options.typeURL]
            return
        }
        usesSystemdCgroup = runc.systemdCgroup
        for (option, name, value) in [("runtime", "binary_name", runc.binaryName), ("root", "root", runc.root)]
        where !value.isEmpty {
            if names?.contains(option) == false { unheard.append(name) } else { options[option] = value }
        }
        unheard += Self.unheard(runc)
    }

    /// What no shim of ours does, of what is set.
    private static func unheard(_ runc: RuncOptions) -> [String] {
        let all = [
            ("no_pivot_root", runc.noPivotRoot), ("no_new_keyring", runc.noNewKeyring),
            ("shim_cgroup", !runc.shimCgroup.isEmpty), ("io_uid", runc.ioUid != 0), ("io_gid", runc.ioGid != 0),
            ("criu_path", !runc.criuPath.isEmpty), ("criu_image_path", !runc.criuImagePath.isEmpty),
            ("criu_work_path", !runc.criuWorkPath.isEmpty), ("task_api_address", !runc.taskApiAddress.isEmpty),
            ("task_api_version", runc.taskApiVersion > 3),
        ]
        return all.filter(\.1).map(\.0)
    }
}
