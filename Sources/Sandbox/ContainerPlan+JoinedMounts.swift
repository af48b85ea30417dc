internal import Kernel
internal import OCISpec

// A mount namespace that exists already has a tree that others live in. They would see every change of it, could lead the
// set-up astray meanwhile, and would keep all of it when the container has gone. So a container that joins one takes the tree as it
// is: its root is a directory of that tree, by default the whole, and what asks for a change is an error.
extension ContainerPlan {
    /// Whether the container lives in a tree of others.
    var joinsMounts: Bool { joined.contains { $0.kind == .mount } }

    /// Names the first field that asks for something of a tree that is not the container's.
    func refuseTree(_ request: SandboxRequest) throws(SandboxError) {
        let spec = request.specification
        let linux = spec.linux ?? RuntimeSpec.Linux()
        let asked: [(String, Bool)] = [
            ("mounts", spec.mounts?.isEmpty == false), ("root", !request.rootMounts.isEmpty),
            ("root.readonly", rootIsReadOnly), ("linux.rootfsPropagation", linux.rootfsPropagation?.isEmpty == false),
            ("linux.maskedPaths", !maskedPaths.isEmpty), ("linux.readonlyPaths", !readonlyPaths.isEmpty),
            ("linux.devices", !devices.isEmpty), ("linux.mountLabel", mountLabel != nil),
            ("process.terminal", process.streams == nil),
            // It would be looked for in that tree, and run with the rights of the runtime.
            ("hooks.createContainer", spec.hooks?.createContainer?.isEmpty == false),
        ]
        guard let field = asked.first(where: \.1)?.0 else { return }
        let reason = "the container joins a mount namespace, whose tree is not its own to change"
        throw .refused(.specification, "apply", field, reason, code: .unsupported)
    }
}
