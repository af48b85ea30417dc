import ArgumentParser

/// The command line of berthd.
struct DaemonCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "berthd",
        abstract: "Manages the containers of this machine.",
        discussion: """
            What stands on the command line wins over the configuration file. Stopping or killing berthd never stops a container.
            """,
        version: Daemon.version
    )

    @Option(help: "Directory of the durable state. (default: /var/lib/berth)")
    var root: String?

    @Option(help: "Directory of this boot's state, on a tmpfs. (default: /run/berth)")
    var state: String?

    @Option(help: "Path of the API socket. (default: <state>/berth.sock)")
    var socket: String?

    @Option(help: "Number of a group that may use the socket beside root.")
    var socketGroup: UInt32?

    @Option(help: "Configuration file. (default: /etc/berth/berthd.toml, when it exists)")
    var config: String?

    @Option(help: "Least severe messages to log: trace, debug, info, notice, warning, error, critical. (default: info)")
    var logLevel: String?

    @Option(help: ArgumentHelp("A backend and its executable; may be repeated.", valueName: "NAME=PATH"))
    var backend: [String] = []

    @Option(help: "Backend of containers that name none. (default: native)")
    var defaultBackend: String?

    @Option(name: .customLong("init"), help: "Path of berth-init. (default: beside berthd, or ../libexec/berth)")
    var initPath: String?

    @Flag(help: "Check configuration, directories, backends, kernel and state, say so, and end. Nothing is changed.")
    var check = false

    @Flag(help: "With --check: say it in JSON.")
    var json = false
}
