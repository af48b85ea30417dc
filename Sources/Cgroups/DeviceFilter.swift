package import OCISpec

/// Device rules as a program for the kernel, which cgroup v2 wants instead of a list.
///
/// The program looks at the rules from the last to the first, because later ones override. Each allowing rule takes the accesses that it
/// grants off those still asked for, and when none is left the answer is yes; a denying rule that forbids any that is left answers no, and so
/// does the end of the list.
package struct DeviceFilter {
    /// eBPF instructions, 8 bytes each.
    package private(set) var program: [UInt64] = []

    /// Translates rules.
    package init(_ rules: [RuntimeSpec.DeviceRule]) throws(CgroupError) {
        // r1 is struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor.
        add(0x61, to: 2, from: 1, offset: 0)  // r2 = type and access
        add(0xbc, to: 3, from: 2)  // r3 = accesses still asked for
        add(0x74, to: 3, value: 16)
        add(0x54, to: 2, value: 0xffff)  // r2 = type
        add(0x61, to: 4, from: 1, offset: 4)  // r4 = major
        add(0x61, to: 5, from: 1, offset: 8)  // r5 = minor
        for rule in rules.reversed() { add(try CheckedDeviceRule(rule)) }
        answer(0)
    }

    private mutating func add(_ rule: CheckedDeviceRule) {
        let conditions: [(register: UInt8, value: UInt32)] = [(2, rule.type), (4, rule.major), (5, rule.minor)]
            .compactMap { register, value in value.map { (register, $0) } }
        // What follows the conditions is 4 instructions for an allowing rule and 5 for a denying one.
        let body = rule.allow ? 4 : 5
        for (index, condition) in conditions.enumerated() {
            // Another device: on to the next rule.
            let skipped = conditions.count - index - 1 + body
            add(0x56, to: condition.register, offset: UInt16(skipped), value: condition.value)
        }
        if rule.allow {
            add(0x54, to: 3, value: ~rule.access)
            add(0x56, to: 3, offset: 2, value: 0)  // something is still asked for: next rule
            answer(1)
        } else {
            add(0xbc, to: 6, from: 3)
            add(0x54, to: 6, value: rule.access)
            add(0x16, to: 6, offset: 2, value: 0)  // nothing that is asked for is forbidden: next rule
            answer(0)
        }
    }

    // r0 = value, then exit.
    private mutating func answer(_ value: UInt32) {
        add(0xb4, to: 0, value: value)
        add(0x95)
    }

    /// struct bpf_insn: code, destination and source register, jump offset, immediate.
    private mutating func add(
        _ code: UInt8,
        to destination: UInt8 = 0,
        from source: UInt8 = 0,
        offset: UInt16 = 0,
        value: UInt32 = 0
    ) {
        let low = UInt64(code) | UInt64(source << 4 | destination) << 8 | UInt64(offset) << 16
        program.append(low | UInt64(value) << 32)
    }
}
