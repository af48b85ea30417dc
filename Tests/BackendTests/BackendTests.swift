import Foundation
import ShimKitTesting
import Testing

/// The conformance suite on every backend of this repository, and on containerd's own shim to prove the suite right.
///
/// One check after the other: some of them measure how long something takes.
@Suite(.serialized) struct BackendTests {
    /// Where the built programs are: beside the test bundle, unless BERTH_BIN_DIR says otherwise.
    static let directory: URL = {
        if let path = ProcessInfo.processInfo.environment["BERTH_BIN_DIR"] { return URL(fileURLWithPath: path) }
        let own = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent()
    }()

    static let native = ShimProgram(
        name: "native",
        path: directory.appendingPathComponent("berth-shim-native").path,
        exceptions: nativeExceptions.reduce(into: [:]) { exceptions, entry in
            for name in entry.value { exceptions[name] = entry.key }
        }
    )
    static let oci = ShimProgram(
        name: "oci",
        path: directory.appendingPathComponent("berth-shim-oci").path,
        exceptions: ["groupOfAnExecIsKilledAfterAnUpgrade": "a runtime makes no group for an exec session"]
    )
    static let runc = ShimProgram.containerdRunc

    static var runcIsInstalled: Bool {
        [runc.path, "/usr/sbin/runc"].allSatisfy { FileManager.default.isExecutableFile(atPath: $0) }
    }

    @Test(arguments: Conformance.checks)
    func native(_ check: Conformance.Check) throws {
        try check.run(on: Self.native)
    }

    @Test(arguments: Conformance.succession)
    func succession(_ check: Conformance.Check) throws {
        try check.run(on: Self.native)
    }

    @Test(.enabled(if: runcIsInstalled), arguments: Conformance.succession)
    func successionWithARuntime(_ check: Conformance.Check) throws {
        try check.run(on: Self.oci)
    }

    @Test(.enabled(if: runcIsInstalled), arguments: Conformance.checks)
    func containerdsOwnShim(_ check: Conformance.Check) throws {
        try check.run(on: Self.runc)
    }
}
