import ArgumentParser
import Client
import DockerTypes
import Kernel

/// `berth stats`.
struct Stats: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Show what containers use.")

    @ParentCommand var berth: Berth

    @Flag(name: .shortAndLong, help: "Those that do not run, too.")
    var all = false

    @Flag(help: "Once only.")
    var noStream = false

    @Flag(help: "Nothing cut.")
    var noTrunc = false

    @Option(help: ArgumentHelp("table, json, or a template.", valueName: "format"))
    var format: String?

    @Argument(help: "Names or ids; without them all that run.")
    var container: [String] = []

    private static let columns = [
        ("ID", "CONTAINER ID"), ("Name", "NAME"), ("CPUPerc", "CPU %"), ("MemUsage", "MEM USAGE / LIMIT"),
        ("MemPerc", "MEM %"),
        ("NetIO", "NET I/O"), ("BlockIO", "BLOCK I/O"), ("PIDs", "PIDS"),
    ]

    func run() throws {
        let client = try berth.client()
        var previous: [String: ContainerStats] = [:]
        var round = 0
        while true {
            let current = try sample(client)
            // A share of CPU time needs two samples, so the first ones are shown after a second only.
            if round > 0 {
                let isRedrawn = Output.isTerminal && !noStream && format == nil
                if isRedrawn { Output.write("\u{1b}[2J\u{1b}[H") }
                let rows = current.map { row($0, before: previous[$0.id]) }
                try Listing(columns: Self.columns, rows: rows).print(format: format)
                if noStream { return }
            }
            previous = Dictionary(current.map { ($0.id, $0) }) { first, _ in first }
            round += 1
            var pause = PollSet()
            _ = try pause.wait(timeout: .seconds(1))
        }
    }

    private func sample(_ client: APIClient) throws -> [ContainerStats] {
        let names =
            container.isEmpty
            ? try client.get([ContainerSummary].self, "/containers/json", [("all", all ? "1" : nil)]).map(\.id)
            : container
        return try names.compactMap { name in
            do {
                let path = "/containers/\(APIClient.escape(name))/stats"
                return try client.get(ContainerStats.self, path, [("stream", "0"), ("one-shot", "1")])
            } catch let error as ClientError where error.status == 404 && container.isEmpty {
                // It was removed since it was listed.
                return nil
            }
        }
    }

    private func row(_ now: ContainerStats, before: ContainerStats?) -> Listing.Row {
        let usage = now.memoryStats.usage ?? 0
        let cache = now.memoryStats.stats?["total_inactive_file"] ?? now.memoryStats.stats?["inactive_file"] ?? 0
        let used = usage > cache ? usage - cache : usage
        let limit = now.memoryStats.limit ?? 0
        let share = limit > 0 ? Double(used) / Double(limit) * 100 : 0
        let received = (now.networks ?? [:]).values.reduce(UInt64(0)) { $0 &+ $1.rxBytes }
        let sent = (now.networks ?? [:]).values.reduce(UInt64(0)) { $0 &+ $1.txBytes }
        let entries = now.blkioStats.ioServiceBytesRecursive ?? []
        func blocks(_ operation: String) -> UInt64 {
            entries.filter { $0.op.lowercased() == operation }.reduce(0) { $0 &+ $1.value }
        }
        func size(_ bytes: UInt64) -> String { Human.size(Int(clamping: bytes)) }
        let fields: [(name: String, value: String)] = [
            ("BlockIO", size(blocks("read")) + " / " + size(blocks("write"))),
            ("CPUPerc", Human.fixed(cpu(now, before), 2) + "%"),
            ("Container", now.id),
            ("ID", noTrunc ? now.id : Human.short(now.id)),
            ("MemPerc", Human.fixed(share, 2) + "%"),
            ("MemUsage", "\(Human.memory(used)) / \(Human.memory(limit))"),
            ("Name", now.name.hasPrefix("/") ? String(now.name.dropFirst()) : now.name),
            ("NetIO", "\(size(received)) / \(size(sent))"),
            ("PIDs", String(now.pidsStats.current ?? 0)),
        ]
        return Listing.Row(fields: fields)
    }

    /// Per cent of one CPU between two samples; none when the container did not run at one of them, which the year 1 says.
    private func cpu(_ now: ContainerStats, _ before: ContainerStats?) -> Double {
        guard let before, now.cpuStats.cpuUsage.totalUsage >= before.cpuStats.cpuUsage.totalUsage,
            let end = Timestamp(now.read.text), let start = Timestamp(before.read.text),
            start.nanosecondsSinceEpoch > 0, end > start
        else { return 0 }
        let elapsed = Double(end.nanosecondsSinceEpoch - start.nanosecondsSinceEpoch)
        return Double(now.cpuStats.cpuUsage.totalUsage - before.cpuStats.cpuUsage.totalUsage) / elapsed * 100
    }
}
