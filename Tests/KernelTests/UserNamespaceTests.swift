import Kernel
import ProbeSupport
import Testing

/// User namespaces without a program, on the real kernel.
struct UserNamespaceTests {
    let mapping = UserNamespace.Mapping(inside: 0, outside: 700_000, size: 65_536)

    @Test func ownersOfAMountAreMapped() throws {
        let scratch = try Scratch()
        try File.writeAtomically("\(scratch.path)/file", [1], durable: false)
        let namespace = try UserNamespace.make(mapping)
        let mount = try DetachedMount(cloning: scratch.path)
        try mount.setIDMap(namespace.raw)
        let seen = try RootedDir(adopting: mount.intoDescriptor()).stat("file")
        #expect(seen.uid == 700_000 && seen.gid == 700_000)
        #expect(try File.status("\(scratch.path)/file").uid == 0)
    }

    @Test func whatCannotBeMappedSaysSo() throws {
        let namespace = try UserNamespace.make(mapping)
        let mount = try DetachedMount(cloning: "/proc")
        #expect { try mount.setIDMap(namespace.raw) } throws: { ($0 as? KernelError)?.errno == .invalid }
    }

    @Test func badMappingIsAnErrorAndLeavesNoProcess() throws {
        let before = try children()
        #expect(throws: KernelError.self) {
            _ = try UserNamespace.make(.init(inside: 0, outside: .max, size: 2))
        }
        #expect(try children().subtracting(before).isEmpty)
    }

    /// A place for an overlay.
    private func overlayPlace() throws -> Scratch {
        let scratch = try Scratch()
        for name in ["lower", "state", "state/upper", "state/work"] {
            try File.makeDirectory("\(scratch.path)/\(name)")
        }
        return scratch
    }

    @Test func overlayInsideWritesRootsFiles() throws {
        let scratch = try overlayPlace()
        try UserNamespace.tryOverlay(lower: "\(scratch.path)/lower", state: "\(scratch.path)/state", mapping)
        #expect(try File.status("\(scratch.path)/state/upper/probe").uid == 0)
    }

    @Test func stepThatFailsInsideIsNamed() throws {
        let scratch = try overlayPlace()
        try File.makeDirectory("\(scratch.path)/state/upper/probe")
        #expect {
            try UserNamespace.tryOverlay(lower: "\(scratch.path)/lower", state: "\(scratch.path)/state", mapping)
        } throws: { error in
            let error = error as? KernelError
            return error?.errno == .exists && error?.operation == "write to overlay in user namespace"
        }
    }

    /// This process's children that are in another user namespace: what would be left of a throw-away one.
    private func children() throws -> Set<String> {
        let own = try File.readText("/proc/self/task/\(Credentials.processID)/children")
        return Set(own.split(separator: " ").map(String.init))
    }
}
