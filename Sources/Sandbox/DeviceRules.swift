public import OCISpec

extension Sandbox {
    /// The device rules of a container: the document's, then those for the devices that every container has.
    ///
    /// A document usually begins with a rule that denies everything and says nothing about `/dev/null` or terminals: the
    /// specification gives each container the default devices, so their use is part of that. Making nodes is allowed for
    /// all numbers, using them is not.
    ///
    /// - Parameter rules: The document's.
    /// - Returns: What to set; empty when the document has no rules, and access is not limited at all then.
    public static func deviceRules(_ rules: [RuntimeSpec.DeviceRule]) -> [RuntimeSpec.DeviceRule] {
        guard !rules.isEmpty else { return [] }
        let usable: [(major: Int64, minor: Int64?)] = [
            (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (136, nil),
        ]
        return rules + ["c", "b"].map { RuntimeSpec.DeviceRule(allow: true, type: $0, access: "m") }
            + usable.map { number in
                RuntimeSpec.DeviceRule(allow: true, type: "c", major: number.major, minor: number.minor, access: "rwm")
            }
    }
}
