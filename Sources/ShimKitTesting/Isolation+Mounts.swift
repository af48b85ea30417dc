internal import Kernel

extension Conformance {
    /// Options of mounts (runtime-spec "mounts").
    static let mounts: [Check] = [
        isolated("flagsOfNewFileSystems", "2.2 MUST") {
            try flags($0) { box, place, words in
                box.mount(place, "tmpfs", "tmpfs", words)
            }
        },
        isolated("flagsOfBinds", "2.2 MUST") { box in
            let source = try box.outside("source")
            try flags(box) { box, place, words in box.bind(source, place, ["bind"] + words) }
        },
        isolated("flagsOfTheFileSystem", "2.2 MUST") { box in
            let words = ["sync": "sync", "dirsync": "dirsync", "lazytime": "lazytime"]
            for (word, _) in words { box.mount("/m/\(word)", "tmpfs", "tmpfs", [word]) }
            let report = try box.run()
            for (word, shown) in words {
                let options = try report.mount("/m/\(word)")
                try require(
                    options.superOptions.union(options.options).contains(Substring(shown)),
                    "\(word): \(options.superOptions)"
                )
            }
        },
        isolated("laterFlagsOfTheFileSystemWin", "2.2 MUST") { box in
            let words = ["async": "sync", "nolazytime": "lazytime"]
            for (last, first) in words { box.mount("/m/\(last)", "tmpfs", "tmpfs", [first, last]) }
            let report = try box.run()
            for (last, first) in words {
                let mount = try report.mount("/m/\(last)")
                let options = mount.superOptions.union(mount.options)
                try require(!options.contains(Substring(first)), "\(first), \(last): \(options)")
            }
        },
        accepted("defaults"), accepted("loud"), accepted("silent"), accepted("iversion"), accepted("noiversion"),
        accepted("mand"), accepted("nomand"),
        isolated("nosymfollowIsObeyed", "2.2 SHOULD") { box in
            let source = try box.outside("source")
            try RootedDir(source).symlink("link", to: "/probe")
            box.bind(source, "/m/closed", ["bind", "nosymfollow"])
            box.bind(source, "/m/open", ["bind", "nosymfollow", "symfollow"])
            let report = try box.run("open=r:/m/closed/link", "open=r:/m/open/link")
            try report.expectError("open=r:/m/closed/link", "ELOOP")
            try report.expectSuccess("open=r:/m/open/link")
        },
        isolated("remountChangesTheEarlierMount", "2.2 MUST") { box in
            box.mount("/m", "tmpfs", "tmpfs", ["rw"])
            box.mount("/m", "tmpfs", "tmpfs", ["remount", "ro"])
            let report = try box.run("mkdir=/m/a", "report")
            try report.expectError("mkdir=/m/a", "EROFS")
            try requireEqual(report.mounts.count { $0.place == "/m" }, 1, "mounts at /m")
        },
        isolated("bindTakesOnlyTheTop", "2.2 MUST") { box in
            try nested(box)
            box.bind(box.bundle.directory + "/nest", "/m", ["bind"])
            try requireEqual(box.run().mounts.count { $0.place.hasPrefix("/m") }, 1, "mounts")
        },
        isolated("rbindTakesEverything", "2.2 MUST") { box in
            try nested(box)
            box.bind(box.bundle.directory + "/nest", "/m", ["rbind"])
            try requireEqual(
                box.run().mounts.filter { $0.place.hasPrefix("/m") }.map(\.place),
                ["/m", "/m/sub"],
                "mounts"
            )
        },
        isolated("roOfAnRbindIsTheTopAlone", "2.2 MUST") { box in
            try nested(box)
            box.bind(box.bundle.directory + "/nest", "/m", ["rbind", "ro"])
            let report = try box.run("mkdir=/m/a", "mkdir=/m/sub/a")
            try report.expectError("mkdir=/m/a", "EROFS")
            try report.expectSuccess("mkdir=/m/sub/a")
        },
        isolated("recursiveAttributes", "2.2 SHOULD", body: recursive),
        propagation("private", shows: []), propagation("rprivate", shows: []),
        propagation("slave", shows: ["master"]), propagation("rslave", shows: ["master"]),
        propagation("shared", shows: ["shared"]), propagation("rshared", shows: ["shared"]),
        propagation("unbindable", shows: ["unbindable"]), propagation("runbindable", shows: ["unbindable"]),
        isolated("slaveSeesLaterMountsOfTheHost", "2.2 MUST") { box in
            let source = try box.outside("live")
            try File.makeDirectories(source + "/later", mode: 0o755)
            box.hostScript = "mount --bind \(source) \(source); mount --make-shared \(source)"
            box.config["linux"]["rootfsPropagation"] = "rslave"
            box.bind(source, "/m", ["rbind", "rslave"])
            let container = try box.open(["hold=", "report"])
            try container.run()
            try container.wait("the probe") { container.streams.text.contains("ready\t") }
            let mount = ShimProgram(name: "nsenter", path: "/usr/bin/nsenter")
            let output = try mount.run(
                ["-t", "\(container.shimPid)", "-m", "mount", "-t", "tmpfs", "tmpfs", source + "/later"],
                bundle: box.bundle.directory
            )
            try requireEqual(output.status, .exited(0), "mount on the host")
            try container.kill(.user1)
            try requireEqual(box.finish(container).mount("/m/later").type, "tmpfs", "type of the later mount")
        },
        isolated("tmpcopyupKeepsTheFiles", "2.2 MAY") { box in
            try box.makeDirectory("/seed/below")
            try box.write("/seed/file", "text")
            try box.write("/seed/below/file", "deep")
            box.mount("/seed", "tmpfs", "tmpfs", ["tmpcopyup"])
            let report = try box.run("read=/seed/file", "read=/seed/below/file", "report", "open=wc:/seed/new")
            try report.expect("read=/seed/file", "text")
            try report.expect("read=/seed/below/file", "deep")
            try requireEqual(report.mount("/seed").type, "tmpfs", "type")
            try require(!File.exists(box.host("/seed/new")), "what is written there reaches the root")
        },
        isolated("dataReachesTheFileSystem", "2.2 data") { box in
            box.mount("/m", "tmpfs", "tmpfs", ["size=64k", "mode=0711", "uid=5", "gid=6", "nosuid"])
            let report = try box.run("stat=/m", "report")
            try report.expect("stat=/m", "d 0:0 711 5 6")
            let options = try report.mount("/m").superOptions
            try require(options.contains("size=64k"), "\(options)")
        },
        refused("dataThatTheFileSystemRefuses", "2.2 data") { $0.mount("/m", "tmpfs", "tmpfs", ["nosuchoption=1"]) },
    ]

