internal import Kernel
internal import Netlink
internal import OCISpec

/// A host interface that moves into the container (OCI runtime-spec "netDevices").
struct MovedDevice {
    var name: String
    var newName: String

    /// Checks the names.
    static func plan(
        _ devices: [String: RuntimeSpec.NetDevice],
        hasOwnNetwork: Bool
    ) throws(SandboxError) -> [MovedDevice] {
        guard !devices.isEmpty else { return [] }
        guard hasOwnNetwork else {
            throw .invalid("linux.netDevices", "the container shares the network namespace with the host")
        }
        var result: [MovedDevice] = []
        for (name, device) in devices.sorted(by: { $0.key < $1.key }) {
            let field = "linux.netDevices.\(name)"
            let newName = device.name.flatMap { $0.isEmpty ? nil : $0 } ?? name
            guard isName(name), !name.contains("%") else { throw .invalid(field, "no name of an interface") }
            guard isName(newName.replacing("%d", with: "0")) else {
                throw .invalid("\(field).name", "'\(newName)' is no name of an interface")
            }
            guard newName.contains("%d") || !result.contains(where: { $0.newName == newName }) else {
                throw .invalid("\(field).name", "'\(newName)' is the name of two interfaces")
            }
            result.append(MovedDevice(name: name, newName: newName))
        }
        return result
    }

    /// What the kernel takes: up to 15 bytes, no slash, colon or blank, not a directory's own names.
    private static func isName(_ name: String) -> Bool {
        (1...15).contains(name.utf8.count) && name != "." && name != ".." && !name.contains("%")
            && name.utf8.allSatisfy { $0 > 0x20 && $0 != 0x2f && $0 != 0x3a && $0 != 0x7f }
    }
}

/// The moves of one creation, so that a failed one leaves the host as it was.
struct DeviceMoves {
    private var done: [(name: String, newName: String)] = []
    private var outside: SharedDescriptor?
    private var inside: SharedDescriptor?

    /// Moves the devices into the network namespace of a process.
    mutating func move(_ devices: [MovedDevice], into pid: Int32) throws(SandboxError) {
        guard !devices.isEmpty else { return }
        do throws(KernelError) {
            let here = SharedDescriptor(try Namespace.open(.network))
            let there = SharedDescriptor(try Namespace.open(.network, of: pid))
            (outside, inside) = (here, there)
            for device in devices {
                do throws(KernelError) {
                    let name = try NetworkDevices.move(device.name, from: here.raw, to: there.raw, as: device.newName)
                    done.append((device.name, name))
                } catch {
                    let reason = "move to '\(device.newName)': \(error)"
                    throw KernelError.failed("apply", "linux.netDevices.\(device.name)", error.errno, detail: reason)
                }
            }
        } catch {
            throw .failed(.network, error)
        }
    }

    /// Moves everything back.
    ///
    /// - Returns: What went wrong.
    mutating func undo() -> [SandboxError] {
        guard let source = inside?.raw, let target = outside?.raw else { return [] }
        var errors: [SandboxError] = []
        for device in done.reversed() {
            do throws(KernelError) {
                _ = try NetworkDevices.move(device.newName, from: source, to: target, as: device.name)
            } catch { errors.append(.failed(.network, error)) }
        }
        done = []
        return errors
    }
}
