import EngineModel
import OCISpec

extension SpecBuilder {
    static let defaultShmSize: Int64 = 64 << 20

    /// The mounts of every container, in an order in which none hides another.
    func standardMounts() -> [RuntimeSpec.Mount] {
        let own = configuration.privileged ? "rw" : "ro"
        var mounts = [
            RuntimeSpec.Mount(
                destination: "/proc",
                type: "proc",
                source: "proc",
                options: ["nosuid", "noexec", "nodev"]
            ),
            RuntimeSpec.Mount(
                destination: "/dev",
                type: "tmpfs",
                source: "tmpfs",
                options: ["nosuid", "strictatime", "mode=755", "size=65536k"]
            ),
            RuntimeSpec.Mount(
                destination: "/dev/pts",
                type: "devpts",
                source: "devpts",
                options: ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
            ),
            RuntimeSpec.Mount(
                destination: "/sys",
                type: "sysfs",
                source: "sysfs",
                options: ["nosuid", "noexec", "nodev", own]
            ),
            RuntimeSpec.Mount(
                destination: "/sys/fs/cgroup",
                type: "cgroup",
                source: "cgroup",
                options: [own, "nosuid", "noexec", "nodev"]
            ),
            RuntimeSpec.Mount(
                destination: "/dev/mqueue",
                type: "mqueue",
                source: "mqueue",
                options: ["nosuid", "noexec", "nodev"]
            ),
        ]
        if configuration.ipcMode == .host {
            mounts.append(Self.bind("/dev/shm", on: "/dev/shm", ["nosuid", "noexec", "nodev"]))
        } else {
            mounts.append(
                RuntimeSpec.Mount(
                    destination: "/dev/shm",
                    type: "tmpfs",
                    source: "shm",
                    options: [
                        "nosuid", "noexec", "nodev", "mode=1777",
                        "size=\((configuration.shmSizeInBytes ?? Self.defaultShmSize) / 1024)k",
                    ]
                )
            )
        }
        return mounts.filter { mount in !self.mounts.contains { $0.point.destination == mount.destination } }
    }

    package static let resolvConf = "/etc/resolv.conf"
    package static let hostname = "/etc/hostname"
    package static let hosts = "/etc/hosts"

    /// A bind or volume with the option that maps its owners, where there is one.
    func withOwners(_ mount: RuntimeSpec.Mount) -> RuntimeSpec.Mount {
        guard let option = surroundings.ownerOptions[mount.destination] else { return mount }
        var mount = mount
        mount.options = (mount.options ?? []) + [option]
        return mount
    }

    /// The three files that the engine makes; a mount of the client on the same place wins.
    func fileMounts() -> [RuntimeSpec.Mount] {
        [
            (Self.resolvConf, surroundings.resolvConf), (Self.hostname, surroundings.hostname),
            (Self.hosts, surroundings.hosts),
        ]
        .filter { file in !mounts.contains { $0.point.destination == file.0 } }
        .map { Self.bind($0.1, on: $0.0, ["rprivate"]) }
    }

    static func mount(_ entry: MountPlan.Entry) -> RuntimeSpec.Mount {
        let point = entry.point
        guard point.kind != .tmpfs else {
            return RuntimeSpec.Mount(
                destination: point.destination,
                type: "tmpfs",
                source: "tmpfs",
                options: entry.tmpfsOptions
            )
        }
        let propagation = point.propagation.isEmpty ? "rprivate" : point.propagation
        var options = [entry.nonRecursive ? "bind" : "rbind", propagation]
        if !point.readWrite { options.append(entry.nonRecursive ? "ro" : "rro") }
        return RuntimeSpec.Mount(
            destination: point.destination,
            type: "bind",
            source: point.source,
            options: options
        )
    }

    /// berth-init in the container's own `/dev`: nothing is left in its root file system.
    func initMount() -> [RuntimeSpec.Mount] {
        guard let path = surroundings.initPath else { return [] }
        return [Self.bind(path, on: Self.initDestination, ["ro", "nosuid", "nodev", "rprivate"])]
    }

    private static func bind(_ source: String, on destination: String, _ options: [String]) -> RuntimeSpec.Mount {
        RuntimeSpec.Mount(destination: destination, type: "bind", source: source, options: ["rbind"] + options)
    }
}
