import Cgroups
import Kernel
import OCISpec
import ProbeSupport
import Testing

@Suite struct DeviceFilterTests {
    typealias Rule = RuntimeSpec.DeviceRule

    /// A reference that reads the rules first to last and keeps the state of every access, as cgroup v1 does for one device.
    private func reference(_ rules: [Rule], type: UInt32, major: UInt32, minor: UInt32, access: UInt32) -> Bool {
        var granted: UInt32 = 0
        for rule in rules {
            let wanted: UInt32? = rule.type == "b" ? 1 : rule.type == "c" ? 2 : nil
            guard wanted == nil || wanted == type, rule.major.map({ $0 == Int64(major) }) ?? true,
                rule.minor.map({ $0 == Int64(minor) }) ?? true
            else { continue }
            let bits = (rule.access ?? "rwm").reduce(UInt32(0)) { $0 | ($1 == "m" ? 1 : $1 == "r" ? 2 : 4) }
            granted = rule.allow ? granted | bits : granted & ~bits
        }
        return access & ~granted == 0
    }

    /// As much of eBPF as the filter uses.
    private func run(_ program: [UInt64], type: UInt32, major: UInt32, minor: UInt32, access: UInt32) -> Bool? {
        var registers = [UInt32](repeating: 0, count: 11)
        let context = [access << 16 | type, major, minor]
        var next = 0
        while program.indices.contains(next) {
            let instruction = program[next]
            let destination = Int(instruction >> 8 & 15)
            let source = Int(instruction >> 12 & 15)
            let offset = Int(instruction >> 16 & 0xffff)
            let value = UInt32(truncatingIfNeeded: instruction >> 32)
            next += 1
            switch instruction & 0xff {
            case 0x61: registers[destination] = context[offset / 4]
            case 0xbc: registers[destination] = registers[source]
            case 0x74: registers[destination] >>= value
            case 0x54: registers[destination] &= value
            case 0x56: if registers[destination] != value { next += offset }
            case 0x16: if registers[destination] == value { next += offset }
            case 0xb4: registers[destination] = value
            case 0x95: return registers[0] == 1
            default: return nil
            }
        }
        return nil
    }

    @Test func programAgreesWithTheRules() throws {
        var generator = SystemRandomNumberGenerator()
        let numbers: [Int64?] = [nil, 0, 1, 2]
        for _ in 0..<300 {
            let rules = (0..<Int.random(in: 0...8, using: &generator)).map { _ in
                Rule(
                    allow: .random(using: &generator),
                    type: ["a", "b", "c", nil].randomElement(using: &generator) ?? nil,
                    major: numbers.randomElement(using: &generator) ?? nil,
                    minor: numbers.randomElement(using: &generator) ?? nil,
                    access: ["r", "w", "m", "rw", "rwm", "wm", nil].randomElement(using: &generator) ?? nil
                )
            }
            let program = try DeviceFilter(rules).program
            for type: UInt32 in 1...2 {
                for major: UInt32 in 0...3 {
                    for minor: UInt32 in 0...3 {
                        for access: UInt32 in 1...7 {
                            let expected = reference(rules, type: type, major: major, minor: minor, access: access)
                            let found = run(program, type: type, major: major, minor: minor, access: access)
                            #expect(found == expected, "\(rules)")
                        }
                    }
                }
            }
        }
    }

    @Test func listForSystemdMeansTheSameOrAllowsMore() throws {
        var generator = SystemRandomNumberGenerator()
        let numbers: [Int64?] = [nil, 0, 1, 2]
        var exact = 0
        for _ in 0..<300 {
            let rules = (0..<Int.random(in: 0...5, using: &generator)).map { _ in
                Rule(
                    allow: Int.random(in: 0...3, using: &generator) > 0,
                    type: ["a", "b", "c", nil].randomElement(using: &generator) ?? nil,
                    major: numbers.randomElement(using: &generator) ?? nil,
                    minor: numbers.randomElement(using: &generator) ?? nil,
                    access: ["r", "w", "m", "rw", "rwm", nil].randomElement(using: &generator) ?? nil
                )
            }
            let list = try AllowedDevices(rules)
            exact += list.isExact ? 1 : 0
            for type: UInt32 in 1...2 {
                for major: UInt32 in 0...3 {
                    for minor: UInt32 in 0...3 {
                        let granted = list.entries.filter {
                            $0.type == type && ($0.major ?? major) == major && ($0.minor ?? minor) == minor
                        }.reduce(UInt32(0)) { $0 | $1.access }
                        for access: UInt32 in 1...7 {
                            let wanted = reference(rules, type: type, major: major, minor: minor, access: access)
                            let found = access & ~granted == 0
                            #expect(found == wanted || (found && !list.isExact), "\(rules)")
                        }
                    }
                }
            }
        }
        #expect(exact > 30)
    }

    /// The v2 hierarchy of this host, alone where the host is hybrid.
    static let unified: String = {
        let beside = CgroupTree.defaultRoot + "/unified"
        return File.exists(beside) ? beside : CgroupTree.defaultRoot
    }()

    @Test(.enabled(if: Machine.hasUnified, "the host has no cgroup v2")) func kernelEnforcesTheProgram() throws {
        let path = "/berth-test-\(Random.hex(6))"
        let group = try CgroupTree(root: Self.unified).create(path, owner: "test")
        defer {
            do { try group.remove(timeout: .seconds(5)) } catch { Issue.record(error) }
        }
        let null = Rule(allow: true, type: "c", major: 1, minor: 3, access: "rw")
        let zero = Rule(allow: true, type: "c", major: 1, minor: 5, access: "r")
        try group.apply(.init(devices: [Rule(allow: false), null, zero]))
        var result = try Probe.run("cgroup", path, Self.unified)
        #expect(result["null.both"] == "allowed", "\(result.output)")
        #expect(result["zero.read"] == "allowed")
        #expect(result["zero.write"] == "refused")
        #expect(result["zero.both"] == "refused")
        #expect(result["full.read"] == "refused")
        // An update replaces the filter.
        try group.apply(.init(devices: [Rule(allow: false), zero, Rule(allow: true, type: "c", major: 1, minor: 7)]))
        result = try Probe.run("cgroup", path, Self.unified)
        #expect(result["null.read"] == "refused")
        #expect(result["full.both"] == "allowed")
    }
}
