import Kernel
import NativeContainer
import OCISpec

extension Runtime {
    func update(_ arguments: Arguments) throws(RuntimeError) -> Int32 {
        let directory = try store.open(id(arguments))
        let resources = try Self.resources(arguments)
        try directory.lock()
        let container = try attach(directory, "update", in: [.created, .running, .paused])
        try native { () throws(NativeError) in try container.update(resources) }
        return 0
    }

    private static func resources(_ arguments: Arguments) throws(RuntimeError) -> RuntimeSpec.Resources {
        for name in ["l3-cache-schema", "mem-bw-schema"] where arguments.has(name) {
            throw .unsupported("update --\(name)")
        }
        guard let file = arguments.last("resources") else { return try limits(arguments) }
        let bytes = try kernel { () throws(KernelError) in
            file == "-"
                ? try BorrowedDescriptor.standardInput.readToEnd(limit: 1 << 20)
                : try File.read(file, limit: 1 << 20)
        }
        return try document(file) { () throws(DocumentError) in try RuntimeSpec.Resources(parsing: bytes) }
    }

    private static func limits(_ arguments: Arguments) throws(RuntimeError) -> RuntimeSpec.Resources {
        var resources = RuntimeSpec.Resources()
        let cpu = RuntimeSpec.CPU(
            shares: try arguments.number("cpu-share"),
            quota: try arguments.number("cpu-quota"),
            burst: try arguments.number("cpu-burst"),
            period: try arguments.number("cpu-period"),
            realtimeRuntime: try arguments.number("cpu-rt-runtime"),
            realtimePeriod: try arguments.number("cpu-rt-period"),
            cpus: arguments.last("cpuset-cpus"),
            mems: arguments.last("cpuset-mems"),
            idle: try arguments.number("cpu-idle")
        )
        if cpu != RuntimeSpec.CPU() { resources.cpu = cpu }
        let memory = RuntimeSpec.Memory(
            limit: try bytes(arguments, "memory"),
            reservation: try bytes(arguments, "memory-reservation"),
            swap: try bytes(arguments, "memory-swap"),
            kernel: try bytes(arguments, "kernel-memory"),
            kernelTCP: try bytes(arguments, "kernel-memory-tcp")
        )
        if memory != RuntimeSpec.Memory() { resources.memory = memory }
        if let limit = try arguments.number("pids-limit", Int64.self) {
            resources.pids = RuntimeSpec.Pids(limit: limit)
        }
        if let weight = try arguments.number("blkio-weight", UInt16.self) {
            resources.blockIO = RuntimeSpec.BlockIO(weight: weight)
        }
        guard resources != RuntimeSpec.Resources() else { throw .usage("no limit is given") }
        return resources
    }

    /// A number of bytes, also with a suffix k, m, g or t.
    private static func bytes(_ arguments: Arguments, _ name: String) throws(RuntimeError) -> Int64? {
        guard let text = arguments.last(name) else { return nil }
        let shifts: [Character: Int64] = ["k": 10, "m": 20, "g": 30, "t": 40]
        let word = text.lowercased()
        let digits = word.hasSuffix("b") && word != "b" ? String(word.dropLast()) : word
        let shift = digits.last.flatMap { shifts[$0] }
        let number = Int64(shift == nil ? digits[...] : digits.dropLast())
        let product = number?.multipliedReportingOverflow(by: 1 << (shift ?? 0))
        guard let product, !product.overflow, product.partialValue >= -1 else {
            throw .usage("--\(name): '\(text)' is not a number of bytes")
        }
        return product.partialValue
    }
}
