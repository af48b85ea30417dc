import ArgumentParser
import Client
import DockerTypes

/// `berth stop`.
struct Stop: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop containers: ask, wait, kill.")

    @ParentCommand var berth: Berth

    @Option(
        name: [.short, .customLong("time"), .customLong("timeout")],
        parsing: .unconditional,
        help: ArgumentHelp("Seconds to wait before the kill; -1 is for ever.", valueName: "seconds"),
        transform: { try number($0, "time") }
    )
    var time: Int?

    @Option(name: .shortAndLong, help: ArgumentHelp("Signal that asks.", valueName: "signal"))
    var signal: String?

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        try forEach(container) { name in
            let query: APIClient.Query = [("t", time.map(String.init)), ("signal", signal)]
            try client.call("POST", "/containers/\(APIClient.escape(name))/stop", query, isRepeatable: true)
            Output.line(name)
        }
    }
}

/// `berth restart`.
struct Restart: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Stop containers and start them again.")

    @ParentCommand var berth: Berth

    @Option(
        name: [.short, .customLong("time"), .customLong("timeout")],
        parsing: .unconditional,
        help: ArgumentHelp("Seconds to wait before the kill; -1 is for ever.", valueName: "seconds"),
        transform: { try number($0, "time") }
    )
    var time: Int?

    @Option(name: .shortAndLong, help: ArgumentHelp("Signal that asks.", valueName: "signal"))
    var signal: String?

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        try forEach(container) { name in
            let query: APIClient.Query = [("t", time.map(String.init)), ("signal", signal)]
            try client.call("POST", "/containers/\(APIClient.escape(name))/restart", query)
            Output.line(name)
        }
    }
}

/// `berth kill`.
struct Kill: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Send a signal to containers.")

    @ParentCommand var berth: Berth

    @Option(name: .shortAndLong, help: ArgumentHelp("The signal; KILL without it.", valueName: "signal"))
    var signal: String?

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        try forEach(container) { name in
            try client.call("POST", "/containers/\(APIClient.escape(name))/kill", [("signal", signal)])
            Output.line(name)
        }
    }
}

/// `berth pause`.
struct Pause: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Freeze the processes of containers.")

    @ParentCommand var berth: Berth

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        try forEach(container) { name in
            try client.call("POST", "/containers/\(APIClient.escape(name))/pause")
            Output.line(name)
        }
    }
}

/// `berth unpause`.
struct Unpause: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Let frozen containers go on.")

    @ParentCommand var berth: Berth

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        try forEach(container) { name in
            try client.call("POST", "/containers/\(APIClient.escape(name))/unpause")
            Output.line(name)
        }
    }
}

/// `berth rm`.
struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "rm", abstract: "Remove containers.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Kill a container that runs.")
    var force = false

    @Flag(name: .shortAndLong, help: "Remove its anonymous volumes too.")
    var volumes = false

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        try forEach(container) { name in
            do {
                let query: APIClient.Query = [("force", force ? "1" : nil), ("v", volumes ? "1" : nil)]
                try client.call("DELETE", "/containers/\(APIClient.escape(name))", query)
                Output.line(name)
            } catch let error as ClientError where force && error.status == 404 {
                // What is gone already is as it should be; it is said, and it is no failure.
                Output.note("error: \(error)")
            }
        }
    }
}

/// `berth rename`.
struct Rename: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Give a container another name.")

    @ParentCommand var berth: Berth

    @Argument(help: "Name or id.")
    var container: String

    @Argument(help: "The new name.")
    var name: String

    func run() throws {
        try berth.client().call("POST", "/containers/\(APIClient.escape(container))/rename", [("name", name)])
    }
}

/// `berth wait`.
struct Wait: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Wait until containers end, and print their exit codes.")

    @ParentCommand var berth: Berth

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        try forEach(container) { name in
            // By its id: another container may get the name while the manager is away.
            let id = try client.get(ContainerInspect.self, "/containers/\(APIClient.escape(name))/json").id
            switch try ExitWaiter(client, id: id, isRemoved: false).wait() {
            case .status(let code): Output.line(String(code))
            case .unknown(let why): throw Failure(why)
            }
        }
    }
}

/// `berth update`.
struct Update: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Change limits and the restart policy of containers.")

    @ParentCommand var berth: Berth
    @OptionGroup var limits: LimitOptions

    @Option(help: ArgumentHelp("When to start again: no, on-failure[:n], always, unless-stopped.", valueName: "policy"))
    var restart: String?

    @Argument(help: "Names or ids.")
    var container: [String]

    func run() throws {
        let client = try berth.client()
        var request = ContainerUpdateRequest()
        request.memory = try limits.memory.map { try Value.bytes($0, "memory") }
        request.memorySwap = try limits.memorySwap.map { try Value.bytes($0, "memory-swap") }
        request.memoryReservation = try limits.memoryReservation.map { try Value.bytes($0, "memory-reservation") }
        request.nanoCpus = try limits.cpus.map(Value.nanoCPUs)
        request.cpuShares = limits.cpuShares
        request.cpuPeriod = limits.cpuPeriod
        request.cpuQuota = limits.cpuQuota
        request.cpusetCpus = limits.cpusetCpus
        request.cpusetMems = limits.cpusetMems
        request.pidsLimit = limits.pidsLimit
        request.blkioWeight = limits.blkioWeight
        request.restartPolicy = try restart.map(ContainerOptions.policy)
        try forEach(container) { name in
            let path = "/containers/\(APIClient.escape(name))/update"
            let response = try client.post(ContainerUpdateResponse.self, path, body: request)
            for warning in response.warnings { Output.note("warning: \(warning)") }
            Output.line(name)
        }
    }
}
