internal import Kernel
internal import OCISpec

/// Device files of a container.
enum DeviceFiles {
    /// A device file, checked.
    struct Node {
        var path: String
        var kind: FileKind
        var device: DeviceNumber
        var permissions: UInt32
        var uid: UInt32
        var gid: UInt32
        /// Whether the document says who may do what with it, so that a file which is there already must follow.
        var isExact = false

        /// Whether it is the terminal multiplexer, which every container has as a link to its own devpts.
        var isMultiplexer: Bool { path == "/dev/ptmx" && device == DeviceNumber(major: 5, minor: 2) }
    }

    /// The devices that every container has (OCI runtime-spec "default devices").
    static var defaults: [Node] {
        let numbers: [(String, UInt32, UInt32)] = [
            ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
        ]
        return numbers.map { name, major, minor in
            Node(
                path: name,
                kind: .characterDevice,
                device: DeviceNumber(major: major, minor: minor),
                permissions: 0o666,
                uid: 0,
                gid: 0
            )
        }
    }

    /// The links of `/dev`.
    static let links: [(name: String, target: String)] = [
        ("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"), ("core", "/proc/kcore"), ("ptmx", "pts/ptmx"),
    ]

    /// Checks a device of a document.
    static func node(_ device: RuntimeSpec.Device) throws(SandboxError) -> Node {
        let field = "linux.devices: \(device.path)"
        guard device.path.hasPrefix("/"), Paths.clean(device.path) != "/" else {
            throw .invalid(field, "not an absolute path of a file")
        }
        let kind: FileKind
        switch device.type {
        case "c", "u": kind = .characterDevice
        case "b": kind = .blockDevice
        case "p": kind = .fifo
        default: throw .invalid(field, "unknown type '\(device.type)'")
        }
        let major = try number(device.major, "major", 0xfff, kind, field)
        let minor = try number(device.minor, "minor", 0xf_ffff, kind, field)
        return Node(
            path: Paths.clean(device.path),
            kind: kind,
            device: DeviceNumber(major: major, minor: minor),
            permissions: (device.fileMode ?? 0o666) & 0o7777,
            uid: device.uid ?? 0,
            gid: device.gid ?? 0,
            isExact: device.fileMode != nil || device.uid != nil || device.gid != nil
        )
    }

    /// A half of a device's number, which the kernel gives 12 or 20 bits; a pipe has none.
    private static func number(
        _ value: Int64?,
        _ name: String,
        _ largest: UInt32,
        _ kind: FileKind,
        _ field: String
    ) throws(SandboxError) -> UInt32 {
        if kind == .fifo { return 0 }
        guard let value else { throw .invalid(field, "\(name) is missing") }
        guard let number = UInt32(exactly: value), number <= largest else {
            throw .invalid(field, "\(name) \(value) is not in 0...\(largest)")
        }
        return number
    }

    /// Makes a device file; one that is there and the same stays, with the owner and permissions that the document says.
    static func make(_ node: Node, in root: borrowing RootedDir) throws(KernelError) {
        do throws(KernelError) {
            try root.mknod(node.path, node.kind, permissions: node.permissions, device: node.device)
        } catch  where error.errno == .exists {
            let found = try root.stat(node.path)
            guard found.kind == node.kind, node.kind == .fifo || found.representedDevice == node.device else {
                throw KernelError.failed("make device", node.path, .exists, detail: "another file is in its place")
            }
            guard node.isExact else { return }
            if (found.uid, found.gid) != (node.uid, node.gid) {
                try root.chown(node.path, uid: node.uid, gid: node.gid)
            }
            if found.permissions != node.permissions { try root.chmod(node.path, permissions: node.permissions) }
            return
        }
        if node.uid != 0 || node.gid != 0 { try root.chown(node.path, uid: node.uid, gid: node.gid) }
    }
}
