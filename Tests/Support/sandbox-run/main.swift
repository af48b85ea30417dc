// Runs the container of a bundle with nothing but Sandbox: for tests and measurements.
//
//   sandbox-run BUNDLE [--overlay LOWER,...:UPPER:WORK] [--terminal] [--cgroup PATH] [--exec PROCESS.json]... [--repeat N]
//
// Standard streams are the caller's own. The exit status is the first process's (128 + signal), 125 when it could not be
// made; the error is one line of JSON on standard error. `--exec` processes run after it has started, one after the other,
// each with a line `exec N: status` on standard error. `--repeat` prints microseconds from the first call to the exit.

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
    var executions: [String] = []
    var repetitions = 1

    init(_ arguments: ArraySlice<String>) {
        var rest = arguments
        while let word = rest.popFirst() {
            switch word {
            case "--terminal": streams = .terminal
            case "--cgroup": cgroup = rest.popFirst()
            case "--repeat": repetitions = rest.popFirst().flatMap { Int($0) } ?? 1
            case "--exec": executions += rest.popFirst().map { [$0] } ?? []
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
    guard let error = error as? SandboxError else { return "\(error)" }
    return """
        {"stage":"\(error.stage.rawValue)","errno":\(error.errno?.rawValue ?? 0),"code":"\(error.code)","text":"\(error)"}
        """
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
        cgroup = try CgroupTree().create(path)
        if var resources = specification.linux?.resources {
            resources.devices = resources.devices.map(Sandbox.deviceRules)
            try cgroup?.apply(resources)
        }
    }
    defer { _ = try? cgroup?.remove(timeout: .seconds(2)) }
    let filter = try Sandbox.seccompProgram(for: specification, bundle: options.bundle)
    let process = try Sandbox.create(
        SandboxRequest(
            id: "sandbox-run",
            specification: specification,
            bundle: options.bundle,
            rootMounts: options.overlay.map { [$0] } ?? [],
            streams: options.streams,
            cgroup: try cgroup?.entrance(),
            seccomp: filter
        )
    )
    do { try process.start() } catch {
        SandboxProcess.abandon(process)
        throw error
    }
    for (number, path) in options.executions.enumerated() {
        let document = try RuntimeSpec.Process(parsing: File.read(path, limit: 1 << 20))
        do {
            let extra = try Sandbox.exec(
                SandboxExecRequest(
                    process: document,
                    container: process.pidfd.raw,
                    streams: document.terminal == true ? .terminal : .descriptors(input: 0, output: 1, error: 2),
                    cgroup: try cgroup?.entrance(),
                    seccomp: filter
                )
            )
            if let terminal = extra.terminal { try pump(terminal) }
            say("exec \(number): \(try status(extra))")
        } catch {
            say("exec \(number): \(report(error))")
        }
    }
    if !options.executions.isEmpty { _ = try Pidfd.send(.kill, to: process.pidfd.raw) }
    if let terminal = process.terminal { try pump(terminal) }
    let end = try status(process)
    for error in process.runPoststopHooks() { say(report(error)) }
    return end
}

let options = Options(CommandLine.arguments.dropFirst())
do {
    let json = try File.read(options.bundle + "/config.json", limit: 1 << 24)
    let specification = try RuntimeSpec(parsing: json)
    var last: Int32 = 0
    for _ in 0..<options.repetitions {
        let begin = Clock.monotonic.now
        last = try run(options, specification)
        if options.repetitions > 1 { say("\((Clock.monotonic.now - begin) / .microseconds(1))") }
    }
    Clone.exit(last)
} catch {
    fail(report(error))
}
