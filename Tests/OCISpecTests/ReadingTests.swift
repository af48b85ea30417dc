import FoundationEssentials
import OCISpec
import Testing

/// The fast reader reads what the general decoder reads.
@Suite struct ReadingTests {
    static let full = RuntimeSpec(
        ociVersion: "1.2.0",
        process: .init(
            terminal: true,
            consoleSize: .init(height: 1, width: 2),
            user: .init(
                uid: 1,
                gid: 2,
                umask: 3,
                additionalGids: [4, 5],
                username: "a\"\\/\u{8}\u{c}\n\r\t\u{1F600}é:b"
            ),
            args: ["", "x y"],
            env: ["A=\u{7f}"],
            cwd: "/",
            capabilities: .init(bounding: ["CAP_CHOWN"], effective: [], ambient: nil),
            rlimits: [.init(type: "RLIMIT_NOFILE", soft: 0, hard: .max)],
            noNewPrivileges: false,
            oomScoreAdj: -1000,
            scheduler: .init(policy: "SCHED_BATCH", nice: -20, flags: ["x"], runtime: 1),
            ioPriority: .init(ioClass: "IOPRIO_CLASS_RT", priority: 7),
            execCPUAffinity: .init(initial: "0", final: "1-2")
        ),
        root: .init(path: "rootfs", readonly: true),
        hostname: "h",
        domainname: "d",
        mounts: [
            .init(destination: "/x", type: "t", source: "s", options: ["ro"], uidMappings: [map], gidMappings: [map])
        ],
        hooks: .init(prestart: [.init(path: "/p", args: ["a"], env: ["b"], timeout: 3)], poststop: []),
        annotations: ["k": "v", "": ""],
        linux: .init(
            namespaces: RuntimeSpec.NamespaceType.allCases.map { .init(type: $0, path: "/\($0)") },
            uidMappings: [map],
            timeOffsets: ["monotonic": .init(secs: -1, nanosecs: 2)],
            devices: [.init(type: "c", path: "/dev/x", major: -1, minor: .max, fileMode: 0o666, uid: 1, gid: 2)],
            netDevices: ["eth0": .init(name: "eth1")],
            cgroupsPath: "/c",
            resources: resources,
            rootfsPropagation: "slave",
            seccomp: .init(
                defaultAction: .errno,
                defaultErrnoRet: 1,
                architectures: ["A"],
                flags: [],
                listenerPath: "l",
                listenerMetadata: "m",
                syscalls: [
                    .init(
                        names: ["n"],
                        action: .log,
                        errnoRet: 2,
                        args: [.init(index: 1, value: .max, valueTwo: 3, op: .less)]
                    )
                ]
            ),
            sysctl: ["a.b": "c"],
            maskedPaths: ["/m"],
            readonlyPaths: ["/r"],
            mountLabel: "l",
            intelRdt: .init(closID: "c", schemata: ["s"], enableMonitoring: true),
            personality: .init(domain: "LINUX", flags: []),
            memoryPolicy: .init(mode: "MPOL_BIND", nodes: "0", flags: ["f"])
        )
    )

    static let map = RuntimeSpec.IDMapping(containerID: 0, hostID: 1, size: 2)

    static let resources = RuntimeSpec.Resources(
        devices: [.init(allow: false, type: "a", major: 1, minor: 2, access: "rwm")],
        memory: .init(limit: .min, swap: .max, swappiness: 60, disableOOMKiller: true, checkBeforeUpdate: false),
        cpu: .init(shares: 2, quota: -1, burst: 3, period: 4, realtimeRuntime: 5, cpus: "0-1", mems: "0", idle: 1),
        pids: .init(limit: -1),
        blockIO: .init(
            weight: 10,
            weightDevice: [.init(major: 1, minor: 2, weight: 3, leafWeight: 4)],
            throttleReadBpsDevice: [.init(major: 1, minor: 2, rate: .max)]
        ),
        hugepageLimits: [.init(pageSize: "2MB", limit: 1)],
        network: .init(classID: 1, priorities: [.init(name: "eth0", priority: 2)]),
        rdma: ["mlx": .init(hcaHandles: 1, hcaObjects: 2)],
        unified: ["memory.high": "1"]
    )

    @Test func everyFieldIsReadAsTheGeneralDecoderReadsIt() throws {
        let encoder = JSONEncoder()
        for formatting: JSONEncoder.OutputFormatting in [[], [.prettyPrinted, .sortedKeys], [.withoutEscapingSlashes]] {
            encoder.outputFormatting = formatting
            #expect(try RuntimeSpec(parsing: Array(encoder.encode(Self.full))) == Self.full)
        }
        let process = try #require(Self.full.process)
        #expect(try RuntimeSpec.Process(parsing: Array(encoder.encode(process))) == process)
        #expect(try RuntimeSpec.Resources(parsing: Array(encoder.encode(Self.resources))) == Self.resources)
    }

