import FoundationEssentials
import Kernel
import OCISpec
import ProbeSupport
import Testing

/// Programs at points of a container's life.
@Suite struct HookTests {
    let box: ContainerFixture
    let record: String
    /// Stands in the environment of every hook, and of no other test's processes.
    let mark = "MARK=" + Random.hex(8)

    init() throws {
        box = try ContainerFixture()
        record = box.scratch.path + "/record"
    }

    func hook(_ script: String, timeout: Int? = 20) -> RuntimeSpec.Hook {
        .init(path: "/bin/sh", args: ["sh", "-c", script], env: ["PATH=/bin", mark], timeout: timeout)
    }

    @Test func aScriptMayBeAHook() throws {
        let path = box.scratch.path + "/script"
        try File.writeAtomically(
            path,
            Array("#!/bin/sh\necho \"$0 $1 $A\" > \(record)\nenv >> \(record)\n".utf8),
            mode: 0o755,
            durable: false
        )
        box.spec.hooks = .init(createRuntime: [.init(path: path, args: ["x", "one"], env: ["A=b"])])
        let outcome = try box.run("true")
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        let lines = try File.readText(record).split(separator: "\n")
        #expect(lines.first == "\(path) one b")
        // The shell adds its working directory, nobody else anything.
        #expect(Set(lines.dropFirst()).subtracting(["PWD=\(FileManager.default.currentDirectoryPath)"]) == ["A=b"])
    }

    @Test func hooksOfTheContainerRunAsItsProgramWould() throws {
        try RootedDir(box.root).mkdirAll("/shared")
        try RootedDir(box.root).chmod("/shared", permissions: 0o777)
        let script = """
            { echo hook $$; cat; echo; grep -E 'Cap|Seccomp:|NoNewPrivs' /proc/self/status; id -u; id -G; readlink /proc/self/ns/mnt;
            ls /proc/self/fd; uname -m; umask; } > /shared/out 2>&1
            """
        box.spec.process?.user = .init(uid: 1000, gid: 1001)
        box.spec.process?.noNewPrivileges = true
        box.spec.linux?.personality = .init(domain: "LINUX32")
        box.spec.linux?.seccomp = .init(defaultAction: .allow, syscalls: [.init(names: ["acct"], action: .errno)])
        box.spec.hooks = .init(startContainer: [hook(script), hook("echo second >> /shared/out")])
        let outcome = try box.run("cat /shared/out; readlink /proc/self/ns/mnt; echo $$")
        #expect(outcome.status == .exited(0), "\(outcome.errors)")
        let lines = outcome.lines
        #expect(lines.first == "hook 2")
        #expect(lines[1].contains(#""status":"created""#) && lines[1].contains(#""pid":1"#))
        #expect(outcome["CapEff"] == "0000000000000000")
        #expect(outcome["CapBnd"] == "00000000000004e1")
        #expect(outcome["Seccomp"] == "2")
        #expect(outcome["NoNewPrivs"] == "1")
        let namespaces = lines.filter { $0.hasPrefix("mnt:") }
        #expect(namespaces.count == 2 && namespaces.first == namespaces.last)
        #expect(lines.contains("1000") && lines.contains("1001") && lines.contains("i686") && lines.contains("second"))
        #expect(lines.last == "1")
    }

    @Test func everyHookOfTheRuntimeSeesThePidOfTheContainer() throws {
        let check = "sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/' | { read p; readlink /proc/$p/ns/pid; } >> \(record)"
        box.spec.hooks = .init(prestart: [hook(check)], createRuntime: [hook(check)], poststart: [hook(check)])
        let outcome = try box.run("readlink /proc/self/ns/pid; read x")
        let lines = try File.readText(record).split(separator: "\n").map(String.init)
        #expect(lines.count == 3 && Set(lines) == Set(outcome.lines), "\(lines) \(outcome.output) \(outcome.errors)")
    }

