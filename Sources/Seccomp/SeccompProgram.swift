/// A compiled filter: classic BPF instructions for seccomp(2) and the flags to load them with.
public struct SeccompProgram: Sendable, Equatable {
    /// Flags for `SECCOMP_SET_MODE_FILTER`.
    public let flags: UInt32
    /// The instructions, eight bytes each, in the byte order of this machine.
    public let instructions: [UInt8]

    /// Most instructions that the kernel takes (BPF_MAXINSNS).
    public static let maximumInstructions = 4096
    static let headerSize = 24
    private static let magic: [UInt8] = Array("BRTHBPF1".utf8)

    /// Number of instructions.
    public var count: Int { instructions.count / 8 }

    /// The instructions as the records that the kernel takes (struct sock_filter), eight bytes each.
    public var records: [UInt64] {
        stride(from: 0, to: instructions.count, by: 8).map { offset in
            // In memory the record has the bytes of the file, whatever the byte order.
            UInt64(littleEndian: instructions.littleEndian(at: offset))
        }
    }

    /// Whether any verdict of the program is a question to a listener (SECCOMP_RET_USER_NOTIF).
    public var asks: Bool {
        records.contains { record in
            // Code in the low 16 bits, constant in the high half; RET | K.
            record & 0xffff == 0x06 && UInt32(record >> 32) & 0xffff_0000 == 0x7fc0_0000
        }
    }

    /// Makes a program from instructions.
    ///
    /// - Throws: `invalidArgument` when there are none, too many, or half of one.
    public init(flags: UInt32, instructions: [UInt8]) throws(SeccompError) {
        guard !instructions.isEmpty, instructions.count % 8 == 0 else {
            throw .malformedProgram("\(instructions.count) bytes are no list of instructions")
        }
        guard instructions.count / 8 <= Self.maximumInstructions else {
            throw .malformedProgram("\(instructions.count / 8) instructions, limit \(Self.maximumInstructions)")
        }
        self.flags = flags
        self.instructions = instructions
    }

    /// The same with other constants.
    init(flags: UInt32, checked instructions: [UInt8]) {
        self.flags = flags
        self.instructions = instructions
    }

    /// The file form: magic, flags, number of instructions, checksum, instructions.
    ///
    /// The checksum finds torn and damaged files. It is no signature: the file's owner and mode protect it from others.
    public var encoded: [UInt8] {
        var bytes = Self.magic
        bytes.appendLittleEndian(flags)
        bytes.appendLittleEndian(UInt32(count))
        bytes.appendLittleEndian(fingerprint(bytes[Self.magic.count...] + instructions))
        return bytes + instructions
    }

    /// Reads the file form.
    ///
    /// - Throws: `invalidArgument` when magic, size or checksum do not fit.
    public init(encoded bytes: some Collection<UInt8>) throws(SeccompError) {
        let bytes = Array(bytes)
        guard bytes.count > Self.headerSize, bytes.starts(with: Self.magic) else {
            throw .malformedProgram("not a program file")
        }
        let flags: UInt32 = bytes.littleEndian(at: 8)
        let count: UInt32 = bytes.littleEndian(at: 12)
        let sum: UInt64 = bytes.littleEndian(at: 16)
        let instructions = Array(bytes[Self.headerSize...])
        let covered = bytes[Self.magic.count..<16] + instructions
        // Files of earlier versions have the checksum of the instructions alone.
        guard UInt64(instructions.count) == UInt64(count) * 8,
            [fingerprint(covered), fingerprint(instructions)].contains(sum)
        else {
            throw .malformedProgram("size or checksum is wrong")
        }
        try self.init(flags: flags, instructions: instructions)
    }
}

/// 64-bit FNV-1a: a fast checksum and file name, not a defence against people.
func fingerprint(_ bytes: some Sequence<UInt8>) -> UInt64 {
    bytes.reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01b3 }
}

extension [UInt8] {
    mutating func appendLittleEndian(_ value: some FixedWidthInteger) {
        for shift in stride(from: 0, to: value.bitWidth, by: 8) { append(UInt8(truncatingIfNeeded: value >> shift)) }
    }

    /// Reads an integer; the caller has checked that it lies inside.
    func littleEndian<Value: FixedWidthInteger>(at offset: Int) -> Value {
        var value: Value = 0
        for index in (0..<Value.bitWidth / 8).reversed() { value = value << 8 | Value(self[offset + index]) }
        return value
    }
}
