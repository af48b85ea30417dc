internal import Kernel
internal import ShimProtocol

extension Conformance {
    /// The six kinds of hooks (runtime-spec "hooks").
    static let hooks: [Check] = [
        isolated("hooksRunInOrder", "1.1 order") { box in
            let log = try HookLog(box)
            for kind in HookLog.kinds {
                box.config["hooks"][kind] = [log.hook("first-\(kind)"), log.hook("second-\(kind)")]
            }
            let container = try box.open(["open=wc:\(log.directory)/program"])
            try container.create()
            let creation = ["prestart", "createRuntime", "createContainer"].flatMap { ["first-\($0)", "second-\($0)"] }
            try requireEqual(log.lines(), creation, "hooks of create")
            try container.start()
            try requireEqual(
                log.lines(),
                creation + ["startContainer", "poststart"].flatMap { ["first-\($0)", "second-\($0)"] },
                "hooks of create and start"
            )
            try box.finish(container).expectSuccess("open=wc:\(log.directory)/program")
            try requireEqual(log.lines().suffix(2), ["first-poststop", "second-poststop"], "hooks of delete")
        },
        isolated("startContainerHooksRunBeforeTheProgram", "1.1 7") { box in
            let log = try HookLog(box)
            box.config["hooks"]["startContainer"] = [log.hook("hook")]
            try box.run("read=\(log.directory)/log").expect("read=\(log.directory)/log", "hook")
        },
        hookState("prestart", status: ["creating", "created"]),
        hookState("createRuntime", status: ["creating"]),
        hookState("createContainer", status: ["creating"]),
        hookState("startContainer", status: ["created"]),
        hookState("poststart", status: ["running"]),
        hookState("poststop", status: ["stopped"]),
        isolated("hooksRunInTheirNamespaces", "1.1 3-9", body: hookPlaces),
        isolated("hooksHaveTheirArgumentsAndEnvironment", "1.1 entry") { box in
            let log = try HookLog(box)
            box.config["hooks"]["createRuntime"] = [
                [
                    "path": "/bin/sh", "env": ["ONE=1", "TWO=a b"], "timeout": 10,
                    "args": ["own-name", "-c", "echo \"$0 $1|$ONE|$TWO|$HOME\" > \(log.directory)/log", "zero", "one"],
                ]
            ]
            try box.run()
            try requireEqual(log.lines(), ["zero one|1|a b|"], "what the hook saw")
        },
        hookFailure("prestart"), hookFailure("createRuntime"), hookFailure("createContainer"),
        hookFailure("startContainer"), hookFailure("poststart"),
        isolated("failedPoststopHookStopsNothing", "1.1 13") { box in
            let log = try HookLog(box)
            box.config["hooks"]["poststop"] = [["path": "/bin/false"], log.hook("second")]
            let container = try box.open()
            try container.run()
            _ = try box.finish(container)
            try requireEqual(log.lines(), ["second"], "hooks after the one that failed")
            try expect(.notFound, "state after delete") { _ = try container.state() }
        },
        isolated("hookThatTakesTooLongIsEnded", "1.1 entry") { box in
            box.config["hooks"]["createRuntime"] = [
                ["path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1]
            ]
            let begin = Clock.monotonic.now
            try box.expectRefusal("a hook that does not end")
            try require(Clock.monotonic.now - begin < .seconds(20), "it took \(Clock.monotonic.now - begin)")
        },
        refused("hookPathIsAbsolute", "1.1 entry") { $0.config["hooks"]["createRuntime"] = [["path": "bin/true"]] },
        refused("hookTimeoutIsPositive", "1.1 entry") { box in
            // One that would end at once is sometimes faster than the end of no time at all.
            box.config["hooks"]["createRuntime"] = [["path": "/bin/sleep", "args": ["sleep", "1"], "timeout": 0]]
        },
    ]

    private static func hookState(_ kind: String, status: [String]) -> Check {
        isolated("stateIsOnTheInputOf\(HookLog.title(kind))", "1.1 state") { box in
            let log = try HookLog(box)
            box.config["annotations"] = ["org.example.key": "its value"]
            box.config["hooks"][kind] = [log.hook("hook")]
            let container = try box.open()
            let pid = try container.run()
            _ = try box.finish(container)
            let state = try File.readText(log.directory + "/hook.state").filter { !$0.isWhitespace }
            for member in [
                #""id":"\#(box.bundle.id)""#, #""bundle":"\#(box.bundle.path)""#, #""org.example.key":"itsvalue""#,
                #""ociVersion":""#,
            ] { try require(state.contains(member), "no \(member) in \(state)") }
            try require(
                status.contains { state.contains(#""status":"\#($0)""#) },
                "the status is none of \(status) in \(state)"
            )
            // A stopped container has no process; in the container's namespaces the number is the container's own.
            let isInside = kind == "createContainer" || kind == "startContainer"
            let numbers = kind == "poststop" ? ["0", ""] : [isInside ? "1" : "\(pid)"]
            let seen = state.firstRange(of: #""pid":"#).map { state[$0.upperBound...].prefix { $0.isNumber } } ?? ""
            try require(numbers.contains(String(seen)), "pid \(seen) in the state, not \(numbers)")
        }
    }

    private static func hookFailure(_ kind: String) -> Check {
        isolated("failed\(HookLog.title(kind))HookIsAnError", "1.1 failure") { box in
            let log = try HookLog(box)
            box.config["hooks"][kind] = [["path": "/bin/false"], log.hook("second")]
            box.config["hooks"]["poststop"] = [log.hook("poststop")]
            // Long enough that it would be seen running.
            let container = try box.open(["hold="])
            try expectRefusal("a hook that fails") { try container.run() }
            try box.end(container)
            try requireEqual(log.lines(), ["poststop"], "hooks after the one that failed")
        }
    }

    private static func hookPlaces(_ box: IsolationBox) throws {
        let log = try HookLog(box)
        // One of the host's and one of the image's: which of them a hook sees tells where it runs.
        let host = try box.outside("of-the-host")
        try box.write("/of-the-image", "")
        let script = """
            readlink /proc/self/ns/mnt; test -e \(host) && echo host; test -e /of-the-image && echo image; :
            """
        for kind in HookLog.kinds { box.config["hooks"][kind] = [log.hook(kind, script: script)] }
        let container = try box.open()
        try container.run()
        let own = try namespaceIdentity("\(container.shimPid)", "mnt")
        let theirs = try box.finish(container)["ns.mnt"] ?? "unknown"
        let wanted = [
            "prestart": [own, "host"], "createRuntime": [own, "host"], "createContainer": [theirs, "host"],
            "startContainer": [theirs, "image"], "poststart": [own, "host"], "poststop": [own, "host"],
        ]
        for (kind, lines) in wanted.sorted(by: { $0.key < $1.key }) {
            let text = try File.readText("\(log.directory)/\(kind).script")
            try requireEqual(text.split(separator: "\n").map(String.init), lines, "namespace and files of \(kind)")
        }
    }
}

/// A directory at the same place outside and inside, where hooks leave what they saw.
struct HookLog {
    static let kinds = ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"]

    let directory: String

    init(_ box: IsolationBox) throws {
        directory = try box.outside("hooks")
        box.bind(directory, directory)
    }

    /// A hook that adds a line to the log, keeps the state, and keeps what a script says.
    func hook(_ name: String, script: String = "") -> Document {
        let text = """
            echo \(name) >> \(directory)/log; cat > \(directory)/\(name).state
            { :; \(script.isEmpty ? ":" : script); } > \(directory)/\(name).script
            """
        return ["path": "/bin/sh", "args": ["sh", "-c", .text(text)], "env": ["PATH=/bin:/usr/bin"]]
    }

    func lines() throws -> [String] {
        guard File.exists(directory + "/log") else { return [] }
        return try File.readText(directory + "/log").split(separator: "\n").map(String.init)
    }

    static func title(_ kind: String) -> String { kind.prefix(1).uppercased() + kind.dropFirst() }
}
