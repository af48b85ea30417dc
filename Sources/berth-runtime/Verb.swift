/// A command: its name, its options, and what it needs besides.
struct Verb: Sendable {
    let name: String
    /// For the help.
    let operands: String
    let summary: String
    let options: [Option]
    /// See `Arguments.init`.
    var limit: Int?
    let run: @Sendable (borrowing Runtime, Arguments) throws(RuntimeError) -> Int32
}

extension Verb {
    static let global: [Option] = [
        Option("root", nil, "DIR", "where containers are recorded (default \(ContainerStore.defaultRoot))"),
        Option("log", nil, "FILE", "file to write errors to, besides standard error"),
        Option("log-format", nil, "FORMAT", "text (default) or json"),
        Option("debug", nil, nil, "write more to the log"),
        Option("systemd-cgroup", nil, nil, "cgroupsPath is SLICE:PREFIX:NAME, and systemd makes the group"),
        Option("cgroup-manager", nil, "NAME", "cgroupfs (default) or systemd"),
        Option("rootless", nil, "WORD", "false and auto are accepted: this runtime runs as root"),
        Option("version", "v", nil, "print the version"),
        Option("help", "h", nil, "print this help"),
    ]

    private static let help = Option("help", "h", nil, "print this help")

    private static let creation: [Option] = [
        Option("bundle", "b", "DIR", "directory of the bundle (default: the working directory)"),
        Option("console-socket", nil, "PATH", "socket that gets the terminal's other end"),
        Option("pid-file", nil, "FILE", "file for the process id"),
        Option("preserve-fds", nil, "N", "pass on so many descriptors after standard error and those of LISTEN_FDS"),
        Option("no-pivot", nil, nil, "not supported: the root is always changed by pivot_root"),
        Option("no-new-keyring", nil, nil, "keep the caller's session keyring"),
        Option("no-subreaper", nil, nil, "accepted: this runtime is never a subreaper"),
        help,
    ]

    private static let execution: [Option] = [
        Option("process", "p", "FILE", "JSON description of the process"),
        Option("detach", "d", nil, "do not wait for the process"),
        Option("pid-file", nil, "FILE", "file for the process id"),
        Option("console-socket", nil, "PATH", "socket that gets the terminal's other end"),
        Option("tty", "t", nil, "give the process a terminal"),
        Option("user", "u", "UID[:GID]", "run as this user"),
        Option("additional-gids", "g", "GID", "further group; may be repeated"),
        Option("cwd", nil, "DIR", "working directory"),
        Option("env", "e", "NAME=VALUE", "further environment; may be repeated"),
        Option("cap", "c", "CAP_NAME", "further capability; may be repeated"),
        Option("no-new-privs", nil, nil, "programs cannot gain privileges"),
        Option("preserve-fds", nil, "N", "pass on so many descriptors after standard error"),
        Option("apparmor", nil, "PROFILE", "AppArmor profile"),
        Option("process-label", nil, "LABEL", "SELinux label"),
        Option("cgroup", nil, "PATH", "existing group below the container's"),
        Option("ignore-paused", nil, nil, "also in a paused container, where the process waits for resume"),
        help,
    ]

    private static let limits: [Option] = [
        Option("resources", "r", "FILE", "JSON description of the limits; - is standard input"),
        Option("blkio-weight", nil, "N", "block I/O weight, 10 to 1000"),
        Option("cpu-period", nil, "USEC", "CPU period"),
        Option("cpu-quota", nil, "USEC", "CPU time in a period"),
        Option("cpu-burst", nil, "USEC", "CPU time that may be saved up"),
        Option("cpu-share", nil, "N", "CPU weight"),
        Option("cpu-rt-period", nil, "USEC", "real-time CPU period"),
        Option("cpu-rt-runtime", nil, "USEC", "real-time CPU time in a period"),
        Option("cpu-idle", nil, "N", "1: only when nothing else runs"),
        Option("cpuset-cpus", nil, "LIST", "CPUs"),
        Option("cpuset-mems", nil, "LIST", "memory nodes"),
        Option("kernel-memory", nil, "BYTES", "kernel memory (cgroup v1)"),
        Option("kernel-memory-tcp", nil, "BYTES", "TCP memory (cgroup v1)"),
        Option("memory", nil, "BYTES", "memory; -1 for no limit"),
        Option("memory-reservation", nil, "BYTES", "memory that is left when others need some"),
        Option("memory-swap", nil, "BYTES", "memory plus swap; -1 for no limit"),
        Option("pids-limit", nil, "N", "number of tasks; -1 for no limit"),
        Option("l3-cache-schema", nil, "TEXT", "not supported here"),
        Option("mem-bw-schema", nil, "TEXT", "not supported here"),
        help,
    ]

