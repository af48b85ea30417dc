internal import Kernel

extension Conformance {
    /// Ids, capabilities, privileges (runtime-spec "user", "capabilities").
    static let credentials: [Check] = [
        isolated("idsAreSet", "2.3 user") { box in
            box.process["user"] = ["uid": 1000, "gid": 2000]
            let report = try box.run()
            try report.expect("uid", "1000 1000 1000")
            try report.expect("gid", "2000 2000 2000")
        },
        isolated("groupsAreExact", "2.3 user.additionalGids") { box in
            box.process["user"]["additionalGids"] = [5, 77, 2_000_000_000]
            let groups = Set(try box.run()["groups"]?.split(separator: " ") ?? [])
            // The primary group may stand among them.
            try requireEqual(groups.subtracting(["0"]), ["5", "77", "2000000000"], "groups")
        },
        isolated("absentGroupsAreNone", "2.3 user.additionalGids") { box in
            let groups = Set(try box.run()["groups"]?.split(separator: " ") ?? [])
            try require(groups.isSubset(of: ["0"]), "groups: \(groups)")
        },
        isolated("capabilitiesOfRootAreExact", "2.3 capabilities") { box in
            box.capabilities(["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN", "CAP_AUDIT_READ"])
            let wanted: UInt64 = 1 << 0 | 1 << 5 | 1 << 12 | 1 << 37
            let report = try box.run()
            for set in ["CapPrm", "CapEff", "CapBnd"] { try report.expect(set, hexadecimal(wanted)) }
            for set in ["CapInh", "CapAmb"] { try report.expect(set, hexadecimal(0)) }
        },
        isolated("capabilitiesOfAUserAreExact", "2.3 capabilities") { box in
            box.process["user"] = ["uid": 1000, "gid": 1000]
            box.capabilities(
                ["CAP_CHOWN", "CAP_KILL", "CAP_NET_ADMIN"],
                ambient: ["CAP_NET_ADMIN"],
                inheritable: ["CAP_NET_ADMIN", "CAP_KILL"]
            )
            let report = try box.run()
            try report.expect("CapBnd", hexadecimal(1 << 0 | 1 << 5 | 1 << 12))
            try report.expect("CapInh", hexadecimal(1 << 5 | 1 << 12))
            // What exec leaves a user is what is ambient.
            for set in ["CapPrm", "CapEff", "CapAmb"] { try report.expect(set, hexadecimal(1 << 12)) }
        },
        isolated("boundingSetAloneGivesAUserNothing", "2.3 capabilities") { box in
            box.process["user"] = ["uid": 1000, "gid": 1000]
            let report = try box.run()
            for set in ["CapPrm", "CapEff", "CapAmb", "CapInh"] { try report.expect(set, hexadecimal(0)) }
        },
        isolated("emptyCapabilitiesAreNone", "2.3 capabilities") { box in
            box.capabilities([])
            let report = try box.run()
            for set in ["CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh"] { try report.expect(set, hexadecimal(0)) }
        },
        isolated("unknownCapabilityIsNoError", "2.3 capabilities") { box in
            box.capabilities(["CAP_CHOWN", "CAP_OF_ANOTHER_KERNEL"])
            try box.run().expect("CapEff", hexadecimal(1))
        },
        isolated("privilegesAreNotGained", "2.3 noNewPrivileges") { box in
            box.process["noNewPrivileges"] = true
            try box.run().expect("NoNewPrivs", "1")
        },
        isolated("privilegesMayBeGained", "2.3 noNewPrivileges") { box in
            box.process["noNewPrivileges"] = false
            try box.run().expect("NoNewPrivs", "0")
        },
        isolated("secureBitsAreNone", "2.3") { try $0.run().expect("securebits", "0") },
        isolated("signalsAreAsAtBirth", "2.3") { box in
            let report = try box.run()
            for set in ["SigBlk", "SigIgn"] { try report.expect(set, hexadecimal(0)) }
            try report.expect("pdeathsig", "0")
        },
    ]

    private static func hexadecimal(_ set: UInt64) -> String {
        let digits = String(set, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
