import Foundation
import Kernel
import ShimKitTesting
import ShimProtocol
import SwiftProtobuf
import Testing

/// What a runtime says that it cannot do is refused by name, instead of passed over in silence.
@Suite(.timeLimit(.minutes(2))) struct RuntimeFeaturesTests {
    /// A runtime that says what it can, and fails at everything else.
    private static func script(_ features: String) -> String {
        "case $command in features) echo '\(features)' ;; *) exit 7 ;; esac"
    }

    private static let old = #"""
        {"ociVersionMin":"1.0.0","ociVersionMax":"1.0.2-dev","hooks":["prestart"],"mountOptions":["ro"],\#
        "linux":{"namespaces":["pid"],"capabilities":["CAP_CHOWN"],"seccomp":{"enabled":false},\#
        "apparmor":{"enabled":false},"selinux":{"enabled":false},"intelRdt":{"enabled":false}}}
        """#
    private static let young = #"""
        {"ociVersionMin":"1.0.0","ociVersionMax":"1.3.0","hooks":["prestart","createRuntime"],"mountOptions":["rro"],\#
        "linux":{"namespaces":["pid","time"],"mountExtensions":{"idmap":{"enabled":true}},"capabilities":["CAP_CHOWN","CAP_BPF","CAP_LATER"],\#
        "seccomp":{"enabled":true},"apparmor":{"enabled":true},"selinux":{"enabled":true},"intelRdt":{"enabled":true}}}
        """#

    static let demands = [
        (#""domainname":"here""#, "domainname"),
        (#""process":{"cwd":"/","scheduler":{"policy":"SCHED_BATCH"}}"#, "process.scheduler"),
        (#""linux":{"seccomp":{"defaultAction":"SCMP_ACT_ERRNO"}}"#, "linux.seccomp"),
        (#""linux":{"mountLabel":"m"}"#, "linux.mountLabel"),
        (#""linux":{"intelRdt":{"closID":"c"}}"#, "linux.intelRdt"),
        (#""process":{"cwd":"/","apparmorProfile":"p"}"#, "process.apparmorProfile"),
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

    static let processes = [
        (#""scheduler":{"policy":"SCHED_BATCH"}"#, "process.scheduler"),
        (#""ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":0}"#, "process.ioPriority"),
        (#""execCPUAffinity":{"initial":"0"}"#, "process.execCPUAffinity"),
        (#""apparmorProfile":"p""#, "process.apparmorProfile"), (#""selinuxLabel":"l""#, "process.selinuxLabel"),
    ]

    /// A container over a runtime with these features, and the start of a further process in it.
    private static func exec(_ members: String, _ features: String) throws -> (HostileRuntimeTests.Place, RPCError?) {
        let place = try HostileRuntimeTests.Place.created("features", "echo '\(features)'")
        let id = place.shim.id
        try place.client.task(.start, TaskStartRequest.with { $0.id = id })
        let json = Array(#"{"args":["true"],"cwd":"/",\#(members)}"#.utf8)
        let process = Google_Protobuf_Any(typeURL: TypeURL.process, json: json)
        try place.client.task(.exec, TaskExecRequest.with { ($0.id, $0.execID, $0.spec) = (id, "e", process) })
        do {
            try place.client.task(.start, TaskStartRequest.with { ($0.id, $0.execID) = (id, "e") })
        } catch let error as RPCError { return (place, error) }
        return (place, nil)
    }

    /// A further process has a document of its own.
    @Test(arguments: processes) func whatASessionWouldMissIsRefused(_ members: String, _ field: String) throws {
        let (place, error) = try Self.exec(members, Self.old)
        #expect(error?.code == .unsupported && error?.message.contains(field) == true, "\(error?.message ?? "")")
        #expect(try !place.commands().contains("exec"))
        try place.endsWell()
        let (other, none) = try Self.exec(members, Self.young)
        #expect(try none == nil && other.commands().contains("exec"), "\(none?.message ?? "")")
        try other.endsWell()
    }

    /// The specification has a capability that cannot be granted be a warning.
    @Test func aCapabilityThatIsIgnoredIsNoted() throws {
        let sets = #""capabilities":{"bounding":["CAP_CHOWN","CAP_LATER"]}"#
        for (features, isNoted) in [(Self.old, true), (Self.young, false)] {
            let (place, error) = try Self.exec(sets, features)
            #expect(error == nil)
            #expect(place.shim.log.contains("CAP_LATER") == isNoted, "\(place.shim.log)")
            try place.endsWell()
        }
        let document = #""process":{"cwd":"/",\#(sets)}"#
        let place = try HostileRuntimeTests.Place(Self.script(Self.old), document: document)
        #expect(try place.refusal().0 == .internal)
        #expect(place.shim.log.contains("CAP_LATER"))
    }

    @Test func aPlainSessionCostsNoQuestion() throws {
        let (place, error) = try Self.exec(#""capabilities":{"bounding":["CAP_CHOWN"]}"#, Self.old)
        #expect(try error == nil && !place.commands().contains("features"))
        try place.endsWell()
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