    /// A word that changes nothing that can be seen.
    private static func accepted(_ word: String) -> Check {
        isolated("\(word)IsAccepted", "2.2 \(word.hasSuffix("mand") ? "MAY" : "MUST")") { box in
            box.mount("/m", "tmpfs", "tmpfs", [word])
            try requireEqual(box.run().mount("/m").type, "tmpfs", word)
        }
    }

    /// Per-mount flags: words, what must be shown, what must not.
    private static let flagCases: [(words: [String], shown: [Substring], hidden: [Substring])] = [
        (["ro"], ["ro"], ["rw"]), (["ro", "rw"], ["rw"], ["ro"]),
        (["nosuid"], ["nosuid"], []), (["nosuid", "suid"], [], ["nosuid"]),
        (["nodev"], ["nodev"], []), (["nodev", "dev"], [], ["nodev"]),
        (["noexec"], ["noexec"], []), (["noexec", "exec"], [], ["noexec"]),
        (["noatime"], ["noatime"], ["relatime"]), (["noatime", "atime"], [], ["noatime"]),
        (["nodiratime"], ["nodiratime"], []), (["nodiratime", "diratime"], [], ["nodiratime"]),
        (["relatime"], ["relatime"], ["noatime"]), (["strictatime"], [], ["relatime", "noatime"]),
        (["ro", "nosuid", "nodev", "noexec"], ["ro", "nosuid", "nodev", "noexec"], []),
    ]

    private static func flags(_ box: IsolationBox, mount: (IsolationBox, String, [String]) -> Void) throws {
        let places = flagCases.indices.map { "/m/\($0)" }
        for (place, flags) in zip(places, flagCases) { mount(box, place, flags.words) }
        let report = try box.run()
        for (place, flags) in zip(places, flagCases) {
            let options = try report.mount(place).options
            try require(
                options.isSuperset(of: flags.shown) && options.isDisjoint(with: flags.hidden),
                "\(flags.words) gives \(options.sorted())"
            )
        }
    }

    /// A directory of the shim's mount namespace with a mount below it.
    private static func nested(_ box: IsolationBox) throws {
        let place = try box.outside("nest")
        try File.makeDirectories(place + "/sub", mode: 0o755)
        box.hostScript = "mount -t tmpfs tmpfs \(place)/sub"
    }

    private static func recursive(_ box: IsolationBox) throws {
        try nested(box)
        let cases: [(word: String, shown: Substring?, hidden: Substring?)] = [
            ("rro", "ro", "rw"), ("rrw", "rw", "ro"), ("rnosuid", "nosuid", nil), ("rsuid", nil, "nosuid"),
            ("rnodev", "nodev", nil), ("rdev", nil, "nodev"), ("rnoexec", "noexec", nil), ("rexec", nil, "noexec"),
            ("rnoatime", "noatime", "relatime"), ("rrelatime", "relatime", "noatime"),
            ("rstrictatime", nil, "relatime"),
            ("rnodiratime", "nodiratime", nil), ("rdiratime", nil, "nodiratime"),
            ("rnosymfollow", "nosymfollow", nil), ("rsymfollow", nil, "nosymfollow"),
        ]
        for each in cases { box.bind(box.bundle.directory + "/nest", "/m/\(each.word)", ["rbind", each.word]) }
        let report = try box.run()
        for each in cases {
            for place in ["/m/\(each.word)", "/m/\(each.word)/sub"] {
                let options = try report.mount(place).options
                try require(each.shown.map(options.contains) ?? true, "\(place): \(options.sorted())")
                try require(!(each.hidden.map(options.contains) ?? false), "\(place): \(options.sorted())")
            }
        }
    }

    private static func propagation(_ word: String, shows: [String]) -> Check {
        isolated("propagationOf\(HookLog.title(word))", "2.2 MUST") { box in
            let source = try box.outside("peer")
            box.hostScript = "mount --bind \(source) \(source); mount --make-shared \(source)"
            box.bind(source, "/m", ["rbind", word])
            // A shared mount may also be somebody's slave.
            let seen = try box.run().mount("/m").propagationKinds
            try requireEqual(shows == ["shared"] ? seen.filter { $0 == "shared" } : seen, shows, "propagation")
        }
    }
}
