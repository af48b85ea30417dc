import EngineModel
import EngineSpec
import Kernel
import OCISpec
import Testing

/// From a request and an image to the runtime document.
struct SpecTests {
    let id = ContainerID.random()

    func image() -> ImageConfiguration {
        var image = ImageConfiguration()
        image.environment = ["PATH=/image/bin", "A=1"]
        image.entrypoint = ["/entry"]
        image.command = ["default"]
        image.workingDirectory = "/srv"
        image.user = "daemon"
        image.labels = ["from": "image", "both": "image"]
        image.stopSignal = "SIGQUIT"
        image.volumes = ["/data"]
        return image
    }

    func spec(_ change: (inout ContainerConfiguration) -> Void = { _ in }) throws -> RuntimeSpec {
        var configuration = ContainerConfiguration(image: "x")
        change(&configuration)
        let plan = ContainerPlan(
            imageID: "sha256:0",
            chain: [],
            manifest: "sha256:1",
            resolved: try Resolution.resolve(configuration, image: image(), id: id),
            mounts: try MountPlan(
                configuration,
                imageVolumes: image().volumes,
                volumePath: { "/volumes/\($0)" },
                newVolumeName: { "fresh" }
            ).entries,
            backend: "native",
            log: LogConfiguration()
        )
        let surroundings = SpecBuilder.Surroundings(
            id: id,
            hosts: "/c/hosts",
            resolvConf: "/c/resolv.conf",
            hostname: "/c/hostname",
            cgroupPath: "/berth/\(id)"
        )
        return try SpecBuilder(configuration: configuration, plan: plan, surroundings: surroundings).build()
    }

    // Merging with the image ------------------------------------------------------------------------------------------

    @Test func imageIsTheDefault() throws {
        let spec = try spec()
        #expect(spec.process?.args == ["/entry", "default"])
        #expect(spec.process?.cwd == "/srv")
        #expect(spec.process?.user?.username == "daemon")
        #expect(spec.process?.env == ["PATH=/image/bin", "HOSTNAME=\(id.short)", "A=1"])
        #expect(spec.hostname == id.short)
    }

    @Test func labelsAreThoseOfTheDocument() throws {
        let none = try spec { $0.appArmorProfile = "unconfined" }
        #expect(none.process?.apparmorProfile == nil && none.process?.selinuxLabel == nil)
        #expect(none.linux?.mountLabel == nil)
        let both = try spec {
            $0.appArmorProfile = "box"
            $0.selinuxLabel = SELinuxLabel()
            $0.selinuxLabel?.level = "s0:c1,c2"
        }
        #expect(both.process?.apparmorProfile == "box")
        #expect(both.process?.selinuxLabel == "system_u:system_r:container_t:s0:c1,c2")
        #expect(both.linux?.mountLabel == "system_u:object_r:container_file_t:s0:c1,c2")
    }

    @Test func clientWins() throws {
        let spec = try spec {
            $0.command = ["other"]
            $0.environment = ["A=2", "PATH", "B="]
            $0.workingDirectory = "/w"
            $0.user = "7:8"
            $0.hostname = "box"
            $0.terminal = true
        }
        #expect(spec.process?.args == ["/entry", "other"])
        #expect(spec.process?.env == ["HOSTNAME=box", "TERM=xterm", "A=2", "B="])
        #expect(spec.process?.cwd == "/w")
        #expect(spec.process?.user?.uid == 7 && spec.process?.user?.gid == 8)
        #expect(spec.hostname == "box")
    }

