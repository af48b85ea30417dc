internal import OCISpec

extension RuntimeSpec.Seccomp {
    /// The profile as bytes that are equal exactly when two profiles are: each text with its length in front.
    var canonicalBytes: [UInt8] {
        var writer = CanonicalWriter()
        writer.text(defaultAction.rawValue)
        writer.number(defaultErrnoRet.map(UInt64.init))
        writer.texts(architectures)
        writer.texts(flags)
        writer.number(UInt64(syscalls?.count ?? 0))
        for rule in syscalls ?? [] {
            writer.texts(rule.names)
            writer.text(rule.action.rawValue)
            writer.number(rule.errnoRet.map(UInt64.init))
            writer.number(UInt64(rule.args?.count ?? 0))
            for argument in rule.args ?? [] {
                writer.number(UInt64(argument.index))
                writer.number(argument.value)
                writer.number(argument.valueTwo)
                writer.text(argument.op.rawValue)
            }
        }
        return writer.bytes
    }
}

private struct CanonicalWriter {
    var bytes: [UInt8] = []

    mutating func number(_ value: UInt64?) {
        bytes.append(value == nil ? 0 : 1)
        bytes.appendLittleEndian(value ?? 0)
    }

    mutating func text(_ text: String) {
        bytes.appendLittleEndian(UInt32(text.utf8.count))
        bytes += text.utf8
    }

    mutating func texts(_ texts: [String]?) {
        number(texts.map { UInt64($0.count) })
        for text in texts ?? [] { self.text(text) }
    }
}
