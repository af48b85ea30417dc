// Runs the container of a bundle with nothing but Sandbox: for tests and measurements.
//
//   sandbox-run BUNDLE [--overlay LOWER,...:UPPER:WORK | --bind DIRECTORY] [--root-option WORD]... [--terminal]
//               [--rules | --no-namespaces [--forbid-namespaces]] [--cgroup PATH] [--exec PROCESS.json]... [--exec-times N] [--after-end] [--wait] [--repeat N | --tally N]
//
// Standard streams are the caller's own. The exit status is the first process's (128 + signal), 125 when it could not be
// made; the error is one line of JSON on standard error. `--exec` processes run after it has started, one after the other,
// each with a line `exec N: status` on standard error; with `--exec-times` the first of them that often, and only
// what is not status 0 has a line; with `--after-end` only when the first process has ended. After them the first process is killed, but for `--wait`. `--repeat` prints microseconds from the first call to the exit. `--tally` goes on after failures and
// prints at the end how many containers were created and how many failed at which stage: `tally created=3 mounts=2`.

import Cgroups
import Kernel
import OCISpec
import Sandbox
import Seccomp

struct Options {
    var bundle = ""
    var overlay: SandboxRootMount?
    var streams = SandboxStreams.descriptors(input: 0, output: 1, error: 2)
    var cgroup: String?
    var rules = false
    /// A container that shares all namespaces.
    var sharesNamespaces = false
    /// Whether the host forbids namespaces, and mounts in the tree.
    var forbids = false
    var executions: [String] = []
    var executionTimes = 1
    var waits = false
    var afterEnd = false
    var repetitions = 1
    var tallies = false

    init(_ arguments: ArraySlice<String>) {
        var rest = arguments
        while let word = rest.popFirst() {
            switch word {
            case "--terminal": streams = .terminal
            case "--rules": rules = true
            case "--no-namespaces": (rules, sharesNamespaces) = (true, true)
            case "--forbid-namespaces": forbids = true
            case "--cgroup": cgroup = rest.popFirst()
            case "--repeat": repetitions = rest.popFirst().flatMap { Int($0) } ?? 1
            case "--tally":
                repetitions = rest.popFirst().flatMap { Int($0) } ?? 1
                tallies = true
            case "--exec-times": executionTimes = rest.popFirst().flatMap { Int($0) } ?? 1
            case "--wait": waits = true
            case "--after-end": afterEnd = true
            case "--exec": executions += rest.popFirst().map { [$0] } ?? []
            case "--bind": overlay = SandboxRootMount(type: "bind", source: rest.popFirst() ?? "", options: ["rbind"])
            case "--root-option": overlay?.options += rest.popFirst().map { [$0] } ?? []
            case "--overlay":
                let parts = (rest.popFirst() ?? "").split(separator: ":").map { $0.replacing(",", with: ":") }
                guard parts.count == 3 else { fail("bad --overlay") }
                overlay = SandboxRootMount(
                    type: "overlay",
                    source: "overlay",
                    options: ["lowerdir=\(parts[0])", "upperdir=\(parts[1])", "workdir=\(parts[2])"]
                )
            default: bundle = word
            }
        }
    }
}

func fail(_ message: String) -> Never {
    say(message)
    Clone.exit(125)
}

func say(_ message: String) {
    // Nobody is left to be told when standard error is closed.
    try? BorrowedDescriptor.standardError.writeAll(message + "\n")
}

func report(_ error: any Error) -> String {
    switch error {
    case let error as SandboxError:
        return report(error.stage.rawValue, error.object, error.errno?.rawValue ?? 0, error.code, "\(error)")
    case let error as DocumentError: return report("document", error.path, 0, .invalidArgument, "\(error)")
    case let error as SeccompError: return report("seccomp", "linux.seccomp", 0, error.code, "\(error)")
    case let error as CgroupError: return report("cgroup", error.field, 0, error.code, "\(error)")
    default: return "\(error)"
    }
}

func report(_ stage: String, _ object: String, _ errno: Int32, _ code: ErrorCode, _ text: String) -> String {
    // The first thing that looks at these texts is a JSON parser.
    let (object, text) = (quoted(object), quoted(String(text.prefix(2000))))
    return #"{"stage":"\#(stage)","object":\#(object),"errno":\#(errno),"code":"\#(code)","text":\#(text)}"#
}

func quoted(_ text: String) -> String {
    let scalars = text.unicodeScalars.map { scalar in
        scalar == "\"" || scalar == "\\" ? "\\\(scalar)" : scalar.value < 0x20 ? "?" : "\(scalar)"
    }
    return "\"" + scalars.joined() + "\""
}

/// Copies between the caller and the terminal until the container closes it.
func pump(_ terminal: SharedDescriptor) throws {
    while true {
        let bytes: [UInt8]
        do throws(KernelError) { bytes = try terminal.read(upTo: 4096) } catch  where error.errno == .inputOutput {
            return
        }
        if bytes.isEmpty { return }
        try BorrowedDescriptor.standardOutput.writeAll(bytes)
    }
}