    @Test func entrypointOfTheClientDropsTheImagesCommand() throws {
        #expect(try spec { $0.entrypoint = ["/mine"] }.process?.args == ["/mine"])
        #expect(
            try spec {
                $0.entrypoint = [""]
                $0.command = ["ls"]
            }.process?.args == ["ls"]
        )
        #expect(throws: EngineError.self) { try spec { $0.entrypoint = [""] } }
    }

    @Test func labelsAndSignalAreMerged() throws {
        var configuration = ContainerConfiguration(image: "x")
        configuration.labels = ["both": "client"]
        let resolved = try Resolution.resolve(configuration, image: image(), id: id)
        #expect(resolved.labels == ["from": "image", "both": "client"])
        #expect(resolved.stopSignal == "SIGQUIT")
    }

    // Isolation -------------------------------------------------------------------------------------------------------

    @Test func everythingIsItsOwnByDefault() throws {
        let spec = try spec()
        let kinds = Set((spec.linux?.namespaces ?? []).map(\.type))
        #expect(kinds == [.mount, .network, .uts, .pid, .ipc, .cgroup])
        #expect(spec.linux?.cgroupsPath == "/berth/\(id)")
        #expect(spec.linux?.maskedPaths?.contains("/proc/kcore") == true)
        #expect(spec.linux?.readonlyPaths?.contains("/proc/sys") == true)
        #expect(spec.linux?.resources?.devices?.first?.allow == false)
        #expect(spec.linux?.sysctl?["net.ipv4.ip_unprivileged_port_start"] == "0")
    }

    @Test func hostNetworkHasNoNamespaceAndNoSysctls() throws {
        let spec = try spec { $0.network = .host }
        #expect(spec.linux?.namespaces?.contains { $0.type == .network } == false)
        #expect(spec.linux?.sysctl == nil)
    }

    @Test func capabilitiesAreNeverInheritableOrAmbient() throws {
        let set = try spec().process?.capabilities
        #expect(set?.inheritable == [] && set?.ambient == [])
        #expect(set?.bounding?.contains("CAP_NET_RAW") == false)
        #expect(set?.effective == set?.permitted && set?.effective?.count == 13)
        #expect(try spec { $0.capabilitiesToDrop = ["ALL"] }.process?.capabilities?.bounding == [])
        let added = try spec {
            $0.capabilitiesToDrop = ["all"]
            $0.capabilitiesToAdd = ["net_admin", "CAP_SYS_TIME"]
        }
        #expect(added.process?.capabilities?.bounding == ["CAP_NET_ADMIN", "CAP_SYS_TIME"])
        #expect(throws: EngineError.self) { try spec { $0.capabilitiesToAdd = ["FLY"] } }
    }

    @Test func privilegedTakesTheMasksAway() throws {
        let spec = try spec { $0.privileged = true }
        #expect(spec.linux?.maskedPaths == [] && spec.linux?.readonlyPaths == [])
        let own = try Credentials.capabilities()
        let given = spec.process?.capabilities?.bounding
        #expect(given == own.permitted.intersection(own.bounding).intersection(.allKnown).names)
        #expect(spec.mounts?.first { $0.destination == "/sys" }?.options?.contains("rw") == true)
    }

    /// A runtime refuses a document that asks for more than there is to give, where nobody has asked for it by name.
    @Test func allIsWhatThereIs() throws {
        let few: Set<String> = ["CAP_CHOWN", "CAP_SYS_ADMIN"]
        func set(_ isPrivileged: Bool, _ adding: [String] = [], _ dropping: [String] = []) throws -> [String] {
            try EngineSpec.Capabilities.resolve(
                privileged: isPrivileged,
                adding: adding,
                dropping: dropping,
                available: few
            )
        }
        #expect(try set(true) == ["CAP_CHOWN", "CAP_SYS_ADMIN"])
        #expect(try set(false, ["ALL"]) == ["CAP_CHOWN", "CAP_SYS_ADMIN"])
        #expect(try set(false, ["ALL"], ["CHOWN"]) == ["CAP_SYS_ADMIN"])
        #expect(try set(false, ["ALL", "SYS_TIME"]) == ["CAP_CHOWN", "CAP_SYS_ADMIN", "CAP_SYS_TIME"])
    }

    @Test func limits() throws {
        let resources = try spec {
            $0.resources.memoryInBytes = 64 << 20
            $0.resources.nanoCPUs = 1_500_000_000
            $0.resources.pids = 10
            $0.ulimits = [Ulimit(name: "nofile", soft: 10, hard: -1)]
        }
        #expect(resources.linux?.resources?.memory?.limit == 64 << 20)
        #expect(resources.linux?.resources?.cpu?.quota == 150_000 && resources.linux?.resources?.cpu?.period == 100_000)
        #expect(resources.linux?.resources?.pids?.limit == 10)
        #expect(resources.process?.rlimits == [.init(type: "RLIMIT_NOFILE", soft: 10, hard: .max)])
    }

    // User namespaces -------------------------------------------------------------------------------------------------

    func mapped(_ joined: [RuntimeSpec.NamespaceType: String] = [:]) throws -> RuntimeSpec {
        var configuration = ContainerConfiguration(image: "x")
        configuration.binds = ["/a:/b", "/c:/d"]
        let plan = ContainerPlan(
            imageID: "sha256:0",
            chain: [],
            manifest: "sha256:1",
            resolved: try Resolution.resolve(configuration, image: image(), id: id),
            mounts: try MountPlan(
                configuration,
                imageVolumes: [],
                volumePath: { $0 },
                newVolumeName: { "fresh" }
            ).entries,
            backend: "native",
            log: LogConfiguration(),
            userNamespace: UserNamespaceSetting(range: IDRange(first: 589_824, size: 65_536), reason: "test")
        )
        var surroundings = SpecBuilder.Surroundings(
            id: id,
            hosts: "/c/hosts",
            resolvConf: "/c/resolv.conf",
            hostname: "/c/hostname",
            cgroupPath: "/berth/\(id)"
        )
        surroundings.joined = joined
        surroundings.ownerOptions = ["/etc/hosts": "idmap", "/b": "ridmap"]
        return try SpecBuilder(configuration: configuration, plan: plan, surroundings: surroundings).build()
    }

    @Test func aRangeBecomesANamespaceWithMappings() throws {
        let spec = try mapped()
        let mapping = [RuntimeSpec.IDMapping(containerID: 0, hostID: 589_824, size: 65_536)]
        #expect(spec.linux?.namespaces?.contains { $0.type == .user && $0.path == nil } == true)
        #expect(spec.linux?.uidMappings == mapping && spec.linux?.gidMappings == mapping)
        #expect(mount(spec, "/b")?.options == ["rbind", "rprivate", "ridmap"])
        #expect(mount(spec, "/d")?.options == ["rbind", "rprivate"])
        #expect(mount(spec, "/etc/hosts")?.options?.contains("idmap") == true)
        // The kernel takes no group that the namespace has not got.
        #expect(spec.linux?.sysctl?["net.ipv4.ping_group_range"] == "0 65535")
    }

    @Test func aSharedNamespaceIsJoinedWithoutMappings() throws {
        let spec = try mapped([.user: "/proc/7/ns/user"])
        #expect(spec.linux?.namespaces?.contains { $0.type == .user && $0.path == "/proc/7/ns/user" } == true)
        #expect(spec.linux?.uidMappings == nil && spec.linux?.gidMappings == nil)
    }

    @Test func withoutARangeThereIsNoTraceOfOne() throws {
        let spec = try spec { $0.binds = ["/a:/b"] }
        #expect(spec.linux?.namespaces?.contains { $0.type == .user } == false)
        #expect(spec.linux?.uidMappings == nil)
        #expect(spec.mounts?.contains { $0.options?.contains { $0.hasSuffix("idmap") } == true } == false)
    }

    @Test func privilegesAreNeverGainedUnlessAllowed() throws {
        #expect(try spec().process?.noNewPrivileges == true)
        #expect(try spec { $0.noNewPrivileges = false }.process?.noNewPrivileges == false)
    }

    // Mounts ----------------------------------------------------------------------------------------------------------

    func mount(_ spec: RuntimeSpec, _ destination: String) -> RuntimeSpec.Mount? {
        spec.mounts?.first { $0.destination == destination }
    }

    @Test func generatedFilesAreBound() throws {
        let spec = try spec()
        #expect(mount(spec, "/etc/hosts")?.source == "/c/hosts")
        #expect(mount(spec, "/etc/resolv.conf")?.source == "/c/resolv.conf")
        #expect(mount(spec, "/etc/hostname")?.options == ["rbind", "rprivate"])
    }

    @Test func imageVolumeBecomesAnAnonymousOne() throws {
        #expect(mount(try spec(), "/data")?.source == "/volumes/fresh")
        #expect(mount(try spec { $0.binds = ["/host:/data"] }, "/data")?.source == "/host")
    }

    @Test func bindForms() throws {
        let readOnly = mount(try spec { $0.binds = ["/a/./b/:/c:ro,rslave"] }, "/c")
        #expect(readOnly?.source == "/a/b" && readOnly?.options == ["rbind", "rslave", "rro"])
        #expect(mount(try spec { $0.binds = ["name:/c"] }, "/c")?.source == "/volumes/name")
        #expect(
            mount(try spec { $0.tmpfs = ["/t": "size=1m"] }, "/t")?.options == ["nosuid", "nodev", "noexec", "size=1m"]
        )
    }

    @Test(
        arguments: [
            "", ":", "/a:", ":/b", "/a:b", "/a:/", "/a:/b:sideways", "/a:/b:ro:x", "/a:/proc/x", "/a:/sys",
            "/a:/b/../c",
            "a/b:/c", "/a:/b\nc",
        ]
    )
    func badBinds(bind: String) {
        #expect(throws: EngineError.self) { try spec { $0.binds = [bind] } }
    }

    @Test func twoMountsOnOnePlaceAreRefused() {
        #expect(throws: EngineError.self) { try spec { $0.binds = ["/a:/x", "/b:/x/"] } }
    }

    @Test func mountOfTheClientReplacesAStandardOne() throws {
        let spec = try spec { $0.tmpfs = ["/dev/shm": "size=1g"] }
        #expect(spec.mounts?.count { $0.destination == "/dev/shm" } == 1)
    }

    // Generated files -------------------------------------------------------------------------------------------------

    @Test func hostsFile() {
        let text = GeneratedFiles.hosts(
            base: "127.0.0.1\tlocalhost",
            extra: ["db:10.0.0.1", "six:[fe80::1]", "v6:::1"]
        )
        #expect(text == "127.0.0.1\tlocalhost\n10.0.0.1\tdb\nfe80::1\tsix\n::1\tv6\n")
    }

    @Test func resolvConf() {
        var configuration = ContainerConfiguration(image: "x")
        let base = "# c\nnameserver 1.1.1.1\nsearch old\n"
        #expect(GeneratedFiles.resolvConf(base: base, configuration) == base)
        configuration.dns = ["9.9.9.9"]
        configuration.dnsSearch = ["a", "b"]
        #expect(
            GeneratedFiles.resolvConf(base: base, configuration) == "# c\nnameserver 9.9.9.9\nsearch a b\n"
        )
    }
}