    @Test(arguments: [
        #"{"ociVersion":"1","new":[{},[],1.5,-1e9,true,null,"x"],"root":null}"#, #" { "ociVersion" : "1" } "#,
        #"{"ociVersion":"A\u00e9\uD83D\uDE00\/"}"#,
        #"{"ociVersion":"1","process":{"user":{},"oomScoreAdj":-0}}"#,
    ])
    func bothAcceptTheSame(_ json: String) throws {
        let wanted = try JSONDecoder().decode(RuntimeSpec.self, from: Data(json.utf8))
        #expect(try RuntimeSpec(parsing: Array(json.utf8)) == wanted)
    }

    @Test(arguments: [
        "", "{", "}", "[]", "null", "{}", #"{"ociVersion":1}"#, #"{"ociVersion":"1"}x"#,
        #"{"ociVersion":"\x"}"#, #"{"ociVersion":"\uD83D"}"#, "{\"ociVersion\":\"a\nb\"}", #"{"ociVersion" "1"}"#,
        #"{"ociVersion":"1","process":{"oomScoreAdj":01}}"#, #"{"ociVersion":"1","process":{"oomScoreAdj":1.5}}"#,
        #"{"ociVersion":"1","process":{"user":{"uid":4294967296}}}"#,
        #"{"ociVersion":"1","process":{"user":{"uid":-1}}}"#,
        #"{"ociVersion":"1","process":{"rlimits":[{"type":"x","soft":18446744073709551616,"hard":0}]}}"#,
        #"{"ociVersion":"1","linux":{"namespaces":[{"type":"x"}]}}"#, #"{"ociVersion":"1","mounts":{}}"#,
        #"{"ociVersion":"1","linux":{"devices":[{"path":"/x"}]}}"#, #"{"ociVersion":"1","a":tru}"#,
        #"{"ociVersion":"1"#,
    ])
    func bothRefuseTheSame(_ json: String) {
        #expect(throws: (any Error).self) { try JSONDecoder().decode(RuntimeSpec.self, from: Data(json.utf8)) }
        #expect(throws: DocumentError.self) { try RuntimeSpec(parsing: Array(json.utf8)) }
    }

    @Test func whatIsNotUTF8OrTooDeepIsRefused() {
        #expect(throws: DocumentError.self) {
            try RuntimeSpec(parsing: Array(#"{"ociVersion":""#.utf8) + [0xff] + Array("\"}".utf8))
        }
        let deep = #"{"ociVersion":"1","x":"# + String(repeating: "[", count: 100_000)
        #expect(throws: DocumentError.self) { try RuntimeSpec(parsing: Array(deep.utf8)) }
    }

    /// Readers differ in which of two they take.
    @Test func aMemberThatIsThereTwiceIsNamed() {
        for (json, place) in [
            (#"{"ociVersion":"0","ociVersion":"1"}"#, "ociVersion"),
            (#"{"ociVersion":"0","x":[{},{"y":{"a\u0062":1,"ab":1}}]}"#, "x.[1].y.ab"),
        ] {
            let error = #expect(throws: DocumentError.self) { try RuntimeSpec(parsing: Array(json.utf8)) }
            #expect(error?.path == place)
        }
    }

    @Test func errorsNameThePlace() {
        let json = #"{"ociVersion":"1","mounts":[{"destination":"/"},{"destination":7}]}"#
        let error = #expect(throws: DocumentError.self) { try RuntimeSpec(parsing: Array(json.utf8)) }
        #expect(error?.path == "mounts.[1].destination")
    }

    @Test func whatIsKeptIsWhatMattersWhileTheContainerExists() throws {
        let (specification, kept) = try RuntimeSpec.parsing(Array(JSONEncoder().encode(Self.full)))
        #expect(specification == Self.full)
        let (full, section) = (try #require(Self.full.linux), try #require(Self.full.linux?.seccomp))
        var linux = RuntimeSpec.Linux()
        (linux.namespaces, linux.personality) = (full.namespaces, full.personality)
        (linux.memoryPolicy, linux.intelRdt) = (full.memoryPolicy, full.intelRdt)
        var seccomp = RuntimeSpec.Seccomp(defaultAction: section.defaultAction)
        (seccomp.listenerPath, seccomp.listenerMetadata) = (section.listenerPath, section.listenerMetadata)
        linux.seccomp = seccomp
        let annotations = ["k": "v", "": ""]
        let wanted = RuntimeSpec(
            ociVersion: "1.2.0",
            hooks: Self.full.hooks,
            annotations: annotations,
            linux: linux
        )
        #expect(try RuntimeSpec(parsing: kept) == wanted)
    }

    @Test func damagedDocumentsNeverCrash() throws {
        let json = Array(try JSONEncoder().encode(Self.full))
        var random = SystemRandomNumberGenerator()
        for _ in 0..<3000 {
            var damaged = json
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                damaged[Int.random(in: 0..<damaged.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            if Bool.random(using: &random) { damaged.removeLast(.random(in: 0..<damaged.count, using: &random)) }
            _ = try? RuntimeSpec(parsing: damaged)
        }
    }
}