    static let all: [Verb] = [
        Verb(name: "create", operands: "ID", summary: "create a container", options: creation) {
            (runtime, arguments) throws(RuntimeError) in try runtime.create(arguments)
        },
        Verb(name: "start", operands: "ID", summary: "run the program of a created container", options: [help]) {
            (runtime, arguments) throws(RuntimeError) in try runtime.start(arguments)
        },
        Verb(name: "state", operands: "ID", summary: "print the state of a container", options: [help]) {
            (runtime, arguments) throws(RuntimeError) in try runtime.state(arguments)
        },
        Verb(
            name: "kill",
            operands: "ID [SIGNAL]",
            summary: "send a signal (default TERM) to a container's first process",
            options: [Option("all", "a", nil, "to all its processes"), help]
        ) { (runtime, arguments) throws(RuntimeError) in try runtime.kill(arguments) },
        Verb(
            name: "delete",
            operands: "ID",
            summary: "remove a stopped container",
            options: [Option("force", "f", nil, "kill it before, if it runs"), help]
        ) { (runtime, arguments) throws(RuntimeError) in try runtime.delete(arguments) },
        Verb(
            name: "run",
            operands: "ID",
            summary: "create and start a container, wait for its end and delete it",
            options: creation + [
                Option("detach", "d", nil, "do not wait"), Option("keep", nil, nil, "do not delete it"),
            ]
        ) { (runtime, arguments) throws(RuntimeError) in try runtime.run(arguments) },
        Verb(
            name: "exec",
            operands: "ID [COMMAND [ARGUMENT...]]",
            summary: "run one more process in a container",
            options: execution,
            limit: 1
        ) { (runtime, arguments) throws(RuntimeError) in try runtime.exec(arguments) },
        Verb(
            name: "ps",
            operands: "ID [PS-OPTION...]",
            summary: "list the processes of a container",
            options: [Option("format", "f", "FORMAT", "table (default) or json"), help],
            limit: 1
        ) { (runtime, arguments) throws(RuntimeError) in try runtime.processes(arguments) },
        Verb(
            name: "list",
            operands: "",
            summary: "list the containers",
            options: [
                Option("format", "f", "FORMAT", "table (default) or json"), Option("quiet", "q", nil, "only their ids"),
                help,
            ]
        ) { (runtime, arguments) throws(RuntimeError) in try runtime.list(arguments) },
        Verb(name: "pause", operands: "ID", summary: "stop all processes of a container", options: [help]) {
            (runtime, arguments) throws(RuntimeError) in try runtime.pause(arguments)
        },
        Verb(name: "resume", operands: "ID", summary: "let the processes of a paused container go on", options: [help])
        {
            (runtime, arguments) throws(RuntimeError) in try runtime.resume(arguments)
        },
        Verb(name: "update", operands: "ID", summary: "change limits of a container", options: limits) {
            (runtime, arguments) throws(RuntimeError) in try runtime.update(arguments)
        },
        Verb(
            name: "events",
            operands: "ID",
            summary: "print what a container uses, and when memory runs out",
            options: [
                Option("stats", nil, nil, "print once"), Option("interval", nil, "TIME", "such as 500ms (default 5s)"),
                help,
            ]
        ) { (runtime, arguments) throws(RuntimeError) in try runtime.events(arguments) },
        Verb(
            name: "spec",
            operands: "",
            summary: "write a config.json to start from",
            options: [
                Option("bundle", "b", "DIR", "where (default: the working directory)"),
                Option("rootless", nil, nil, "not supported"), help,
            ]
        ) { (runtime, arguments) throws(RuntimeError) in try runtime.spec(arguments) },
        Verb(name: "features", operands: "", summary: "print what this runtime can do", options: [help]) {
            (runtime, arguments) throws(RuntimeError) in try runtime.features(arguments)
        },
        Verb(name: "checkpoint", operands: "ID", summary: "not supported", options: [], limit: 0) {
            (_, _) throws(RuntimeError) in throw .unsupported("checkpoint")
        },
        Verb(name: "restore", operands: "ID", summary: "not supported", options: [], limit: 0) {
            (_, _) throws(RuntimeError) in throw .unsupported("restore")
        },
    ]

    /// The help of one command.
    var text: String {
        "Usage: berth-runtime [OPTION...] \(name) [OPTION...] \(operands)\n\n\(summary)\n\n" + Self.table(options)
    }

    /// The help of all commands.
    static var overview: String {
        let width = all.map(\.name.count).max() ?? 0
        let commands = all.map { verb in
            "  " + verb.name + String(repeating: " ", count: width + 2 - verb.name.count) + verb.summary + "\n"
        }
        return "Usage: berth-runtime [OPTION...] COMMAND [OPTION...] [OPERAND...]\n\nCommands:\n" + commands.joined()
            + "\nOptions:\n" + table(global)
    }

    private static func table(_ options: [Option]) -> String {
        let lines = options.map { option in
            let letter = option.letter.map { "-\($0), " } ?? "    "
            return (letter + "--" + option.name + (option.value.map { " \($0)" } ?? ""), option.help)
        }
        let width = lines.map(\.0.count).max() ?? 0
        return lines.map { "  " + $0.0 + String(repeating: " ", count: width + 2 - $0.0.count) + $0.1 + "\n" }.joined()
    }
}
