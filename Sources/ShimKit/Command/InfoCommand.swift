import Kernel
import ShimProtocol
import SwiftProtobuf

/// containerd's `-info`: what the shim is and which mounts it performs itself.
enum InfoCommand {
    static func run<B: Backend>(_: B.Type) throws(ShimFault) {
        let information = B.information
        let info = ContainerdRuntimeInfo.with { info in
            info.name = "io.berth.\(information.name).v2"
            info.version.version = information.version
            var capabilities = ShimServer.capabilities + information.capabilities
            if B.isRestorable { capabilities += ShimServer.restoringCapabilities }
            info.annotations["io.berth.capabilities"] = capabilities.joined(separator: ",")
            if !information.mountTypes.isEmpty {
                info.annotations["containerd.io/runtime-allow-mounts"] = information.mountTypes.joined(separator: ",")
            }
        }
        do throws(KernelError) {
            try BorrowedDescriptor.standardOutput.writeAll(info.bytes)
        } catch {
            throw ShimFault("write information", error)
        }
    }
}