func status(_ process: SandboxProcess) throws -> Int32 {
    switch try Pidfd.waitForEnd(process.pidfd.raw) {
    case .exited(let code): Int32(code)
    case .signaled(let signal, _): 128 + signal
    }
}

func run(_ options: Options, _ specification: RuntimeSpec) throws -> Int32 {
    var cgroup: (any Cgroup)?
    if let path = options.cgroup {
        cgroup = try CgroupTree().create(path, owner: "sandbox-run/\(Credentials.processID)")
        if var resources = specification.linux?.resources {
            resources.devices = resources.devices.map(Sandbox.deviceRules)
            try cgroup?.apply(resources)
        }
    }
    defer { _ = try? cgroup?.remove(timeout: .seconds(2)) }
    let filter = try Sandbox.seccompProgram(for: specification, bundle: options.bundle)
    let rules =
        options.rules
        ? try SandboxRules.make(scoping: options.sharesNamespaces ? [.signals, .abstractSockets] : []) : nil
    var request = SandboxRequest(
        id: "sandbox-run",
        specification: specification,
        bundle: options.bundle,
        rootMounts: options.overlay.map { [$0] } ?? [],
        streams: options.streams,
        cgroup: try cgroup?.entrance(),
        seccomp: filter
    )
    request.rules = rules
    request.allowsNoNamespaces = options.sharesNamespaces
    let process = try Sandbox.create(request)
    for warning in process.warnings { say("warning: \(warning)") }
    do { try process.start() } catch {
        SandboxProcess.abandon(process)
        for error in process.runPoststopHooks() { say(report(error)) }
        throw error
    }
    if options.afterEnd { _ = try process.pidfd.poll(for: .readable, timeout: nil) }
    for (number, path) in options.executions.enumerated() {
        let document = try RuntimeSpec.Process(parsing: File.read(path, limit: 1 << 20))
        for _ in 0..<(number == 0 ? options.executionTimes : 1) {
            do {
                var request = SandboxExecRequest(
                    process: document,
                    container: process.pidfd.raw,
                    streams: document.terminal == true ? .terminal : .descriptors(input: 0, output: 1, error: 2),
                    cgroup: try cgroup?.entrance(),
                    seccomp: filter,
                    surroundings: SandboxSurroundings(
                        id: "sandbox-run",
                        specification: specification,
                        bundle: options.bundle
                    )
                )
                request.rules = rules
                let extra = try Sandbox.exec(request)
                for warning in extra.warnings { say("warning: \(warning)") }
                if let terminal = extra.terminal { try pump(terminal) }
                let end = try status(extra)
                if options.executionTimes == 1 || end != 0 { say("exec \(number): \(end)") }
            } catch {
                say("exec \(number): \(report(error))")
            }
        }
    }
    if !options.executions.isEmpty, !options.waits { _ = try Pidfd.send(.kill, to: process.pidfd.raw) }
    if let terminal = process.terminal { try pump(terminal) }
    let end = try status(process)
    for error in process.runPoststopHooks() { say(report(error)) }
    return end
}

/// Does to this process, and all that it makes, what a host does that forbids namespaces.
func forbidNamespaces() throws {
    typealias Rule = RuntimeSpec.Seccomp.Rule
    // CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
    let kinds: [UInt64] = [17, 25, 26, 27, 28, 29, 30].map { 1 << $0 }
    let clones = kinds.map { kind in
        Rule(names: ["clone"], action: .errno, args: [.init(index: 0, value: kind, valueTwo: kind, op: .maskedEqual)])
    }
    let names = ["unshare", "setns", "mount", "umount2", "move_mount", "pivot_root", "open_tree", "fsmount"]
    let others = [Rule(names: names, action: .errno), Rule(names: ["clone3"], action: .errno, errnoRet: 38)]
    let section = RuntimeSpec.Seccomp(defaultAction: .allow, syscalls: others + clones)
    try SeccompFilter.load(SeccompCompiler.compile(section).records)
}

let options = Options(CommandLine.arguments.dropFirst())
do {
    if options.forbids { try forbidNamespaces() }
    let json = try File.read(options.bundle + "/config.json", limit: 1 << 24)
    let specification = try RuntimeSpec(parsing: json)
    var last: Int32 = 0
    var tally: [String: Int] = [:]
    for _ in 0..<options.repetitions {
        let begin = Clock.monotonic.now
        do {
            last = try run(options, specification)
            tally["created", default: 0] += 1
        } catch let error as SandboxError where options.tallies {
            tally[error.stage.rawValue.replacing(" ", with: "-"), default: 0] += 1
            continue
        }
        if options.repetitions > 1, !options.tallies { say("\((Clock.monotonic.now - begin) / .microseconds(1))") }
    }
    if options.tallies {
        say("tally " + tally.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: " "))
    }
    Clone.exit(last)
} catch {
    fail(report(error))
}
