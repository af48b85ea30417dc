package import OCISpec

/// A list of allowed devices instead of rules whose order counts.
package struct AllowedDevices {
    /// Devices of one kind; nil numbers are any.
    package struct Entry: Hashable {
        /// 1 block, 2 character.
        package let type: UInt32
        package let major: UInt32?
        package let minor: UInt32?
        /// 1 mknod, 2 read, 4 write.
        package var access: UInt32 = 0

        func covers(_ other: Entry) -> Bool {
            type == other.type && (major == nil || major == other.major) && (minor == nil || minor == other.minor)
        }

        /// As DeviceAllow= of systemd.resource-control(5) names it.
        ///
        /// A minor number of any driver has no name and becomes all.
        var systemdName: String {
            let kind = type == 1 ? "block" : "char"
            guard let major else { return "\(kind)-*" }
            return minor.map { "/dev/\(kind)/\(major):\($0)" } ?? "\(kind)-\(major)"
        }

        var accessText: String {
            (access & 2 != 0 ? "r" : "") + (access & 4 != 0 ? "w" : "") + (access & 1 != 0 ? "m" : "")
        }
    }

    /// What is allowed; an access is allowed when any entry allows it.
    package private(set) var entries: [Entry] = []
    /// Whether every access to every device is allowed.
    package let isEverything: Bool
    /// Whether the list means the same as the rules; else it allows more.
    package let isExact: Bool

    /// Finds the list.
    package init(_ rules: [RuntimeSpec.DeviceRule]) throws(CgroupError) {
        let checked = try rules.map { (rule) throws(CgroupError) in try CheckedDeviceRule(rule) }
        var kinds: [Entry] = [Entry(type: 1, major: nil, minor: nil), Entry(type: 2, major: nil, minor: nil)]
        for rule in checked {
            for type in rule.type.map({ [$0] }) ?? [1, 2] {
                let kind = Entry(type: type, major: rule.major, minor: rule.minor)
                if !kinds.contains(kind) { kinds.append(kind) }
            }
        }
        // A device can be of two kinds of which neither is the narrower: of one driver, and with one minor number of any.
        for one in kinds where one.major != nil && one.minor == nil {
            for other in kinds where other.type == one.type && other.major == nil && other.minor != nil {
                let both = Entry(type: one.type, major: one.major, minor: other.minor)
                if !kinds.contains(both) { kinds.append(both) }
            }
        }
        // What holds for a device of that kind that no narrower rule names.
        for index in kinds.indices {
            kinds[index].access = checked.reduce(UInt32(0)) { access, rule in
                let applies = Entry(type: kinds[index].type, major: rule.major, minor: rule.minor).covers(kinds[index])
                guard applies, rule.type == nil || rule.type == kinds[index].type else { return access }
                return rule.allow ? access | rule.access : access & ~rule.access
            }
        }
        var isExact = true
        for kind in kinds {
            let wider = kinds.filter { $0 != kind && $0.covers(kind) }
            let granted = wider.reduce(0) { $0 | $1.access }
            if granted & ~kind.access != 0 || (kind.major == nil && kind.minor != nil && kind.access != 0) {
                isExact = false
            }
            if kind.access & ~granted != 0 { entries.append(kind) }
        }
        self.isExact = isExact
        isEverything = entries.count == 2 && isExact && entries.allSatisfy { $0.major == nil && $0.access == 7 }
    }
}
