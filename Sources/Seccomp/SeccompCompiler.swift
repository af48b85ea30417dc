internal import CLibSeccomp
internal import Kernel
public import OCISpec

/// Turns profiles into checked programs.
public enum SeccompCompiler {
    /// Compiles a profile and checks the result against the profile's meaning.
    ///
    /// Calls that this machine's table does not know are skipped, as the specification asks. When one rule has several
    /// conditions on the same argument, each of them becomes a rule of its own (any of them matches): that is what
    /// profiles written for other runtimes mean by it.
    ///
    /// - Parameter profile: The `seccomp` section. `listenerPath` is the business of whoever loads the program.
    /// - Returns: The program, ready for seccomp(2).
    /// - Throws: `invalidArgument` for a profile that contradicts itself, `unsupported` for an architecture or flag that is
    ///   unknown here, `internal` when the compiler fails or its program is not what the profile says.
    public static func compile(_ profile: RuntimeSpec.Seccomp) throws(SeccompError) -> SeccompProgram {
        let meaning = try ProfileMeaning(profile)
        let instructions = try export(meaning)
        let program = try SeccompProgram(flags: meaning.flags, instructions: instructions)
        try meaning.check(BPFInterpreter(program))
        return program
    }

    private static func export(_ meaning: ProfileMeaning) throws(SeccompError) -> [UInt8] {
        // The library's handle is freed on every path; it is used by this function alone.
        guard let context = unsafe seccomp_init(meaning.defaultVerdict) else {
            throw .invalidProfile("the default action is not usable")
        }
        defer { unsafe seccomp_release(context) }
        try unsafe configure(context, meaning)
        for rule in meaning.rules { try unsafe add(rule, to: context) }
        return try unsafe readProgram(context)
    }

    private static func configure(_ context: scmp_filter_ctx, _ meaning: ProfileMeaning) throws(SeccompError) {
        // A call by an architecture that the profile does not list is an attempt to get around it.
        try check("bad architecture", unsafe seccomp_attr_set(context, SCMP_FLTATR_ACT_BADARCH, Verdict.killProcess))
        // A binary search over the call numbers instead of a list: the filter runs at every call of the container.
        try check("optimize", unsafe seccomp_attr_set(context, SCMP_FLTATR_CTL_OPTIMIZE, 2))
        let native = seccomp_arch_native()
        for architecture in meaning.architectures where architecture != native {
            try check("add architecture", unsafe seccomp_arch_add(context, architecture))
        }
        if !meaning.architectures.contains(native) {
            try check("remove architecture", unsafe seccomp_arch_remove(context, native))
        }
    }

    private static func add(_ rule: ProfileMeaning.Rule, to context: scmp_filter_ctx) throws(SeccompError) {
        let conditions = rule.conditions.map { condition in
            scmp_arg_cmp(
                arg: condition.index,
                op: condition.operation.libraryValue,
                datum_a: condition.value,
                datum_b: condition.valueTwo
            )
        }
        let number = unsafe seccomp_syscall_resolve_name(rule.name)
        guard number != Int32(__NR_SCMP_ERROR) else { return }
        // The array lives until the call is over; the library copies what it keeps.
        let status = unsafe conditions.withUnsafeBufferPointer { buffer in
            unsafe seccomp_rule_add_array(context, rule.verdict, number, UInt32(buffer.count), buffer.baseAddress)
        }
        try check("rule for \(rule.name)", status)
    }

    private static func readProgram(_ context: scmp_filter_ctx) throws(SeccompError) -> [UInt8] {
        do throws(KernelError) {
            // The library writes to a descriptor only. A pipe holds 64 KiB, twice the longest program that the kernel
            // takes; not blocking turns a still longer one into an error.
            let pipe = try Pipe(nonBlocking: true)
            let status = unsafe seccomp_export_bpf(context, pipe.writer.raw)
            guard status >= 0 else { throw .failed("export seccomp program", Errno(rawValue: -status)) }
            return try pipe.reader.read(upTo: 1 << 16)
        } catch {
            throw .file(error)
        }
    }

    private static func check(_ operation: String, _ status: Int32) throws(SeccompError) {
        guard status >= 0 else { throw .compile(operation, status) }
    }
}
