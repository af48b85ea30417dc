import DocumentTexts
import FoundationEssentials
import HostBundle
import Kernel
import ShimKit
import ShimProtocol

/// What another process needs to know of a container: written into the bundle before anything of it is made.
struct ForeignRecord: Codable {
    static let version = 1
    /// Its file in the bundle.
    static let fileName = "foreign.json"

    var version = ForeignRecord.version
    var program: ForeignShim.Program
    var address: ShimAddress?
    var cgroup: String?
    /// Whether the group that the document names was there before the container.
    var groupWasThere: Bool?

    /// Writes the record.
    ///
    /// - Returns: its bytes.
    func write(_ bundle: String) throws(BackendError) -> [UInt8] {
        do throws(KernelError) {
            guard let object = try? JSONEncoder().encode(self) else { throw .failed("encode", "record", .invalid) }
            let bytes = CheckedObject.sealed(Array(object))
            try File.writeAtomically("\(bundle)/\(Self.fileName)", bytes, durable: false)
            return bytes
        } catch {
            throw .failed(stage: "bundle", error)
        }
    }

    /// Reads the record of a bundle; nil when there is none that can be read.
    static func read(_ bundle: String) -> ForeignRecord? {
        (try? File.read("\(bundle)/\(fileName)", limit: 64 << 10)).flatMap { ForeignRecord(bytes: $0) }
    }

    /// The record of these bytes; nil when they are not as they were written.
    init?(bytes: [UInt8]) {
        guard CheckedObject.isSound(bytes),
            let record = try? JSONDecoder().decode(ForeignRecord.self, from: Data(bytes)),
            record.version == Self.version
        else { return nil }
        self = record
    }

    init(program: ForeignShim.Program) { self.program = program }

    /// Ends the shim, has its own `delete` clean up, and removes what is left all the same; nothing there is fine.
    ///
    /// - Returns: What went wrong.
    func cleanUp(_ bundle: String) -> [String] {
        var failures: [String] = []
        // A shim that dies first lets its container go on a moment longer.
        ContainerGroup.kill(cgroup)
        failures += killShim()
        do throws(BackendError) {
            _ = try program.run("delete", ["-bundle", program.bundle], input: [], within: .seconds(5))
        } catch {
            failures.append("\(error)")
        }
        failures += HostLeftovers.remove(of: program.bundle, cgroup: cgroup, wasThere: groupWasThere)
        // It is where the shim has said; nothing but a socket is removed on its word. One that stays does no harm.
        if let path = address?.path, path.hasPrefix("/"), (try? File.status(path))?.kind == .socket {
            _ = try? File.remove(path)
        }
        return failures
    }

    /// Kills what the shim's program has left running.
    ///
    /// - Returns: Who did not go.
    private func killShim() -> [String] {
        let living = processes()
        for process in living { _ = try? Pidfd.send(.kill, to: process.pidfd.raw) }
        let deadline = Clock.monotonic.now + .seconds(2)
        return living.compactMap { process in
            let left = max(.zero, deadline - Clock.monotonic.now)
            guard (try? process.pidfd.poll(for: .readable, timeout: left))?.isEmpty == true else { return nil }
            // What has gone meanwhile has no state.
            let state = (try? ProcessFacts(process.pid)).map { " (state \($0.state))" } ?? ""
            return "process \(process.pid)\(state) of the foreign shim does not end"
        }
    }

    /// The foreign shim's processes, known by their command lines.
    func processes() -> [(pid: Int32, pidfd: SharedDescriptor)] {
        let entries = (try? File.open("/proc", .directory).readDirectory()) ?? []
        return entries.compactMap { entry in
            // Opened before it is looked at: a number that was used again names no process of this shim.
            guard let pid = Int32(entry.name), let pidfd = try? Pidfd(pid: pid).intoDescriptor(), isShim(pid) else {
                return nil
            }
            return (pid, SharedDescriptor(pidfd))
        }
    }

    private func isShim(_ pid: Int32) -> Bool {
        let words = (try? ProcessFacts.commandLine(of: pid)) ?? []
        guard words.contains(program.id) else { return false }
        // A script in its place may have run it under another name; the address is of this container alone.
        return words.first == program.path && words.contains(program.namespace) || words.contains(program.socket)
    }
}
