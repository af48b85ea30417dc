/// A container's SELinux label, by parts that a client may replace.
///
/// The names that it begins with are those of container-selinux's policy, as for other managers.
public struct SELinuxLabel: Sendable, Equatable, Codable {
    /// SELinux user.
    public var user = "system_u"
    /// Role of the processes.
    public var role = "system_r"
    /// Type of the processes.
    public var type = "container_t"
    /// Sensitivity and categories, of processes and files.
    public var level = "s0"
    /// Type of the files.
    public var fileType = "container_file_t"

    /// The policy's own label of a container.
    public init() {}

    /// The label of the container's processes.
    public var process: String { "\(user):\(role):\(type):\(level)" }

    /// The label of the container's files.
    public var mount: String { "\(user):object_r:\(fileType):\(level)" }

    /// Replaces one part.
    ///
    /// - Parameter option: `user:NAME`, `role:NAME`, `type:NAME`, `level:RANGE` or `filetype:NAME`.
    /// - Returns: False for anything else; nothing is changed then.
    public mutating func take(_ option: String) -> Bool {
        let parts = option.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, !parts[1].utf8.contains(where: { $0 <= 0x20 || $0 == 0x7f || $0 == 0x22 }) else {
            return false
        }
        // Only a level has parts of its own, s0:c1,c2: no other may smuggle in a field.
        guard parts[0] == "level" || !parts[1].contains(where: { $0 == ":" || $0 == "," }) else { return false }
        switch parts[0] {
        case "user": user = parts[1]
        case "role": role = parts[1]
        case "type": type = parts[1]
        case "level": level = parts[1]
        case "filetype": fileType = parts[1]
        default: return false
        }
        return true
    }
}
