import FoundationEssentials
import Kernel
import ShimModel
import ShimProtocol
import SwiftProtobuf

/// containerd's `start`: makes the socket, starts the daemon and prints where it listens.
struct StartCommand {
    /// Longest path that containerd dials.
    private static let longestAddress = 106
    /// The file that tells a restarted containerd, and `delete`, where the shim listens.
    static let addressFile = "address"

    private let arguments: ShimArguments

    init(_ arguments: ShimArguments) {
        self.arguments = arguments
    }

    func run() throws(ShimFault) {
        do throws(KernelError) {
            let bundle = try WorkingDirectory.current()
            let bootstrap = bootstrap(try BorrowedDescriptor.standardInput.readToEnd(limit: 4 << 20))
            if let address = Self.liveAddress(in: bundle) {
                return try answer(address, bootstrap)
            }
            let path = try socketPath(bootstrap)
            let listener = SharedDescriptor(try UnixSocket.listen(path))
            let address = "unix://\(path)"
            do throws(KernelError) {
                try startDaemon(bundle: bundle, path: path, listener: listener, bootstrap: bootstrap)
                try File.writeAtomically("\(bundle)/\(Self.addressFile)", Array(address.utf8), durable: false)
            } catch {
                // Nobody knows of the socket yet.
                _ = try? File.remove(path)
                throw error
            }
            try answer(address, bootstrap)
        } catch {
            throw ShimFault("start shim", error)
        }
    }

    /// What containerd 2.3 and later write to standard input; older ones write options, which this shim does not need.
    private func bootstrap(_ input: [UInt8]) -> ContainerdBootstrapParams? {
        guard let parameters = try? ContainerdBootstrapParams(serializedBytes: input),
            parameters.instanceID == arguments.id, parameters.namespace == arguments.namespace
        else {
            return nil
        }
        return parameters
    }

    /// The address of a shim that runs for this bundle already.
    static func liveAddress(in bundle: String) -> String? {
        guard let text = try? File.readText("\(bundle)/\(addressFile)", limit: 4096), text.hasPrefix("unix://"),
            (try? UnixSocket.connect(String(text.dropFirst(7)))) != nil
        else {
            return nil
        }
        return text
    }

    /// A name that nobody else has: beside containerd's own socket, where that is short enough.
    private func socketPath(_ bootstrap: ContainerdBootstrapParams?) throws(KernelError) -> String {
        let name = Random.hex(16)
        var directories: [String] = []
        if let directory = bootstrap?.socketDir, directory.hasPrefix("/") {
            directories.append(directory)
        }
        if arguments.address.hasPrefix("/"), let slash = arguments.address.lastIndex(of: "/") {
            directories.append(arguments.address[..<slash] + "/s")
        }
        directories.append("/run/berth/s")
        let directory =
            directories.first { $0.utf8.count + 1 + name.utf8.count <= Self.longestAddress } ?? "/run/berth/s"
        try File.makeDirectories(directory, mode: 0o700)
        return "\(directory)/\(name)"
    }

    private func startDaemon(
        bundle: String,
        path: String,
        listener: SharedDescriptor,
        bootstrap: ContainerdBootstrapParams?
    ) throws(KernelError) {
        var flags = [
            "-sealed", "-namespace", arguments.namespace, "-id", arguments.id, "-bundle", bundle, "-socket", path,
        ]
        if arguments.isDebug {
            flags.append("-debug")
        }
        let events = Environment.value("TTRPC_ADDRESS") ?? bootstrap?.containerdTtrpcAddress ?? ""
        var spawn = Spawn(
            arguments: [CommandLine.arguments.first ?? "shim"] + flags + ["daemon"],
            environment: events.isEmpty ? [] : ["TTRPC_ADDRESS=\(events)"]
        )
        // containerd reads the shim's log from a named pipe; without a reader there is no log, and a full pipe must not
        // block the shim.
        let log = try? SharedDescriptor(File.open("\(bundle)/log", [.write, .nonBlocking]))
        spawn.descriptors = [3: listener.raw]
        if let log {
            spawn.descriptors[2] = log.raw
        }
        spawn.oomScoreAdjustment = try? Self.raisedScore()
        let program = try SealedExecutable()
        // Only numbers are in the description of the child, so their owners have to be kept until it runs.
        try withExtendedLifetime((log, listener)) { () throws(KernelError) in
            _ = try spawn.start(program.descriptor.raw)
        }
    }

    /// One more than our own, so that the shim goes before containerd when memory runs out.
    private static func raisedScore() throws(KernelError) -> Int {
        let text = try File.readText("/proc/self/oom_score_adj", limit: 64)
        let score = Int(text.prefix { $0 == "-" || $0.isNumber }) ?? 0
        return min(1000, score + 1)
    }

    /// Prints the address in the form that this containerd reads: plain text before 1.7, JSON since.
    private func answer(_ address: String, _ bootstrap: ContainerdBootstrapParams?) throws(KernelError) {
        guard Environment.value("MAX_SHIM_VERSION") != nil || bootstrap != nil else {
            return try BorrowedDescriptor.standardOutput.writeAll(address)
        }
        var answer = JSONText()
        answer.add("version", 2)
        answer.add("address", address)
        answer.add("protocol", "ttrpc")
        try BorrowedDescriptor.standardOutput.writeAll(answer.object)
    }
}
