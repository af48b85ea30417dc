internal import Kernel

extension Conformance {
    /// The program and its surroundings (runtime-spec "process").
    static let processes: [Check] = [
        isolated("terminalIsOnAllThree", "2.3 terminal") { box in
            box.process["terminal"] = true
            let report = try box.run("report", "stat=/dev/console", "open=rw:/dev/tty")
            for number in 0...2 {
                let file = report["fd.\(number)"] ?? "closed"
                try require(file.hasPrefix("/dev/pts/") || file == "/dev/console", "descriptor \(number): \(file)")
            }
            try requireEqual(report.members("fd.").count, 3, "open descriptors")
            try report.expect("controlling", "1")
            try report.expectSuccess("open=rw:/dev/tty")
            try require(report["stat=/dev/console"]?.hasPrefix("c ") ?? false, "/dev/console is no device")
        },
        isolated("terminalBeginsWithItsSize", "2.3 consoleSize") { box in
            box.process["terminal"] = true
            box.process["consoleSize"] = ["height": 41, "width": 123]
            try box.run().expect("winsize", "41 123")
        },
        isolated("sizeWithoutATerminalIsIgnored", "2.3 consoleSize") { box in
            box.process["consoleSize"] = ["height": 41, "width": 123]
            try box.run().expect("tty", "none")
        },
        isolated("onlyThreeDescriptorsAreOpen", "2.3 terminal") { box in
            try requireEqual(box.run().members("fd.").keys.sorted(), ["0", "1", "2"], "open descriptors")
        },
        isolated("workingDirectoryIsSet", "2.3 cwd") { box in
            try box.makeDirectory("/some/place")
            box.process["cwd"] = "/some/place"
            try box.run().expect("cwd", "/some/place")
        },
        refused("workingDirectoryIsAbsolute", "2.3 cwd") { $0.process["cwd"] = "some/place" },
        refused("workingDirectoryIsADirectory", "2.3 cwd") { $0.process["cwd"] = "/probe" },
        isolated("environmentIsExact", "2.3 env") { box in
            let environment = ["PATH=/bin", "HOME=/home", "ODD==x=", "SPACE=a b\tc", "EMPTY="]
            box.process["env"] = .texts(environment)
            try requireEqual(box.run().series("env"), environment, "environment")
        },
        isolated("argumentsAreExact", "2.3 args") { box in
            try requireEqual(
                box.run("report", "exit=0", "", "a b\n\"c\"").series("arg"),
                ["/probe", "report", "exit=0", "", "a b\n\"c\""],
                "arguments"
            )
        },
        isolated("programIsFoundOnThePath", "2.3 args") { box in
            try box.install(IsolationProbe.path(), at: "/bin/found")
            box.process["args"] = ["found"]
            box.process["env"] = ["PATH=/none:/bin", "HOME=/"]
            try box.run().expect("arg.0", "found")
        },
        isolated("programIsNotFoundOnAnotherPath", "2.3 args") { box in
            try box.install(IsolationProbe.path(), at: "/bin/found")
            box.process["args"] = ["found"]
            box.process["env"] = ["PATH=/none", "HOME=/"]
            try box.expectRefusal("a program that is not on the path")
        },
        refusedProcess("argumentsAreAtLeastOne", "2.3 args") { $0["args"] = [] },
        isolated("limitsAreSet", "2.3 rlimits") { box in
            let names = [
                "AS", "CORE", "CPU", "DATA", "FSIZE", "LOCKS", "MEMLOCK", "MSGQUEUE", "NICE", "NOFILE", "NPROC", "RSS",
                "RTPRIO", "RTTIME", "SIGPENDING", "STACK",
            ]
            let values: [String: (Int128, Int128)] = [
                "AS": (1 << 40, 1 << 41), "DATA": (1 << 40, 1 << 41), "FSIZE": (1 << 40, 1 << 41), "NICE": (0, 0),
                "RTPRIO": (0, 0), "MEMLOCK": (4096, 65536), "STACK": (1 << 20, 1 << 23),
            ]
            box.process["rlimits"] = .list(
                names.map { name in
                    let (soft, hard) = values[name] ?? (500, 600)
                    return ["type": .text("RLIMIT_" + name), "soft": .number(soft), "hard": .number(hard)]
                }
            )
            let report = try box.run()
            for name in names {
                let (soft, hard) = values[name] ?? (500, 600)
                try report.expect("rlimit.\(name)", "\(soft) \(hard)")
            }
        },
        isolated("unlimitedIsALimitToo", "2.3 rlimits") { box in
            box.process["rlimits"] = [
                ["type": "RLIMIT_CPU", "soft": 18_446_744_073_709_551_615, "hard": 18_446_744_073_709_551_615]
            ]
            try box.run().expect("rlimit.CPU", "-1 -1")
        },
        refused("limitIsListedOnce", "2.3 rlimits") { box in
            let limit: Document = ["type": "RLIMIT_NOFILE", "soft": 100, "hard": 100]
            box.process["rlimits"] = [limit, limit]
        },
        refused("limitIsKnown", "2.3 rlimits") { box in
            box.process["rlimits"] = [["type": "RLIMIT_NONE", "soft": 100, "hard": 100]]
        },
        isolated("maskIsSet", "2.3 user.umask") { box in
            box.process["user"]["umask"] = 0o37
            try box.run().expect("umask", "37")
        },
        isolated("absentMaskIsTheUsual", "2.3 user.umask") { try $0.run().expect("umask", "22") },
        isolated("profileIsEntered", "2.3 apparmorProfile", needs: .apparmor) { box in
            box.process["apparmorProfile"] = "unconfined"
            try box.run().expect("label", "unconfined")
        },
        refused("unknownProfileIsRefused", "2.3 apparmorProfile", needs: .apparmor) { box in
            box.process["apparmorProfile"] = "berth-no-such-profile"
        },
        refused("profileNeedsAppArmor", "2.3 apparmorProfile", needs: .noApparmor) { box in
            box.process["apparmorProfile"] = "some-profile"
        },
        refused("labelNeedsSELinux", "2.3 selinuxLabel", needs: .noSELinux) { box in
            box.process["selinuxLabel"] = "system_u:system_r:container_t:s0:c1,c2"
        },
        isolated("keyringIsItsOwn", "2.3") { box in
            let first = try box.run()
            let second = try IsolationBox(box.program).run()
            try require(
                first["keyring"] != second["keyring"],
                "both have the session keyring \(first["keyring"] ?? "")"
            )
        },
    ]

    private static func refusedProcess(
        _ name: String,
        _ row: String,
        change: @escaping @Sendable (inout Document) -> Void
    )
        -> Check
    {
        isolated(name, row) { box in
            let container = try ConformanceContainer(box.program, box.configured(change), isKept: true)
            try expectRefusal(name) { try container.run() }
        }
    }
}

extension IsolationBox {
    /// The bundle with a process that no command is added to.
    fileprivate func configured(_ change: (inout Document) -> Void) throws -> ConformanceBundle {
        change(&process)
        try bundle.write(config.json)
        return bundle
    }
}
