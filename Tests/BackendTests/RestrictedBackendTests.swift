import Foundation
import Kernel
import ShimProtocol
import SwiftProtobuf
import Testing

@testable import ShimKitTesting

/// What the restricted backend adds to the native one by itself: rules for files in other shims' hands, and a filter that keeps a container
/// without namespaces to itself.
@Suite(
    .timeLimit(.minutes(1)),
    .enabled(if: Landlock.version >= 2, "the kernel has no Landlock, or an older one")
) struct RestrictedBackendTests {
    private static let program = BackendTests.restricted("enforce")

    /// A further process that ends by itself; nil for the error that its start is.
    private static func session(_ container: ManagedContainer, _ name: String) throws -> RPCError? {
        try container.addExec(name, "exit 3")
        do { try container.start(name) } catch let error as RPCError { return error }
        #expect(try container.waitForExit(name) == 3)
        return nil
    }

    /// Rules that nobody has handed over bind the container's processes, and could bind no further one.
    @Test func whoHasLostTheRulesTakesNoSession() throws {
        let container = try ManagedContainer(Self.program, "sleep 1000")
        try container.start()
        #expect(try container.shim.hold().answer.names.contains("backend/rules"))
        #expect(try Self.session(container, "first") == nil)
        try container.succeed()
        #expect(try Self.session(container, "adopted") == nil)
        try container.succeed { $0 != "backend/rules" }
        for when in ["lost", "upgraded", "again"] {
            let error = try Self.session(container, when)
            #expect(error?.code == .failedPrecondition, "\(when): \(error?.message ?? "it runs")")
            #expect(error?.message.contains("access rules were lost") == true, "\(when)")
            // What was lost is lost to those who come after.
            if when == "lost" { try container.upgrade() } else { try container.succeed() }
        }
        #expect(try container.state().status == .running)
        try container.kill(.kill)
        // An older kernel does not tell how a process has ended that is nobody's child.
        #expect(try [137, 255].contains(container.waitForExit()))
        try container.delete()
    }

    /// The document's filter allows everything: what is refused is refused for having no namespaces.
    @Test func aContainerWithoutNamespacesIsKeptToItself() throws {
        // prlimit64 of this process, which would change nothing, and IPC_INFO of shared memory.
        let calls = ["call=302,\(Credentials.processID),7", "call=302,0,7", "call=31,0,3"]
        let expected = ["\(calls[0]): error 1", "\(calls[1]): 0", "\(calls[2]): error 38"]
        let id = Conformance.place.makeID()
        let config: Document = [
            "ociVersion": "1.0.2", "root": ["path": "rootfs"],
            "annotations": ["dev.berth.namespaces": "none", "dev.berth.landlock": "available"],
            "process": [
                "args": .texts(["/bin/syscall-load"] + calls), "cwd": "/", "env": ["PATH=/bin"],
                "user": ["uid": 0, "gid": 0], "noNewPrivileges": true,
            ],
            "linux": ["cgroupsPath": .text("/berth-\(id)"), "seccomp": ["defaultAction": "SCMP_ACT_ALLOW"]],
        ]
        let shim = try RunningShim(program: Self.program.path, config: config.json, id: id) { bundle in
            try ConformanceBundle.makeRoot(bundle + "/rootfs")
            let helper = try File.read(SyscallLoad.path(), limit: 16 << 20)
            let place = bundle + "/rootfs/bin/syscall-load"
            try File.writeAtomically(place, helper, mode: 0o755, durable: false)
        }
        let client = try shim.connect()
        let options = ShimCreateOptions.with { $0.log.path = shim.directory + "/container.log" }
        let create = TaskCreateRequest.with { request in
            (request.id, request.bundle) = (id, shim.bundle)
            request.options = Google_Protobuf_Any(packed: options)
        }
        _ = try client.task(.create, create, TaskCreateResponse.self)
        _ = try client.task(.start, TaskStartRequest.with { $0.id = id }, TaskStartResponse.self)
        let end = try client.task(.wait, TaskWaitRequest.with { $0.id = id }, TaskWaitResponse.self)
        #expect(end.exitStatus == 0)
        let lines = try File.readText(shim.directory + "/container.log").split(separator: "\n")
        #expect(lines.map { $0.split(separator: " ", maxSplits: 3).last.map(String.init) } == expected)
        try client.task(.delete, TaskDeleteRequest.with { $0.id = id })
        try client.task(.shutdown, TaskShutdownRequest.with { $0.id = id })
        #expect(try shim.waitForEnd() == .exited(0))
    }
}
