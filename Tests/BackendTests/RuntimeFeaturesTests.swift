import Foundation
import Kernel
import ShimKitTesting
import ShimProtocol
import Testing

/// What a runtime says that it cannot do is refused by name, instead of passed over in silence.
@Suite(.timeLimit(.minutes(2))) struct RuntimeFeaturesTests {
    /// A runtime that says what it can, and fails at everything else.
    private static func script(_ features: String) -> String {
        "case $command in features) echo '\(features)' ;; *) exit 7 ;; esac"
    }

    private static let old = #"""
        {"ociVersionMin":"1.0.0","ociVersionMax":"1.0.2-dev","hooks":["prestart"],"mountOptions":["ro"],\#
        "linux":{"namespaces":["pid"]}}
        """#
    private static let young = #"""
        {"ociVersionMin":"1.0.0","ociVersionMax":"1.3.0","hooks":["prestart","createRuntime"],"mountOptions":["rro"],\#
        "linux":{"namespaces":["pid","time"],"mountExtensions":{"idmap":{"enabled":true}}}}
        """#

    static let demands = [
        (#""domainname":"here""#, "domainname"),
        (#""process":{"cwd":"/","scheduler":{"policy":"SCHED_BATCH"}}"#, "process.scheduler"),
        (#""hooks":{"createRuntime":[{"path":"/bin/true"}]}"#, "hooks.createRuntime"),
        (#""mounts":[{"destination":"/a","source":"/tmp","options":["bind","rro"]}]"#, "mounts[0].options 'rro'"),
        (
            #""mounts":[{"destination":"/a","source":"/tmp","options":["bind"],"#
                + #""uidMappings":[{"containerID":0,"hostID":1,"size":1}],"#
                + #""gidMappings":[{"containerID":0,"hostID":1,"size":1}]}]"#,
            "mounts[0].uidMappings"
        ),
        (#""linux":{"namespaces":[{"type":"time"}]}"#, "linux.namespaces"),
        (#""linux":{"timeOffsets":{"monotonic":{"secs":1}}}"#, "linux.timeOffsets"),
    ]

    @Test(arguments: demands) func whatAnOldRuntimeWouldPassOverIsRefused(_ document: String, _ field: String) throws {
        let (code, message) = try HostileRuntimeTests.Place(Self.script(Self.old), document: document).refusal()
        #expect(code == .unsupported, "\(message)")
        #expect(message.contains(field), "\(message)")
        // Who can do it is asked to.
        #expect(try HostileRuntimeTests.Place(Self.script(Self.young), document: document).refusal().0 == .internal)
    }

    @Test func realRuntimeIsBelieved() throws {
        let place = try HostileRuntimeTests.Place("exit 7", document: #""domainname":"here""#)
        let (code, message) = try place.refusal(["runtime": "runc"])
        #expect(code == .unsupported && message.contains("domainname"), "\(message)")
    }

    @Test(arguments: ["exit 1", "echo 'no such command'", "echo '[1]'"])
    func whoDoesNotSayIsLeftToIt(_ answer: String) throws {
        let body = "case $command in features) \(answer) ;; *) exit 7 ;; esac"
        let place = try HostileRuntimeTests.Place(body, document: #""domainname":"here""#)
        #expect(try place.refusal().0 == .internal)
        #expect(try place.commands().contains("features"))
    }

    @Test func whoHangsIsNotAskedAgain() throws {
        let body = "case $command in features) exec sleep 1000 ;; *) exit 7 ;; esac"
        let place = try HostileRuntimeTests.Place(body, document: #""domainname":"here""#)
        #expect(try place.refusal(["timeout": "1"]).0 == .timedOut)
        #expect(try !place.commands().contains("create"))
    }

    @Test func plainDocumentsCostNoQuestion() throws {
        let place = try HostileRuntimeTests.Place(Self.script(Self.old))
        #expect(try place.refusal().0 == .internal)
        #expect(try !place.commands().contains("features"))
    }
}
