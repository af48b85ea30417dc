// System call filters: from a profile (the `seccomp` section of a runtime document, or Docker's JSON form of it) to the BPF
// program that the kernel runs.
//
// The model. A profile is data (`ProfileMeaning`: verdicts, numbers, conditions). A compiler of our own turns it into a
// program, and because a filter that is put together wrongly is weaker than what was asked for and looks the same, no
// program leaves this module unchecked: an interpreter of our own runs it for every number and every class of arguments
// and compares the verdict with the profile's meaning. Of libseccomp only the tables of names and numbers are used.
// The result is cached by profile (`SeccompCache`) and loaded as raw bytes by the process that is about to execute the
// container's program; nothing is compiled between clone and exec.

/// File names and limits that other parts share with this module.
public enum SeccompFiles {
    /// Name of the encoded program beside `config.json` in a bundle; see `SeccompProgram.encoded`.
    ///
    /// Berth's engine writes it, owned by root with mode 0600, and leaves `linux.seccomp` out of the document, so that a
    /// container's start neither parses nor compiles a profile. Without the file the document's own section counts.
    public static let bundleFileName = "seccomp.bpf"
    /// Largest encoded program: header and 4096 instructions.
    public static let maximumSize = SeccompProgram.headerSize + SeccompProgram.maximumInstructions * 8
}
