import Foundation
import SystemFixture
import Testing

/// A directory with a bundle of a busybox root and a place for containers of `berth-runtime`.
final class RuntimeFixture {
    static let program = Binaries.path("berth-runtime")

    let scratch: URL
    let bundle: URL
    /// `--root` of every call.
    let containers: String
    /// An id that nobody else has.
    let id = "rt-\(UUID().uuidString.prefix(13).lowercased())"

    /// Makes a bundle whose shell runs `script`, with some members of its process replaced.
    init(_ script: String = "exit 0", process: [String: Any] = [:]) throws {
        // Short: podman takes no longer paths.
        scratch = URL(fileURLWithPath: "/tmp/berth-\(UUID().uuidString.prefix(8))")
        bundle = scratch.appendingPathComponent("bundle")
        containers = scratch.appendingPathComponent("containers").path
        let bin = bundle.appendingPathComponent("rootfs/bin")
        let files = FileManager.default
        try files.createDirectory(at: bin, withIntermediateDirectories: true)
        // By another process: what this one has open for writing, a child of another test may have too, and then it cannot be run.
        _ = try Command("cp", ["/bin/busybox", bin.path], in: scratch).finish()
        for name in [
            "sh", "cat", "ls", "id", "sleep", "true", "stty", "touch", "ps", "mkdir", "tr", "stat", "grep", "head",
            "tail",
        ] {
            try files.createSymbolicLink(atPath: bin.appendingPathComponent(name).path, withDestinationPath: "busybox")
        }
        try call("spec", "--bundle", bundle.path)
        try configure { document in
            var section = try #require(document["process"] as? [String: Any])
            section["terminal"] = false
            section["args"] = ["sh", "-c", script]
            section.merge(process) { $1 }
            document["process"] = section
            document["root"] = ["path": "rootfs"]
        }
    }

    deinit {
        _ = try? call("delete", "--force", id)
        // What a client has started and did not end, for it was ended itself.
        HostState.killAll(of: scratch)
        try? FileManager.default.removeItem(at: scratch)
    }

    /// Changes the bundle's document.
    func configure(_ change: (inout [String: Any]) throws -> Void) throws {
        let file = bundle.appendingPathComponent("config.json")
        var document = try #require(JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any])
        try change(&document)
        try JSONSerialization.data(withJSONObject: document).write(to: file)
    }

    /// Runs a command of the runtime to its end.
    @discardableResult
    func call(_ words: String...) throws -> Outcome { try shell([Self.program, "--root", containers] + words) }

    /// Runs a program to its end.
    @discardableResult
    func shell(_ words: [String]) throws -> Outcome {
        try Command(words[0], Array(words.dropFirst()), in: scratch).finish(within: 120)
    }

    /// Runs a script in namespaces without a network and without an effect on the host's mounts.
    func isolated(_ script: String) throws -> Outcome {
        try shell(["unshare", "-n", "-m", "--propagation", "private", "bash", "-c", "set -u\n" + script])
    }

    func create() throws -> Outcome { try call("create", "--bundle", bundle.path, id) }

    func run(_ options: String...) throws -> Outcome {
        try shell([Self.program, "--root", containers, "run", "--bundle", bundle.path] + options + [id])
    }

    /// What `state` prints.
    func state() throws -> [String: Any] {
        let outcome = try call("state", id)
        return try #require(JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: Any])
    }

    func status() throws -> String? { try state()["status"] as? String }

    /// Whether a group of the container is left anywhere.
    var hasGroup: Bool {
        let root = URL(fileURLWithPath: "/sys/fs/cgroup")
        let hierarchies = (try? FileManager.default.contentsOfDirectory(atPath: root.path)) ?? []
        return ([""] + hierarchies).contains { hierarchy in
            FileManager.default.fileExists(atPath: "\(root.path)/\(hierarchy)/berth-runtime-\(id)")
        }
    }

    /// Whether anything of the container is recorded.
    var isRecorded: Bool { FileManager.default.fileExists(atPath: "\(containers)/\(id)") }
}
