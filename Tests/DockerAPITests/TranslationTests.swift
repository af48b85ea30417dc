import DockerAPI
import DockerTypes
import EngineModel
import HTTPTypes
import Kernel
import Testing

@Suite("Translation")
struct TranslationTests {
    private func translate(_ json: String) throws -> CreateTranslation.Result {
        try CreateTranslation.translate(
            try DockerJSON.decode(ContainerCreateRequest.self, from: json.utf8),
            defaultBackend: "native"
        )
    }

    @Test func limitsOfZeroAreNoLimits() throws {
        let result = try translate(#"{"Image":"a","HostConfig":{"Memory":0,"PidsLimit":0,"NanoCpus":0}}"#)
        var limits = ResourceLimits()
        limits.pids = 0
        #expect(result.configuration.resources == limits)
        #expect(result.warnings.isEmpty)
    }

    @Test(arguments: [
        ("bridge", NetworkMode.bridge), ("default", .bridge), ("", .bridge), ("none", .none), ("host", .host),
        ("container:x", .container("x")), ("mine", .named("mine")),
    ])
    func networkModesAreRead(mode: String, expected: NetworkMode) throws {
        let result = try translate(#"{"Image":"a","HostConfig":{"NetworkMode":"\#(mode)"}}"#)
        #expect(result.configuration.network == expected)
    }

    @Test(arguments: [
        #"{"Image":""}"#,
        #"{"Image":"a","HostConfig":{"RestartPolicy":{"Name":"sometimes"}}}"#,
        #"{"Image":"a","HostConfig":{"RestartPolicy":{"Name":"always","MaximumRetryCount":3}}}"#,
        #"{"Image":"a","HostConfig":{"RestartPolicy":{"Name":"on-failure","MaximumRetryCount":-1}}}"#,
        #"{"Image":"a","HostConfig":{"RestartPolicy":{"Name":"always"},"AutoRemove":true}}"#,
        #"{"Image":"a","HostConfig":{"SecurityOpt":["nonsense"]}}"#,
        #"{"Image":"a","HostConfig":{"SecurityOpt":["seccomp=/a/file"]}}"#,
        #"{"Image":"a","HostConfig":{"PidMode":"other"}}"#,
        #"{"Image":"a","HostConfig":{"UTSMode":"container:x"}}"#,
        #"{"Image":"a","HostConfig":{"UsernsMode":"keep-id"}}"#,
        #"{"Image":"a","HostConfig":{"Isolation":"hyperv"}}"#,
        #"{"Image":"a","HostConfig":{"ConsoleSize":[1]}}"#,
        #"{"Image":"a","HostConfig":{"ConsoleSize":[-1,80]}}"#,
        #"{"Image":"a","HostConfig":{"Mounts":[{"Type":"magic","Target":"/x"}]}}"#,
        #"{"Image":"a","HostConfig":{"VolumesFrom":["x"]}}"#,
        #"{"Image":"a","HostConfig":{"DeviceRequests":[{"Count":-1}]}}"#,
    ])
    func senselessRequestsAreRefused(json: String) {
        #expect(throws: APIError.self) { try translate(json) }
    }

    @Test func securityOptionsAreRead() throws {
        let json = #"{"Image":"a","HostConfig":{"SecurityOpt":["no-new-privileges","seccomp=unconfined"]}}"#
        let result = try translate(json).configuration
        #expect(result.noNewPrivileges)
        #expect(result.seccomp == .unconfined)
        let profile = #"{"Image":"a","HostConfig":{"SecurityOpt":["seccomp={\"defaultAction\":\"SCMP_ACT_ALLOW\"}"]}}"#
        #expect(try translate(profile).configuration.seccomp == .json(#"{"defaultAction":"SCMP_ACT_ALLOW"}"#))
    }

    @Test func labelsAreRead() throws {
        func options(_ list: String) throws -> ContainerConfiguration {
            let result = try translate(#"{"Image":"a","HostConfig":{"SecurityOpt":[\#(list)]}}"#)
            #expect(result.warnings.isEmpty)
            return result.configuration
        }
        #expect(try options(#""apparmor=box""#).appArmorProfile == "box")
        #expect(try options(#""apparmor:unconfined""#).appArmorProfile == "unconfined")
        let label = try options(#""label=type:box_t","label=level:s0:c1,c2","label=user:some_u""#).selinuxLabel
        #expect(label?.process == "some_u:system_r:box_t:s0:c1,c2")
        #expect(label?.mount == "some_u:object_r:container_file_t:s0:c1,c2")
        #expect(try options(#""label=type:box_t","label=disable""#).selinuxLabel == nil)
        for bad in ["label=type:a:b", "label=type:", "label=colour:red", "label=level:s0 c1", "apparmor="] {
            #expect(throws: APIError.self, "\(bad)") { try options("\"\(bad)\"") }
        }
    }

    @Test func privilegesAreNotGainedUnlessSomebodySaysSo() throws {
        #expect(try translate(#"{"Image":"a"}"#).configuration.noNewPrivileges)
        #expect(!(try translate(#"{"Image":"a","HostConfig":{"Privileged":true}}"#).configuration.noNewPrivileges))
        let off = #"{"Image":"a","HostConfig":{"SecurityOpt":["no-new-privileges=false"]}}"#
        #expect(!(try translate(off).configuration.noNewPrivileges))
    }

    @Test func userNamespaceAndCgroupParentReachTheEngine() throws {
        let json = #"{"Image":"a","HostConfig":{"UsernsMode":"auto:size=2000","CgroupParent":"/x"}}"#
        let result = try translate(json)
        #expect(result.configuration.userNamespace == .auto(size: 2000) && result.configuration.cgroupParent == "/x")
        #expect(result.warnings.isEmpty)
        #expect(
            try translate(#"{"Image":"a","HostConfig":{"UsernsMode":"host"}}"#).configuration.userNamespace == .host
        )
        #expect(try translate(#"{"Image":"a"}"#).configuration.userNamespace == nil)
    }

    @Test func lowerCasePrivilegedIsNotPrivileged() throws {
        #expect(!(try translate(#"{"Image":"a","HostConfig":{"privileged":true}}"#).configuration.privileged))
    }

    @Test func whatHasNoEffectIsSaid() throws {
        let json = #"{"Image":"a","HostConfig":{"PublishAllPorts":true,"CpuRealtimePeriod":7}}"#
        #expect(try translate(json).warnings.count == 2)
    }

    @Test func clearedEntrypointIsEmptyAndAbsentIsNil() throws {
        #expect(try translate(#"{"Image":"a","Entrypoint":[""]}"#).configuration.entrypoint == [])
        #expect(try translate(#"{"Image":"a"}"#).configuration.entrypoint == nil)
        #expect(try translate(#"{"Image":"a","Entrypoint":"/bin/x"}"#).configuration.entrypoint == ["/bin/x"])
    }

    @Test(arguments: [
        (ErrorCode.notFound, 404), (.alreadyExists, 409), (.failedPrecondition, 409), (.invalidArgument, 400),
        (.permissionDenied, 403), (.unsupported, 501), (.unavailable, 503), (.internal, 500), (.timedOut, 500),
        (.resourceExhausted, 500), (.cancelled, 500),
    ])
    func codesHaveOneStatus(code: ErrorCode, status: Int) {
        #expect(APIError(code: code, message: "x").status.code == status)
    }

    @Test(
        arguments: [
            (0, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (150, "2 minutes"),
            (3600, "About an hour"), (7200, "2 hours"), (200_000, "2 days"), (2_000_000, "3 weeks"),
            (10_000_000, "3 months"), (100_000_000, "3 years"),
        ] as [(Int64, String)]
    )
    func durationsReadWell(seconds: Int64, text: String) {
        #expect(HumanDuration.text(seconds: seconds) == text)
    }

    @Test func commandsAreQuotedForReading() {
        #expect(ListTranslation.command(["sh", "-c", "echo 'a b'"]) == #"sh -c 'echo '\''a b'\'''"#)
    }

    @Test func logFramesJoinNeighboursOfOneStream() {
        var framing = LogFraming(timestamps: false, framed: true)
        let time = Timestamp(seconds: 0)
        let bytes = framing.bytes([
            LogRecord(stream: .stdout, time: time, bytes: Array("a\n".utf8)),
            LogRecord(stream: .stdout, time: time, bytes: Array("b\n".utf8)),
            LogRecord(stream: .stderr, time: time, bytes: Array("c\n".utf8)),
        ])
        #expect(
            bytes == [1, 0, 0, 0, 0, 0, 0, 4] + Array("a\nb\n".utf8) + [2, 0, 0, 0, 0, 0, 0, 2] + Array("c\n".utf8)
        )
    }

    @Test func timesStandOnlyBeforeTheFirstPieceOfALine() {
        var framing = LogFraming(timestamps: true, framed: false)
        let time = Timestamp(seconds: 0)
        let bytes = framing.bytes([
            LogRecord(stream: .stdout, time: time, bytes: Array("long ".utf8)),
            LogRecord(stream: .stdout, time: time, bytes: Array("line\n".utf8)),
        ])
        #expect(String(decoding: bytes, as: UTF8.self) == "1970-01-01T00:00:00.000000000Z long line\n")
    }
}
