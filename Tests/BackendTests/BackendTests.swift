import Foundation
import ShimKitTesting
import Testing

/// The conformance suite on every backend of this repository, and on containerd's own shim to prove the suite right.
///
/// One check after the other: some of them measure how long something takes.
@Suite(.serialized) struct BackendTests {
    /// What was built with the tests.
    static let testProducts: URL = {
        let own = CommandLine.arguments.first { $0.hasSuffix(".xctest") } ?? CommandLine.arguments[0]
        return URL(fileURLWithPath: own).deletingLastPathComponent()
    }()

    /// Where the shipped programs are: beside the test bundle, unless BERTH_BIN_DIR says otherwise.
    static let directory =
        ProcessInfo.processInfo.environment["BERTH_BIN_DIR"].map { URL(fileURLWithPath: $0) } ?? testProducts

    static let native = ShimProgram(
        name: "native",
        path: directory.appendingPathComponent("berth-shim-native").path,
        exceptions: nativeExceptions.reduce(into: [:]) { exceptions, entry in
            for name in entry.value { exceptions[name] = entry.key }
        }
    )
    /// With a guard over every container: what is refused is asked about, in the second one all calls are.
    static func restricted(_ mode: String) -> ShimProgram {
        var program = ShimProgram(
            name: "restricted, \(mode)",
            path: directory.appendingPathComponent("berth-shim-restricted").path
        )
        program.guarding = GuardDocument(mode: mode)
        return program
    }
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

    @Test(arguments: Conformance.checks)
    func restricted(_ check: Conformance.Check) throws {
        try check.run(on: Self.restricted("enforce"))
    }

    @Test(arguments: Conformance.checks)
    func learning(_ check: Conformance.Check) throws {
        try check.run(on: Self.restricted("learn"))
    }

    @Test(arguments: Conformance.succession)
    func successionWithAGuard(_ check: Conformance.Check) throws {
        try check.run(on: Self.restricted("enforce"))
    }

    @Test(arguments: Conformance.succession.filter { learningExceptions[$0.name] == nil })
    func successionWhileLearning(_ check: Conformance.Check) throws {
        try check.run(on: Self.restricted("learn"))
    }

    @Test(arguments: Conformance.guarding)
    func guarding(_ check: Conformance.Check) throws {
        try check.run(on: Self.restricted("enforce"))
    }

    @Test(.enabled(if: runcIsInstalled), arguments: Conformance.succession)
    func successionWithARuntime(_ check: Conformance.Check) throws {
        try check.run(on: Self.oci)
    }

    /// Berth's shim over a runtime.
    static func over(_ runtime: String) -> ShimProgram {
        .oci(directory.appendingPathComponent("berth-shim-oci").path, runtime: runtime)
    }

    @Test(.enabled(if: runcIsInstalled), arguments: Conformance.checks)
    func ociWithRunc(_ check: Conformance.Check) throws {
        try check.run(on: Self.over("/usr/sbin/runc"))
    }

    @Test(.enabled(if: IsolationTests.crunIsInstalled), arguments: Conformance.checks)
    func ociWithCrun(_ check: Conformance.Check) throws {
        try check.run(on: Self.over("/usr/bin/crun"))
    }

    @Test(arguments: Conformance.checks)
    func ociWithBerthRuntime(_ check: Conformance.Check) throws {
        try check.run(on: Self.over(Self.directory.appendingPathComponent("berth-runtime").path))
    }

    @Test(.enabled(if: runcIsInstalled), arguments: Conformance.checks)
    func foreign(_ check: Conformance.Check) throws {
        try check.run(
            on: ShimProgram(name: "foreign", path: Self.directory.appendingPathComponent("berth-shim-foreign").path)
        )
    }

    @Test(.enabled(if: runcIsInstalled), arguments: Conformance.succession)
    func successionOverAForeignShim(_ check: Conformance.Check) throws {
        try check.run(
            on: ShimProgram(
                name: "foreign",
                path: Self.directory.appendingPathComponent("berth-shim-foreign").path,
                exceptions: [
                    "groupOfAnExecIsKilledAfterAnUpgrade": "a foreign shim ends sessions by their first process"
                ]
            )
        )
    }

    @Test(arguments: Conformance.checks)
    func example(_ check: Conformance.Check) throws {
        let noGroups = "without cgroups there is nothing to count or limit"
        try check.run(
            on: ShimProgram(
                name: "example",
                path: Self.testProducts.appendingPathComponent("berth-shim-example").path,
                exceptions: [
                    "numbersAreOfAKnownType": noGroups, "limitIsChanged": noGroups,
                ]
            )
        )
    }

    @Test(.enabled(if: runcIsInstalled), arguments: Conformance.checks)
    func containerdsOwnShim(_ check: Conformance.Check) throws {
        try check.run(on: Self.runc)
    }
}
