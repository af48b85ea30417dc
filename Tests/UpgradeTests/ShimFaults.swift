import Foundation
import SystemFixture
import Testing

/// Whether a process runs; one that has ended and that nobody has reaped does not.
func isAlive(_ pid: Int32) -> Bool {
    guard let stat = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8) else { return false }
    return !stat.contains(") Z ") && !stat.contains(") X ")
}

/// What tests do to shims: only to those of their own manager.
extension Daemon {
    /// The folder of a container's bundle.
    func bundle(_ name: String) throws -> URL {
        state.appendingPathComponent("containers").appendingPathComponent(try field(".Id", name))
    }

    /// The number of a container's shim, as it was recorded.
    func shim(_ name: String) throws -> Int32 {
        try recordedShim(in: try bundle(name))
    }

    /// The same of a bundle.
    func recordedShim(in bundle: URL) throws -> Int32 {
        struct Record: Decodable { var pid: Int32 }
        let data = try Data(contentsOf: bundle.appendingPathComponent("shim.pid"))
        return try JSONDecoder().decode(Record.self, from: data).pid
    }

    /// Sends a signal to a container's shim.
    @discardableResult
    func signal(_ signal: Int32, shimOf name: String) throws -> Int32 {
        let pid = try shim(name)
        #expect(kill(pid, signal) == 0)
        return pid
    }

    /// Actions of a container that were told, in order.
    func told(_ container: String) throws -> [String] {
        let until = String(Int(Date().timeIntervalSince1970) + 1)
        let filter = ["-f", "container=\(container)", "--format", "{{.Action}}"]
        return try client(["events", "--since", "0", "--until", until] + filter).finish().lines
    }

    /// How long `body` takes, in seconds.
    func seconds(_ body: () throws -> Void) rethrows -> Double {
        let start = Date()
        try body()
        return Date().timeIntervalSince(start)
    }
}
