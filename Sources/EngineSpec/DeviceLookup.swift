package import EngineModel
import Kernel
package import OCISpec

/// Host devices that a configuration asks for, looked up on the node.
package struct DeviceLookup {
    package var devices: [RuntimeSpec.Device] = []
    package var rules: [RuntimeSpec.DeviceRule] = []

    package init(_ configuration: ContainerConfiguration) throws {
        if configuration.privileged { try addAll(in: "/dev", depth: 4) }
        for request in configuration.devices {
            let status: FileStatus
            do throws(KernelError) {
                status = try File.status(request.hostPath, follow: true)
            } catch {
                throw EngineError.invalid(
                    "error gathering device information while adding custom device \"\(request.hostPath)\": \(error)"
                )
            }
            try add(status, request.containerPath, permissions: request.permissions, from: request.hostPath)
        }
        for rule in configuration.deviceCgroupRules { rules.append(try Self.parse(rule)) }
    }

    private mutating func add(_ status: FileStatus, _ path: String, permissions: String, from source: String) throws {
        guard status.kind == .characterDevice || status.kind == .blockDevice else {
            throw EngineError.invalid("not a device node: \(source)")
        }
        guard !permissions.isEmpty, permissions.allSatisfy({ "rwm".contains($0) }), path.hasPrefix("/") else {
            throw EngineError.invalid("invalid device: \(source):\(path):\(permissions)")
        }
        let type = status.kind == .characterDevice ? "c" : "b"
        let number = status.representedDevice
        devices.append(
            RuntimeSpec.Device(
                type: type,
                path: path,
                major: Int64(number.major),
                minor: Int64(number.minor),
                fileMode: status.permissions,
                uid: status.uid,
                gid: status.gid
            )
        )
        rules.append(
            RuntimeSpec.DeviceRule(
                allow: true,
                type: type,
                major: Int64(number.major),
                minor: Int64(number.minor),
                access: permissions
            )
        )
    }

    /// All device nodes of the host, without those that each container makes for itself.
    private mutating func addAll(in directory: String, depth: Int) throws {
        guard depth > 0 else { return }
        let skipped: Set<String> = [
            "pts", "shm", "mqueue", "fd", "console", "ptmx", "null", "zero", "full", "tty", "random", "urandom", ".lxc",
        ]
        for entry in try File.open(directory, [.directory]).readDirectory() where !skipped.contains(entry.name) {
            let path = "\(directory)/\(entry.name)"
            switch entry.kind {
            case .directory: try addAll(in: path, depth: depth - 1)
            case .characterDevice, .blockDevice:
                try add(try File.status(path), path, permissions: "rwm", from: path)
            default: continue
            }
        }
    }

    /// A rule such as `c 1:* rwm`.
    private static func parse(_ text: String) throws -> RuntimeSpec.DeviceRule {
        let parts = text.split(separator: " ").map(String.init)
        let numbers = parts.count == 3 ? parts[1].split(separator: ":").map(String.init) : []
        guard numbers.count == 2, ["a", "b", "c"].contains(parts[0]), parts[2].allSatisfy({ "rwm".contains($0) }),
            numbers.allSatisfy({ $0 == "*" || UInt32($0) != nil })
        else { throw EngineError.invalid("invalid device cgroup rule format: '\(text)'") }
        return RuntimeSpec.DeviceRule(
            allow: true,
            type: parts[0],
            major: Int64(numbers[0]),
            minor: Int64(numbers[1]),
            access: parts[2]
        )
    }
}
