package import OCISpec
internal import Seccomp

extension WorkloadProfile {
    /// Calls that end a program or a signal handler: without them nothing ends well, and they reach nothing.
    static let always = ["exit", "exit_group", "restart_syscall", "rt_sigreturn"]
    /// How many calls the filter lets through at all, as ``AllowedCalls`` counts them.
    package var allowedCalls: Int {
        let open = Set(Self.always).union(calls.keys).union(allowed.map(\.name))
        return AllowedCalls.names.count { open.contains($0) }
    }

    /// Calls that it allows although they were never seen.
    package var unseen: [String] { Self.always.filter { calls[$0] == nil } }
    private static let permissionDenied: UInt32 = 1
    private static let noSystemCall: UInt32 = 38

    /// The filter: what is allowed goes through, what the table knows and the profile does not name fails with EPERM, and what the
    /// table does not know with ENOSYS.
    ///
    /// It says nothing that docker, podman and libseccomp do not understand. A class that is not allowed fails with EPERM where the
    /// kind of its call can be counted up, and with ENOSYS for requests, options and commands.
    package var filter: RuntimeSpec.Seccomp {
        var open = Set(Self.always)
        var classes: [String: Set<UInt64>] = [:]
        for (name, call) in calls {
            if ArgumentClass(call: name) == nil || call.isWhole {
                open.insert(name)
            } else {
                classes[name] = Set(call.classes.keys)
            }
        }
        for selector in allowed {
            if let argument = selector.argument {
                classes[selector.name, default: []].insert(argument)
            } else {
                open.insert(selector.name)
            }
        }
        for name in open { classes[name] = nil }
        var rules = [RuntimeSpec.Seccomp.Rule(names: open.sorted(), action: .allow)]
        for (name, values) in classes.sorted(by: { $0.key < $1.key }) { rules += Self.rules(name, values) }
        let known = AllowedCalls.names.filter { !open.contains($0) && classes[$0] == nil }
        let absent = known.filter { $0 == "clone3" || refused[$0]?.answer == "ENOSYS" }
        rules.append(
            .init(names: known.filter { !absent.contains($0) }, action: .errno, errnoRet: Self.permissionDenied)
        )
        if !absent.isEmpty { rules.append(.init(names: absent, action: .errno, errnoRet: Self.noSystemCall)) }
        return RuntimeSpec.Seccomp(
            defaultAction: .errno,
            defaultErrnoRet: Self.noSystemCall,
            architectures: [architecture],
            syscalls: rules
        )
    }

    /// The ceiling while it learns: another filter, and what an operator has named.
    ///
    /// - Parameters:
    ///   - base: What a container gets otherwise.
    ///   - named: What goes through besides.
    /// - Returns: The base without the rules that refuse what is named.
    package static func ceiling(_ base: RuntimeSpec.Seccomp, naming named: [CallSelector]) -> RuntimeSpec.Seccomp {
        var result = base
        var rules = base.syscalls ?? []
        for selector in named {
            rules = rules.flatMap { $0.without(selector) }
            let kind = ArgumentClass(call: selector.name)
            let conditions = selector.argument.flatMap { value in kind?.conditions(for: value) }
            rules.append(.init(names: [selector.name], action: .allow, args: conditions))
        }
        result.syscalls = rules
        return result
    }

    private static func rules(_ name: String, _ values: Set<UInt64>) -> [RuntimeSpec.Seccomp.Rule] {
        guard let kind = ArgumentClass(call: name) else { return [] }
        let allowed = values.sorted().map { value in
            RuntimeSpec.Seccomp.Rule(names: [name], action: .allow, args: kind.conditions(for: value))
        }
        return allowed
            + kind.refusals(beside: values).map { conditions in
                .init(names: [name], action: .errno, errnoRet: permissionDenied, args: conditions)
            }
    }
}

extension RuntimeSpec.Seccomp.Rule {
    /// The rule without what keeps a named call from going through.
    fileprivate func without(_ selector: CallSelector) -> [RuntimeSpec.Seccomp.Rule] {
        guard action != .allow, names.contains(selector.name) else { return [self] }
        if let argument = selector.argument, let kind = ArgumentClass(call: selector.name), let args, !args.isEmpty {
            let example = kind.arguments(for: argument)
            // A rule about another class does not stand in the way.
            guard args.allSatisfy({ $0.holds(example) }) else { return [self] }
        }
        var rest = self
        rest.names.removeAll { $0 == selector.name }
        return rest.names.isEmpty ? [] : [rest]
    }
}

extension RuntimeSpec.Seccomp.Argument {
    fileprivate func holds(_ arguments: [UInt64]) -> Bool {
        guard index < 6 else { return false }
        let argument = arguments[Int(index)]
        return switch op {
        case .notEqual: argument != value
        case .less: argument < value
        case .lessOrEqual: argument <= value
        case .equal: argument == value
        case .greaterOrEqual: argument >= value
        case .greater: argument > value
        case .maskedEqual: argument & value == valueTwo ?? 0
        }
    }
}

extension ArgumentClass {
    /// Conditions of classes beside the allowed ones, as far as they can be counted up.
    fileprivate func refusals(beside allowed: Set<UInt64>) -> [[RuntimeSpec.Seccomp.Argument]] {
        switch self {
        case .ioctl, .prctl, .fcntl: return []
        case .clone, .unshare, .setns:
            // One bit that no allowed class has is enough to be refused.
            let free = named.filter { bit in isPossible(bit) && !allowed.contains { $0 & bit != 0 } }
            return free.compactMap { bit in
                conditions(for: bit).first.map { [.init(index: $0.index, value: bit, valueTwo: bit, op: .maskedEqual)] }
            }
        case .protection:
            return (0...7).filter { !allowed.contains($0) }.map(conditions)
        case .socket, .socketPair, .personality:
            // A family of which one protocol is allowed is refused by its others.
            let open = Set(allowed.map { $0 & 0xffff_ffff })
            let families = named.filter { !open.contains($0) }.map { Array(conditions(for: $0).prefix(1)) }
            let protocols = namedProtocols.filter { open.contains($0 & 0xffff_ffff) && !allowed.contains($0) }
            return families + protocols.map(conditions)
        }
    }
}
