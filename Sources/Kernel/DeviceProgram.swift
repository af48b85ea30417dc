internal import CKernel

/// eBPF programs that decide on device access in a cgroup v2 directory (`bpf(2)`, BPF_PROG_TYPE_CGROUP_DEVICE).
public enum DeviceProgram {
    // Commands and numbers of bpf(2).
    private static let (load, attach, detach, openByID, query): (Int32, Int32, Int32, Int32, Int32) = (5, 8, 9, 13, 16)
    private static let information: Int32 = 15
    private static let deviceProgram: UInt32 = 15
    private static let deviceAttachment: UInt32 = 6
    private static let allowMulti: UInt32 = 2

    /// Hands a program to the kernel, which proves that it ends and touches nothing else.
    ///
    /// - Parameters:
    ///   - instructions: `struct bpf_insn` records, 8 bytes each.
    ///   - name: at most 15 letters, digits and `_`, by which its maker knows it again.
    /// - Returns: the loaded program.
    /// - Throws: `KernelError`; errno is `.invalid` or `.accessDenied` when the proof fails.
    public static func load(_ instructions: [UInt64], name: String = "") throws(KernelError) -> Descriptor {
        let license: [CChar] = [0]
        let word = { (from: Int) in
            name.utf8.dropFirst(from).prefix(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        }
        var number: Int32 = -1
        var failure = Errno(0)
        unsafe instructions.withUnsafeBufferPointer { code in
            unsafe license.withUnsafeBufferPointer { license in
                // union bpf_attr for BPF_PROG_LOAD: type, count (4 bytes each), pointers to code and licence, the checker's log
                // (16 bytes), version and flags (8 bytes), the name.
                var attributes: [UInt64] = [
                    UInt64(deviceProgram) | UInt64(code.count) << 32, UInt64(UInt(bitPattern: code.baseAddress)),
                    UInt64(UInt(bitPattern: license.baseAddress)), 0, 0, 0, word(0), word(8), 0,
                ]
                number = unsafe ck_bpf(load, &attributes, UInt32(attributes.count * 8))
                failure = .current
            }
        }
        guard number >= 0 else { throw .failed("load device program", failure) }
        return Descriptor(adopting: number)
    }

    /// Puts a program in force for a group and all below it, beside those that are there: all must agree.
    ///
    /// - Parameters:
    ///   - program: a loaded program; the group keeps it.
    ///   - group: the group's directory, opened for reading.
    /// - Throws: `KernelError`.
    public static func attach(_ program: RawDescriptor, to group: RawDescriptor) throws(KernelError) {
        try call(attach, "attach device program", group, program)
    }

    /// Takes a program out of force.
    ///
    /// - Parameters:
    ///   - program: an attached program.
    ///   - group: the group's directory, opened for reading.
    /// - Throws: `KernelError`; errno is `.noEntry` when it is not attached there.
    public static func detach(_ program: RawDescriptor, from group: RawDescriptor) throws(KernelError) {
        try call(detach, "detach device program", group, program)
    }

    /// struct for attach and detach: group, program, kind, flags.
    private static func call(
        _ command: Int32,
        _ operation: String,
        _ group: RawDescriptor,
        _ program: RawDescriptor
    ) throws(KernelError) {
        var attributes: [UInt32] = [
            UInt32(group), UInt32(program), deviceAttachment, command == attach ? allowMulti : 0, 0, 0, 0, 0,
        ]
        try system(operation) { unsafe ck_bpf(command, &attributes, UInt32(attributes.count * 4)) }
    }

    /// The programs that are attached to a group itself.
    ///
    /// - Parameter group: the group's directory, opened for reading.
    /// - Returns: the programs, at most 64.
    /// - Throws: `KernelError`.
    public static func attached(to group: RawDescriptor) throws(KernelError) -> [SharedDescriptor] {
        var identities = [UInt32](repeating: 0, count: 64)
        var count = 0
        try system("query device programs") {
            unsafe identities.withUnsafeMutableBufferPointer { buffer in
                // group, kind, query flags, attach flags (4 bytes each), pointer to ids, their count.
                var attributes: [UInt64] = [
                    UInt64(UInt32(group)) | UInt64(deviceAttachment) << 32, 0,
                    UInt64(UInt(bitPattern: buffer.baseAddress)),
                    UInt64(buffer.count), 0, 0, 0, 0,
                ]
                let result = unsafe ck_bpf(query, &attributes, UInt32(attributes.count * 8))
                count = Int(UInt32(truncatingIfNeeded: attributes[3]))
                return result
            }
        }
        return try identities.prefix(count).map { (identity) throws(KernelError) in
            var attributes: [UInt32] = [identity, 0, 0, 0]
            let number = try system("open device program") { unsafe ck_bpf(openByID, &attributes, 16) }
            return SharedDescriptor(Descriptor(adopting: number))
        }
    }

    /// The name that a program was loaded with.
    ///
    /// - Parameter program: an open program.
    /// - Returns: the name, empty when it has none.
    /// - Throws: `KernelError`.
    public static func name(_ program: RawDescriptor) throws(KernelError) -> String {
        // struct bpf_prog_info as far as the name, which is at offset 64.
        var facts = [UInt8](repeating: 0, count: 80)
        try system("ask for device program") {
            unsafe facts.withUnsafeMutableBytes { buffer in
                var attributes: [UInt64] = [
                    UInt64(UInt32(program)) | UInt64(buffer.count) << 32, UInt64(UInt(bitPattern: buffer.baseAddress)),
                ]
                return unsafe ck_bpf(information, &attributes, 16)
            }
        }
        return String(decoding: facts[64...].prefix { $0 != 0 }, as: UTF8.self)
    }
}
