import DockerTypes
import Testing

@Suite("Documents")
struct DocumentTests {
    private func decode<Value: Decodable>(_ text: String) throws -> Value {
        try DockerJSON.decode(Value.self, from: text.utf8)
    }

    private func text(_ value: some Encodable) throws -> String {
        String(decoding: try DockerJSON.encode(value), as: UTF8.self)
    }

    @Test func createRequestReadsItsThreeParts() throws {
        let request: ContainerCreateRequest = try decode(
            """
            {"Image":"busybox","Cmd":["sh","-c","true"],"Env":null,"Tty":true,"Unknown":{"a":1},
             "HostConfig":{"Memory":67108864,"NetworkMode":"none","PortBindings":{"80/tcp":null},
              "LogConfig":{"Type":"","Config":{}},"CapAdd":"ALL","Privileged":null},
             "NetworkingConfig":{"EndpointsConfig":{"bridge":null}}}
            """
        )
        #expect(request.config.image == "busybox")
        #expect(request.config.cmd?.values == ["sh", "-c", "true"])
        #expect(request.config.tty)
        #expect(request.config.env == nil)
        #expect(request.hostConfig.memory == 67_108_864)
        #expect(request.hostConfig.capAdd?.values == ["ALL"])
        #expect(!request.hostConfig.privileged)
        #expect(request.hostConfig.portBindings?.keys.first == "80/tcp")
    }

    @Test(arguments: ["{}", #"{"HostConfig":null,"NetworkingConfig":null,"Image":null,"Cmd":null}"#])
    func absentAndNullAreZero(document: String) throws {
        let request: ContainerCreateRequest = try decode(document)
        #expect(request == ContainerCreateRequest())
    }

    @Test func createRequestSurvivesARoundTrip() throws {
        var request = ContainerCreateRequest()
        request.config.image = "a/b:c"
        request.config.entrypoint = [""]
        request.hostConfig.binds = ["/a:/b:ro"]
        request.hostConfig.portBindings = ["80/tcp": [PortBinding()], "81/tcp": nil]
        request.networkingConfig.endpointsConfig = ["none": EndpointSettings()]
        let copy: ContainerCreateRequest = try decode(try text(request))
        #expect(copy == request)
    }

    @Test func everyZeroFieldIsWrittenAndNoNilOneIs() throws {
        let written = try text(ContainerState())
        #expect(written.contains(#""StartedAt":"0001-01-01T00:00:00Z""#))
        #expect(written.contains(#""OOMKilled":false"#))
        #expect(written.contains(#""ExitCode":0"#))
        #expect(!written.contains("Health"))
    }

    /// Docker writes null for a session that has not ended.
    @Test func theCodeOfASessionIsANumberOrNull() throws {
        var session = ExecInspect()
        #expect(try text(session).contains(#""ExitCode":null"#))
        #expect(try decode(try text(session)) == session)
        #expect(try decode("{}") == session)
        session.exitCode = 0
        #expect(try text(session).contains(#""ExitCode":0"#))
        #expect(try decode(try text(session)) == session)
    }

    @Test func slashesAreNotEscaped() throws {
        var response = ErrorResponse()
        response.message = "/a/b"
        #expect(try text(response) == #"{"message":"/a/b"}"#)
    }

    @Test func setsAreObjects() throws {
        var config = ContainerConfig()
        config.volumes = ["/data": Empty()]
        #expect(try text(config).contains(#""Volumes":{"/data":{}}"#))
        let read: ContainerConfig = try decode(#"{"Volumes":{"/data":{"x":1}}}"#)
        #expect(read.volumes?.keys.first == "/data")
    }

    @Test(arguments: [
        (#"{"HostConfig":{"Memory":"1g"}}"#, "HostConfig.Memory: expected a whole number"),
        (#"{"HostConfig":{"Memory":99999999999999999999}}"#, "HostConfig.Memory: expected a whole number in range"),
        (#"{"HostConfig":{"Memory":1.5}}"#, "HostConfig.Memory: expected a whole number in range"),
        (#"{"Env":["A=1",7]}"#, "Env[1]: expected a string"),
        (#"{"Cmd":{"a":1}}"#, "Cmd: expected an array"),
        (#"{"Tty":"yes"}"#, "Tty: expected true or false"),
        (#"{"Image":["a"]}"#, "Image: expected a string"),
        (#"{"HostConfig":[]}"#, "HostConfig: expected an object"),
        (#"{"Image":"#, "not valid JSON"),
        ("", "not valid JSON"),
        ("[]", "expected an object"),
    ])
    func wrongDocumentsNameTheField(document: String, expected: String) {
        do throws(DockerJSON.Failure) {
            _ = try DockerJSON.decode(ContainerCreateRequest.self, from: document.utf8)
            Issue.record("accepted \(document)")
        } catch {
            #expect(error.description.hasPrefix(expected), "\(error)")
        }
    }

    @Test func negativeCountersAreRefusedWhereTheyMakeNoSense() {
        #expect(throws: DockerJSON.Failure.self) {
            try DockerJSON.decode(CPUUsage.self, from: #"{"total_usage":-1}"#.utf8)
        }
    }

    @Test func deepNestingIsRefused() {
        let deep = String(repeating: "[", count: 100_000)
        #expect(throws: DockerJSON.Failure.self) {
            try DockerJSON.decode(ContainerCreateRequest.self, from: #"{"Cmd":\#(deep)"#.utf8)
        }
    }

    @Test func neverIsRecognised() {
        #expect(GoTime.never.isNever)
        #expect(GoTime("").isNever)
        #expect(!GoTime("2026-01-01T00:00:00Z").isNever)
    }
}
