/// Descriptors that a process leaves free for what cannot wait.
public enum SpareDescriptors {
    /// Looks whether so many more could be opened now.
    ///
    /// - Parameter count: how many.
    /// - Throws: `KernelError`, EMFILE or ENFILE (open(2)) when there are fewer, which is a shortage.
    public static func require(_ count: Int) throws(KernelError) {
        var opened: [SharedDescriptor] = []
        for _ in 0..<count { opened.append(SharedDescriptor(try File.open("/dev/null", .path))) }
    }
}
