import Foundation
import ShimKitTesting
import Testing

/// What the OCI runtime-spec demands of a container, on every backend of this repository, and on runc and crun in containerd's
/// shim to prove the checks right.
@Suite(.serialized) struct IsolationTests {
    static let checks = Conformance.isolation.filter(\.isPossible)

    @Test(arguments: checks)
    func native(_ check: Conformance.Check) throws {
        try check.run(on: BackendTests.native)
    }

    /// With a guard over every container whose document has no filter of its own.
    @Test(arguments: checks)
    func restricted(_ check: Conformance.Check) throws {
        var program = BackendTests.restricted("enforce")
        for (reason, names) in restrictedExceptions { for name in names { program.exceptions[name] = reason } }
        try check.run(on: program)
    }

    @Test(.enabled(if: BackendTests.runcIsInstalled), arguments: checks)
    func runc(_ check: Conformance.Check) throws {
        try check.run(on: .containerdRunc)
    }

    static var crunIsInstalled: Bool {
        BackendTests.runcIsInstalled && FileManager.default.isExecutableFile(atPath: "/usr/bin/crun")
    }

    @Test(.enabled(if: crunIsInstalled), arguments: checks)
    func crun(_ check: Conformance.Check) throws {
        try check.run(on: .containerdCrun)
    }
}
