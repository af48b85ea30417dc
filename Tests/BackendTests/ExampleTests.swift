import Foundation
import Kernel
import ShimKitTesting
import ShimProtocol
import SwiftProtobuf
import Testing

/// What the backend that authors begin with does not do, it does not pass over in silence.
@Suite(.timeLimit(.minutes(1))) struct ExampleTests {
    /// What Create says of a document with these members: its code and text; nil when it makes the container.
    private func refusal(_ members: String) throws -> (ErrorCode, String)? {
        let config = #"{"ociVersion":"1.0.2","process":{"args":["true"],"cwd":"/"},\#(members)}"#
        let program = BackendTests.testProducts.appendingPathComponent("berth-shim-example").path
        let shim = try RunningShim(program: program, config: config)
        let client = try shim.connect()
        let request = TaskCreateRequest.with { ($0.id, $0.bundle) = (shim.id, shim.bundle) }
        do {
            _ = try client.task(.create, request, TaskCreateResponse.self)
        } catch let error as RPCError {
            return (error.code, error.message)
        }
        try client.task(.delete, TaskDeleteRequest.with { $0.id = shim.id })
        return nil
    }

    private static let root = #""root":{"path":"rootfs"}"#

    @Test(arguments: [
        (#"\#(root),"mounts":[{"destination":"/data","type":"bind","source":"/tmp","options":["rbind"]}]"#, "/data"),
        (#"\#(root),"mounts":[{"destination":"/data/cache","type":"tmpfs","source":"tmpfs"}]"#, "/data/cache"),
        (#"\#(root),"mounts":[{"destination":"/etc/x","type":"none","source":"/tmp","options":["bind"]}]"#, "/etc/x"),
        (#""root":{"path":"rootfs","readonly":true}"#, "root.readonly"),
    ])
    func whatItDoesNotMountIsRefusedByName(members: String, name: String) throws {
        let refusal = try #require(try refusal(members))
        #expect(refusal.0 == .unsupported && refusal.1.contains("'\(name)'"), "\(refusal)")
    }

    /// Managers put these into every document; who shares all with the host has them, or can do without.
    @Test func whatEveryDocumentHasIsNotRefused() throws {
        let mounts = [
            ("/proc", "proc"), ("/dev", "tmpfs"), ("/dev/pts", "devpts"), ("/dev/shm", "tmpfs"),
            ("/dev/mqueue", "mqueue"), ("/sys", "sysfs"), ("/sys/fs/cgroup", "cgroup2"), ("/run", "tmpfs"),
            ("/etc/hosts", "bind"), ("/etc/hostname", "bind"), ("/etc/resolv.conf", "bind"),
        ].map { #"{"destination":"\#($0)","type":"\#($1)","source":"\#($1 == "bind" ? $0 : $1)"}"# }
        #expect(try refusal(#"\#(Self.root),"mounts":[\#(mounts.joined(separator: ","))]"#) == nil)
    }
}
