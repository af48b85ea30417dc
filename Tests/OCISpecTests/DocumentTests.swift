import FoundationEssentials
import OCISpec
import Testing

@Suite struct DocumentTests {
    func decode<Value: Decodable>(_ type: Value.Type, _ json: String) throws -> Value {
        try JSONDecoder().decode(type, from: Data(json.utf8))
    }

    func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    @Test func absentFieldsStayAbsent() throws {
        let spec = try decode(RuntimeSpec.self, #"{"ociVersion":"1.2.0"}"#)
        #expect(spec.process == nil && spec.linux == nil)
        #expect(try encode(spec) == #"{"ociVersion":"1.2.0"}"#)
    }

    @Test func nullCountsAsAbsentAndUnknownFieldsAreIgnored() throws {
        let json =
            #"{"ociVersion":"1.0.2","mounts":null,"root":{"path":"r","readonly":null},"new":{"x":[1]},"linux":{}}"#
        let spec = try decode(RuntimeSpec.self, json)
        #expect(spec.mounts == nil)
        #expect(spec.root == RuntimeSpec.Root(path: "r"))
        #expect(spec.linux == RuntimeSpec.Linux())
    }

    @Test func aDocumentSurvivesARoundTrip() throws {
        let spec = RuntimeSpec(
            ociVersion: "1.2.0",
            process: .init(
                terminal: true,
                user: .init(uid: 1, gid: 2, umask: 0o27, additionalGids: [3], username: "a:b"),
                args: ["x"],
                cwd: "/",
                rlimits: [.init(type: "RLIMIT_NOFILE", soft: .max, hard: .max)],
                ioPriority: .init(ioClass: "IOPRIO_CLASS_BE", priority: 4)
            ),
            mounts: [.init(destination: "/proc", type: "proc")],
            linux: .init(
                namespaces: [.init(type: .pid), .init(type: .network, path: "/proc/1/ns/net")],
                resources: .init(cpu: .init(quota: -1), pids: .init(limit: 0)),
                seccomp: .init(
                    defaultAction: .errno,
                    defaultErrnoRet: 38,
                    syscalls: [
                        .init(names: ["read"], action: .allow, args: [.init(index: 0, value: .max, op: .maskedEqual)])
                    ]
                )
            )
        )
        let text = try encode(spec)
        #expect(try decode(RuntimeSpec.self, text) == spec)
        #expect(text.contains(#""class":"IOPRIO_CLASS_BE""#))
        #expect(text.contains("18446744073709551615"))
    }

    @Test(arguments: [
        #"{}"#, #"{"ociVersion":1}"#, #"{"ociVersion":"1.0.0","linux":{"namespaces":[{"type":"gravity"}]}}"#,
        #"{"ociVersion":"1.0.0","process":{"user":{"uid":-1}}}"#,
        #"{"ociVersion":"1.0.0","process":{"user":{"uid":4294967296}}}"#,
    ])
    func invalidValuesAreErrors(_ json: String) {
        #expect(throws: DecodingError.self) { try decode(RuntimeSpec.self, json) }
    }

    @Test func anImageConfigurationOfDockerIsUnderstood() throws {
        let json = """
            {"architecture":"amd64","os":"linux","os.version":"x","config":{"Cmd":null,"Entrypoint":["/e"],"Volumes":{"/v":{}},
            "Healthcheck":{"Test":["CMD","true"],"Interval":5000000000},"OnBuild":null},
            "rootfs":{"type":"layers","diff_ids":null},"history":[{"created_by":"x","empty_layer":true}]}
            """
        let config = try decode(ImageConfig.self, json)
        #expect(config.osVersion == "x")
        #expect(config.config?.entrypoint == ["/e"])
        #expect(config.config?.volumes?.keys.sorted() == ["/v"])
        #expect(config.config?.healthcheck?.intervalInNanoseconds == 5_000_000_000)
        #expect(config.rootfs.diffIDs.isEmpty)
        #expect(config.history?.first?.emptyLayer == true)
    }

    @Test func aMalformedDigestInAManifestIsAnError() {
        let json = #"{"schemaVersion":2,"config":{"mediaType":"x","digest":"sha256:../x","size":1},"layers":[]}"#
        #expect(throws: DecodingError.self) { try decode(ImageManifest.self, json) }
    }

    @Test(arguments: [
        ("1.0.0", true), ("1.3.0-dev", true), ("1.0.0-rc5", true), ("2.0.0", false), ("1.0", false), ("", false),
    ])
    func versionsAreJudged(_ version: String, _ supported: Bool) {
        #expect(OCIVersion.isSupported(version) == supported)
    }

    @Test func layersAreToldByBothNames() {
        #expect(MediaType.layerCompression(MediaType.dockerLayerGzip) == .gzip)
        #expect(
            MediaType.layerCompression("application/vnd.oci.image.layer.nondistributable.v1.tar")
                == MediaType.LayerCompression.none
        )
        #expect(MediaType.layerCompression(MediaType.manifest) == nil)
    }
}
