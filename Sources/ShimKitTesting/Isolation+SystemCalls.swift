internal import Kernel

/// getpgrp(2): takes no arguments, so that any can be passed to see how they are compared, and no runtime needs it.
private let harmless = 111

extension Conformance {
    /// The filter of system calls (runtime-spec "linux.seccomp").
    static let systemCalls: [Check] =
        comparisons + [
            isolated("filterIsInForce", "2.6 seccomp") { box in
                try allow(box, rule("getpgrp", "SCMP_ACT_ERRNO"))
                let report = try box.run("status=", "call=\(harmless)", "call=39")
                try report.expect("Seccomp", "2")
                try report.expectError("call=\(harmless)", "EPERM")
                try report.expectSuccess("call=39")
            },
            isolated("noFilterIsNone", "2.6 seccomp") { try $0.run().expect("Seccomp", "0") },
            isolated("errorOfARuleIsItsOwn", "2.6 errnoRet") { box in
                var own = rule("getpgrp", "SCMP_ACT_ERRNO")
                own["errnoRet"] = 15
                try allow(box, own)
                try box.run("call=\(harmless)").expectError("call=\(harmless)", "ENOTBLK")
            },
            isolated("errorOfTheDefaultIsItsOwn", "2.6 defaultErrnoRet") { box in
                try deny(box, "SCMP_ACT_ERRNO", error: 15)
                try box.run("call=\(harmless)").expectError("call=\(harmless)", "ENOTBLK")
            },
            action("KILL_PROCESS", ends: "signal 31"), action("KILL_THREAD", ends: "signal 31"),
            action("KILL", ends: "signal 31"), action("TRAP", ends: "signal 31"),
            action("TRACE", ends: "error ENOSYS"), action("LOG", ends: "0"), action("ALLOW", ends: "0"),
            isolated("severalNamesAreOneRule", "2.6 syscalls") { box in
                try allow(box, ["names": ["getpgrp", "getpriority"], "action": "SCMP_ACT_ERRNO"])
                let report = try box.run("call=\(harmless)", "call=140")
                for command in ["call=\(harmless)", "call=140"] { try report.expectError(command, "EPERM") }
            },
            isolated("unknownCallIsIgnored", "2.6 syscalls") { box in
                try allow(box, ["names": ["call_of_another_kernel", "getpgrp"], "action": "SCMP_ACT_ERRNO"])
                try box.run("call=\(harmless)").expectError("call=\(harmless)", "EPERM")
            },
            isolated("architecturesAreAccepted", "2.6 architectures") { box in
                try allow(box, rule("getpgrp", "SCMP_ACT_ERRNO"))
                box.linux["seccomp"]["architectures"] = ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]
                try box.run("call=\(harmless)").expectError("call=\(harmless)", "EPERM")
            },
            isolated("flagsAreAccepted", "2.6 flags") { box in
                try allow(box, rule("getpgrp", "SCMP_ACT_ERRNO"))
                box.linux["seccomp"]["flags"] = [
                    "SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_SPEC_ALLOW",
                ]
                try box.run("call=\(harmless)").expectError("call=\(harmless)", "EPERM")
            },
            isolated("filterHoldsWithoutNewPrivileges", "2.6 seccomp") { box in
                try allow(box, rule("getpgrp", "SCMP_ACT_ERRNO"))
                box.process["noNewPrivileges"] = true
                box.process["user"] = ["uid": 1000, "gid": 1000]
                let report = try box.run("status=", "call=\(harmless)")
                try report.expect("NoNewPrivs", "1")
                try report.expectError("call=\(harmless)", "EPERM")
            },
            isolated("filterHoldsForAUserWithNewPrivileges", "2.6 seccomp") { box in
                try allow(box, rule("getpgrp", "SCMP_ACT_ERRNO"))
                box.process["user"] = ["uid": 1000, "gid": 1000]
                let report = try box.run("status=", "call=\(harmless)")
                try report.expect("NoNewPrivs", "0")
                try report.expectError("call=\(harmless)", "EPERM")
            },
            refusedFilter("unknownActionIsRefused") { $0["defaultAction"] = "SCMP_ACT_NONE" },
            refusedFilter("unknownOperatorIsRefused") { filter in
                filter["syscalls"] = [comparison("SCMP_CMP_NONE", 1, nil)]
            },
            refusedFilter("unknownArchitectureIsRefused") { $0["architectures"] = ["SCMP_ARCH_NONE"] },
            refusedFilter("unknownFlagIsRefused") { $0["flags"] = ["SECCOMP_FILTER_FLAG_NONE"] },
            refusedFilter("ruleHasNames") { $0["syscalls"] = [["names": [], "action": "SCMP_ACT_ERRNO"]] },
            refusedFilter("errorIsOnlyForErrors") { filter in
                filter["syscalls"] = [["names": ["getpgrp"], "action": "SCMP_ACT_ALLOW", "errnoRet": 1]]
            },
            isolated("agentGetsTheListener", "2.6 listenerPath", body: notify),
            refused("agentMustBeThere", "2.6 listenerPath") { box in
                try allow(box, rule("getpgrp", "SCMP_ACT_NOTIFY"))
                box.linux["seccomp"]["listenerPath"] = .text(box.bundle.directory + "/nobody")
            },
            isolated("execHasTheSameFilter", "2.6 seccomp") { box in
                try allow(box, rule("getpgrp", "SCMP_ACT_ERRNO"))
                let (container, _) = try box.hold()
                let report = try box.exec(container, ["status=", "call=\(harmless)"])
                try report.expect("Seccomp", "2")
                try report.expectError("call=\(harmless)", "EPERM")
                try container.kill(.kill)
            },
        ]

    private static func rule(_ name: String, _ action: String) -> Document {
        ["names": [.text(name)], "action": .text(action)]
    }

    private static func allow(_ box: IsolationBox, _ rule: Document) throws {
        box.linux["seccomp"] = [
            "defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"], "syscalls": [rule],
        ]
    }

    /// Everything that the probe and a runtime's last steps need is allowed by name; the rest has the default.
    private static func deny(_ box: IsolationBox, _ action: String, error: Int128) throws {
        let needed = [
            "arch_prctl", "brk", "capget", "capset", "chdir", "close", "close_range", "dup2", "dup3", "epoll_ctl",
            "epoll_pwait", "execve", "execveat", "exit", "faccessat", "faccessat2", "getgroups", "exit_group", "fchdir",
            "fcntl", "fstat", "fstatfs", "futex", "getcwd",
            "getdents64", "getegid", "geteuid", "getgid", "getpid", "getppid", "getresgid", "getresuid", "getuid",
            "getrandom", "gettid", "ioctl", "lseek", "madvise", "mmap", "mprotect",
            "munmap", "nanosleep", "newfstatat", "open", "openat", "openat2", "pread64", "prctl", "prlimit64", "read",
            "readlink", "readlinkat", "rseq", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity",
            "set_robust_list", "set_tid_address", "setgid", "setgroups", "setresgid", "setresuid", "setuid",
            "sigaltstack",
            "statx", "tgkill", "write", "writev", "sendmsg", "sendto", "recvmsg", "recvfrom", "umask", "uname",
        ]
        box.linux["seccomp"] = [
            "defaultAction": .text(action), "defaultErrnoRet": .number(error), "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [["names": .texts(needed), "action": "SCMP_ACT_ALLOW"]],
        ]
    }

    private static func action(_ name: String, ends: String) -> Check {
        isolated("actionOf\(name)", "2.6 actions") { box in
            try allow(box, rule("getpgrp", "SCMP_ACT_" + name))
            if name == "ALLOW" {
                box.linux["seccomp"]["defaultAction"] = "SCMP_ACT_LOG"
            }
            try box.run("child=\(harmless)").expect("child=\(harmless)", ends)
        }
    }

    private static func refusedFilter(_ name: String, change: @escaping @Sendable (inout Document) -> Void) -> Check {
        refused(name, "2.6 valid values") { box in
            try allow(box, rule("getpgrp", "SCMP_ACT_ERRNO"))
            var filter = box.linux["seccomp"]
            change(&filter)
            box.linux["seccomp"] = filter
        }
    }

    // MARK: - Comparisons

    private static func comparison(_ word: String, _ value: Int128, _ second: Int128?, index: Int128 = 0) -> Document {
        var argument: Document = ["index": .number(index), "value": .number(value), "op": .text(word)]
        if let second { argument["valueTwo"] = .number(second) }
        return ["names": ["getpgrp"], "action": "SCMP_ACT_ERRNO", "args": [argument]]
    }

    private static let comparisons: [Check] = [
        compare("NE", 7, match: [6, 8, 1 << 32 | 7], miss: [7]),
        compare("LT", 1 << 33, match: [0, 7, 1 << 32], miss: [1 << 33, 1 << 34]),
        compare("LE", 1 << 33, match: [0, 1 << 33], miss: [1 << 33 + 1, 1 << 34]),
        compare("EQ", 1 << 33 | 7, match: [1 << 33 | 7], miss: [7, 1 << 33, 8]),
        compare("GE", 1 << 33, match: [1 << 33, 1 << 34], miss: [0, 1 << 32]),
        compare("GT", 1 << 33, match: [1 << 33 + 1, 1 << 34], miss: [1 << 33, 5]),
        compare("MASKED_EQ", 0xf0, 0x50, match: [0x50, 0x5f, 0x1_0050], miss: [0x60, 0x0]),
        isolated("allArgumentsOfARuleMustMatch", "2.6 args") { box in
            var both = comparison("SCMP_CMP_EQ", 1, nil)
            both["args"] = [
                ["index": 0, "value": 1, "op": "SCMP_CMP_EQ"], ["index": 5, "value": 2, "op": "SCMP_CMP_GE"],
            ]
            try allow(box, both)
            let report = try box.run("call=111:1:0:0:0:0:3", "call=111:1:0:0:0:0:1", "call=111:2:0:0:0:0:3")
            try report.expectError("call=111:1:0:0:0:0:3", "EPERM")
            for command in ["call=111:1:0:0:0:0:1", "call=111:2:0:0:0:0:3"] { try report.expectSuccess(command) }
        },
    ]

    private static func compare(
        _ word: String,
        _ value: Int128,
        _ second: Int128? = nil,
        match: [Int],
        miss: [Int]
    ) -> Check {
        isolated("operator\(word)", "2.6 args") { box in
            try allow(box, comparison("SCMP_CMP_" + word, value, second))
            let commands = (match + miss).map { "call=\(harmless):\($0)" }
            let container = try box.open(commands)
            try container.run()
            let report = try box.finish(container)
            for value in match { try report.expectError("call=\(harmless):\(value)", "EPERM") }
            for value in miss { try report.expectSuccess("call=\(harmless):\(value)") }
        }
    }

    // MARK: - Notifications

    private static func notify(_ box: IsolationBox) throws {
        let socket = box.bundle.directory + "/agent.sock"
        let agent = try Agent(socket, error: 15)
        try allow(box, rule("getpgrp", "SCMP_ACT_NOTIFY"))
        box.linux["seccomp"]["listenerPath"] = .text(socket)
        box.linux["seccomp"]["listenerMetadata"] = "of the check"
        let report = try box.run("call=\(harmless)")
        try report.expectError("call=\(harmless)", "ENOTBLK")
        let seen = try agent.end()
        try seen.expect("descriptors", "1")
        try seen.expect("answered", "1")
        let state = (seen["state"] ?? "").filter { !$0.isWhitespace }
        for part in [
            #""fds":["seccompFd"]"#, #""metadata":"ofthecheck""#, #""id":"\#(box.bundle.id)""#, #""pid":"#,
            #""ociVersion":""#, #""state":{"#, #""bundle":"\#(box.bundle.path)""#,
        ] { try require(state.contains(part), "no \(part) in \(state)") }
    }
}

/// A process that answers the notifications of a filter.
private final class Agent {
    private let pidfd: SharedDescriptor
    private let reader: SharedDescriptor

    init(_ socket: String, error: Int) throws {
        let program = try IsolationProbe.path()
        let output = try Pipe()
        var spawn = Spawn(arguments: [program, "agent=\(socket):\(error)"])
        spawn.descriptors = [1: output.writer.raw]
        pidfd = try spawn.start(program).sharedPidfd()
        reader = output.ends().reader
        let ready = try reader.poll(for: .readable, timeout: .seconds(10))
        try require(ready.contains(.readable), "the agent does not speak")
    }

    deinit {
        // Nobody is left who could be told.
        _ = try? Pidfd.send(.kill, to: pidfd.raw)
        _ = try? Pidfd.reapIfEnded(pidfd.raw)
    }

    /// What it said until nobody asked it any more.
    func end() throws -> IsolationReport {
        let ended = try pidfd.poll(for: .readable, timeout: .seconds(20))
        try require(!ended.isEmpty, "the agent still waits")
        _ = try Pidfd.waitForEnd(pidfd.raw)
        return IsolationReport(String(decoding: try reader.readToEnd(limit: 1 << 20), as: UTF8.self), status: 0)
    }
}
