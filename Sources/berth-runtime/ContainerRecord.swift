import Cgroups
import Kernel
import OCISpec
import Sandbox

/// What a container's commands must know of each other.
struct ContainerRecord: Sendable, Equatable {
    var id: String
    /// The first process; 0 until it exists.
    var pid: Int32 = 0
    /// See `ProcessFacts.startTime`.
    var startTime: UInt64 = 0
    var bundle: String
    var rootfs: String
    /// When it was created, RFC 3339.
    var created: String
    var ociVersion: String
    /// Name of the user who created it.
    var owner: String
    var annotations: [String: String]
    /// Name of the group, in its manager's form.
    var cgroup: String
    /// Whose the group is: the id and a random part, for there may be other containers of this id elsewhere.
    var groupOwner: String
    /// Whether systemd has made the group.
    var usesSystemd: Bool
    /// Whether the container has a process namespace of its own.
    var ownsProcesses: Bool
    /// See `SandboxStartListener`.
    var token: [UInt8]

    /// Who has made the group.
    var manager: CgroupManager { usesSystemd ? .systemd(helper: Runtime.scopeHelper) : .filesystem }

    /// The file form.
    var json: JSONValue {
        .object([
            ("id", .string(id)), ("pid", .number(pid)), ("startTime", .number(startTime)), ("bundle", .string(bundle)),
            ("rootfs", .string(rootfs)), ("created", .string(created)), ("ociVersion", .string(ociVersion)),
            ("owner", .string(owner)), ("annotations", .strings(annotations)), ("cgroup", .string(cgroup)),
            ("groupOwner", .string(groupOwner)),
            ("usesSystemd", .bool(usesSystemd)), ("ownsProcesses", .bool(ownsProcesses)),
            ("token", .array(token.map(JSONValue.number))),
        ])
    }

    /// Reads the file form.
    init(parsing bytes: [UInt8]) throws(RuntimeError) {
        let json = try document("state.json") { () throws(DocumentError) in try JSONValue(parsing: bytes) }
        guard let id = json["id"]?.string, let pid = json["pid"]?.integer(Int32.self),
            let startTime = json["startTime"]?.integer(UInt64.self), let bundle = json["bundle"]?.string,
            let rootfs = json["rootfs"]?.string, let created = json["created"]?.string,
            let ociVersion = json["ociVersion"]?.string, let owner = json["owner"]?.string,
            let annotations = json["annotations"]?.stringsByName, let cgroup = json["cgroup"]?.string,
            let groupOwner = json["groupOwner"]?.string,
            let usesSystemd = json["usesSystemd"]?.bool,
            let ownsProcesses = json["ownsProcesses"]?.bool, case .array(let token)? = json["token"]
        else { throw .malformed("state.json", "a member is missing or of another kind") }
        self.init(
            id: id,
            bundle: bundle,
            rootfs: rootfs,
            created: created,
            ociVersion: ociVersion,
            owner: owner,
            annotations: annotations,
            cgroup: cgroup,
            groupOwner: groupOwner,
            usesSystemd: usesSystemd,
            ownsProcesses: ownsProcesses,
            token: token.compactMap { $0.integer(UInt8.self) }
        )
        self.pid = pid
        self.startTime = startTime
    }

    init(
        id: String,
        bundle: String,
        rootfs: String,
        created: String,
        ociVersion: String,
        owner: String,
        annotations: [String: String],
        cgroup: String,
        groupOwner: String,
        usesSystemd: Bool,
        ownsProcesses: Bool,
        token: [UInt8]
    ) {
        self.id = id
        self.bundle = bundle
        self.rootfs = rootfs
        self.created = created
        self.ociVersion = ociVersion
        self.owner = owner
        self.annotations = annotations
        self.cgroup = cgroup
        self.groupOwner = groupOwner
        self.usesSystemd = usesSystemd
        self.ownsProcesses = ownsProcesses
        self.token = token
    }
}

/// Where in its life a container is: the specification's words and one more.
enum ContainerStatus: String, Sendable {
    case creating, created, running, paused, stopped
}
