import Foundation
import Kernel
import SystemFixture
import Testing

/// Images for daemons under test: the default one with the attacker's program, and others with hostile files over it.
enum Images {
    /// Loads an image of this name whose configuration has further members, a JSON object; `fill` puts files into a directory
    /// that comes over the default image's.
    static func load(
        _ name: String,
        into daemon: Daemon,
        config: String = "{}",
        _ fill: (borrowing RootedDir) throws -> Void = { _ in }
    ) throws {
        let folder = daemon.scratch.appendingPathComponent("image-\(UUID().uuidString.prefix(6))").path
        try File.makeDirectories(folder + "/tree", mode: 0o755)
        try fill(RootedDir(folder + "/tree"))
        let script = Binaries.repository.appendingPathComponent("tools/make-image").path
        let words = [
            "--name", "\(name):latest", "--add", "\(try Hostile.program()):/bin/hostile", "--tree", folder + "/tree",
            "--config", config, folder + "/image.tar",
        ]
        let outcome = try Command(script, words, in: daemon.scratch).finish()
        guard outcome.status == 0 else { throw Command.Overdue(description: "make-image: \(outcome)") }
        try daemon.ok("load", "-i", folder + "/image.tar")
    }
}

extension Daemon {
    /// The canary of this daemon's host.
    var canary: String { scratch.appendingPathComponent("canary").path }

    /// Makes the canary, and looks at the host before and after `body`.
    func guarded(_ body: () throws -> Void) throws {
        if !File.exists(canary) { try Host.makeCanary(canary) }
        let before = try Host(canary: canary)
        try body()
        let differences = try Host(canary: canary).differences(from: before)
        guard differences.isEmpty else {
            throw Command.Overdue(description: "the host has changed: \(differences.joined(separator: "; "))")
        }
    }

    /// Runs a shell script in a new container and gives its output.
    func script(_ options: [String], _ text: String) throws -> Outcome {
        try client(["run", "--rm"] + options + ["attack", "sh", "-c", text]).finish()
    }

    func script(_ text: String) throws -> Outcome { try script([], text) }

    /// The number of the container's first process on the host.
    func processID(_ container: String) throws -> Int32 {
        Int32(try field(".State.Pid", container)) ?? -1
    }

    /// The number of the container's shim.
    func shim(_ container: String) throws -> Int32 {
        struct Record: Decodable { var pid: Int32 }
        let id = try field(".Id", container)
        return try JSONDecoder().decode(
            Record.self,
            from: Data(File.read("\(state.path)/containers/\(id)/shim.pid", limit: 4096))
        ).pid
    }

    /// The status code of a request with a JSON body.
    func post(_ path: String, _ json: String) throws -> String {
        let file = scratch.appendingPathComponent("body-\(UUID().uuidString)").path
        try Data(json.utf8).write(to: URL(fileURLWithPath: file))
        let words = [
            "-s", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", socket, "-H",
            "Content-Type: application/json",
            "--data-binary", "@\(file)", "http://berth/v1.51/\(path)",
        ]
        return try Command("curl", words, in: scratch).finish().text
    }
}
