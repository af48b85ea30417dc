internal import OCISpec

/// A device rule whose values are in range.
package struct CheckedDeviceRule {
    package let allow: Bool
    /// 1 block, 2 character (the kernel's numbers), nil both.
    let type: UInt32?
    let major: UInt32?
    let minor: UInt32?
    /// 1 mknod, 2 read, 4 write (the kernel's bits).
    let access: UInt32
    /// The rule in cgroup v1's form.
    let text: String

    init(_ rule: RuntimeSpec.DeviceRule) throws(CgroupError) {
        let (type, access) = (rule.type ?? "a", rule.access ?? "rwm")
        guard ["a", "b", "c"].contains(type) else { throw .invalid("devices", "type '\(type)'") }
        guard !access.isEmpty, access.allSatisfy({ "rwm".contains($0) }) else {
            throw .invalid("devices", "access '\(access)'")
        }
        allow = rule.allow
        self.type = type == "a" ? nil : type == "b" ? 1 : 2
        major = try CheckedDeviceRule.number(rule.major)
        minor = try CheckedDeviceRule.number(rule.minor)
        self.access = access.reduce(0) { $0 | ($1 == "m" ? 1 : $1 == "r" ? 2 : 4) }
        text = "\(type) \(major.map(String.init) ?? "*"):\(minor.map(String.init) ?? "*") \(access)"
    }

    /// Absent and negative mean any.
    private static func number(_ value: Int64?) throws(CgroupError) -> UInt32? {
        guard let value, value >= 0 else { return nil }
        guard let number = UInt32(exactly: value) else { throw .invalid("devices", "number \(value)") }
        return number
    }
}