    @Test func aHookThatTakesTooLongDiesWithItsGroup() throws {
        let script = "sleep 1000 & sleep 1000"
        for kind in 0..<3 {
            let slow = hook(script, timeout: 1)
            switch kind {
            case 0: box.spec.hooks = .init(prestart: [slow])
            case 1: box.spec.hooks = .init(createContainer: [slow])
            default: box.spec.hooks = .init(startContainer: [slow])
            }
            let failure = try box.run("true").failure
            #expect(failure?.stage == "hooks" && failure?.code == "timedOut", "kind \(kind)")
        }
        let left = try processes(containing: "sleep\u{0}1000")
        #expect(left.isEmpty, "\(left)")
    }

    /// Processes of this fixture's containers that still run.
    private func processes(containing text: String) throws -> [Int32] {
        try File.open("/proc", .directory).readDirectory().compactMap { entry -> Int32? in
            guard let pid = Int32(entry.name),
                let line = try? File.read("/proc/\(pid)/cmdline", limit: 4096),
                String(decoding: line, as: UTF8.self).contains(text),
                let environment = try? File.read("/proc/\(pid)/environ", limit: 4096),
                String(decoding: environment, as: UTF8.self).contains(mark)
            else { return nil }
            return pid
        }
    }

    @Test(arguments: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart"])
    func afterAFailedHookOnlyTheLastHooksRun(_ kind: String) throws {
        var hooks = RuntimeSpec.Hooks(
            createRuntime: [hook("echo createRuntime >> \(record)")],
            createContainer: [hook("echo createContainer >> \(record)")],
            poststart: [hook("echo poststart >> \(record)")],
            poststop: [hook("echo poststop >> \(record)")]
        )
        let bad = [hook("exit 7"), hook("echo never >> \(record)")]
        var wanted = ["createRuntime", "createContainer"]
        switch kind {
        case "prestart": (hooks.prestart, wanted) = (bad, [])
        case "createRuntime": (hooks.createRuntime, wanted) = (bad, [])
        case "createContainer": (hooks.createContainer, wanted) = (bad, ["createRuntime"])
        case "startContainer": hooks.startContainer = bad
        default: hooks.poststart = bad
        }
        box.spec.hooks = hooks
        let outcome = try box.run("echo ran >> /tmp/ran; sleep 1000")
        #expect(outcome.status == .exited(125))
        #expect(outcome.failure?.stage == "hooks")
        #expect(outcome.failure?.object == "hooks.\(kind)[0]")
        #expect(try File.readText(record).split(separator: "\n").map(String.init) == wanted + ["poststop"])
        if kind != "poststart" { #expect(!File.exists(box.root + "/tmp/ran")) }
    }

    @Test func aMissingHookOfTheContainerIsNamed() throws {
        box.spec.hooks = .init(startContainer: [.init(path: "/no/such")])
        let failure = try box.run("true").failure
        #expect(failure?.object == "hooks.startContainer[0]")
        #expect(failure?.code == "notFound")
    }

    @Test(arguments: [
        (RuntimeSpec.Hook(path: "bin/true"), "path"), (RuntimeSpec.Hook(path: ""), "path"),
        (RuntimeSpec.Hook(path: "/bin/true", timeout: 0), "timeout"),
        (RuntimeSpec.Hook(path: "/bin/true", timeout: -3), "timeout"),
        (RuntimeSpec.Hook(path: "/bin/true", args: ["a\0b"]), "args"),
        (RuntimeSpec.Hook(path: "/bin/true", env: ["A=\0"]), "env"),
    ])
    func aHookThatCannotRunIsNamedBeforeAnyRuns(_ bad: RuntimeSpec.Hook, _ field: String) throws {
        box.spec.hooks = .init(prestart: [hook("echo x > \(record)")], poststop: [hook("true"), bad])
        let failure = try box.run("true").failure
        #expect(failure?.object == "hooks.poststop[1].\(field)")
        #expect(failure?.code == "invalidArgument")
        #expect(!File.exists(record))
    }

    @Test func aStateThatIsLongerThanAPipeArrivesWhole() throws {
        box.spec.annotations = ["long": String(repeating: "x", count: 300_000)]
        box.spec.hooks = .init(prestart: [hook("wc -c > \(record)")])
        #expect(try box.run("true").status == .exited(0))
        let count = try #require(Int(File.readText(record).filter { $0.isNumber }))
        #expect(count > 300_000)
    }
}
