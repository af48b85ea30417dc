internal import CKernel

/// Extended attributes of names in the working directory.
///
/// For where no `/proc` can be trusted, such as in a container that is being set up: there is no other way to those of a
/// link or a device before getxattrat(2) (Linux 6.13), which retires this. A name is one component and never followed.
public enum NamedAttributes {
    /// The names of a file's attributes.
    ///
    /// - Parameter file: one component, or `.`.
    /// - Returns: the names; empty also on file systems without attributes.
    /// - Throws: `KernelError`.
    public static func names(of file: some PathText) throws(KernelError) -> [String] {
        let path = try component(file, "list attributes")
        // 64 KiB is the kernel's limit for a list, as for a value.
        var names = [CChar](repeating: 0, count: 65536)
        let count: Int
        do throws(KernelError) {
            count = try system("list attributes", path.text) {
                unsafe ck_llistxattr(path.pointer, &names, names.count)
            }
        } catch  where error.errno == .notSupported {
            return []
        }
        return names[..<count].split(separator: 0).map {
            String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// A file's attribute.
    ///
    /// - Parameters:
    ///   - name: for example `user.note`.
    ///   - file: one component, or `.`.
    /// - Returns: its value, nil when it is not set.
    /// - Throws: `KernelError`; errno is `.overflow` for capabilities that mean nothing in the caller's user namespace.
    public static func value(_ name: String, of file: some PathText) throws(KernelError) -> [UInt8]? {
        try refuseNUL(name, "read attribute")
        let path = try component(file, "read attribute \(name)")
        var value = [UInt8](repeating: 0, count: 65536)
        let count: Int
        do throws(KernelError) {
            count = try system("read attribute \(name)", path.text) {
                unsafe ck_lgetxattr(path.pointer, name, &value, value.count)
            }
        } catch  where error.errno == .noData {
            return nil
        }
        return Array(value[..<count])
    }

    /// Sets an attribute.
    ///
    /// - Parameters:
    ///   - name: for example `user.note`.
    ///   - value: any bytes.
    ///   - file: one component, or `.`.
    /// - Throws: `KernelError`.
    public static func set(_ name: String, _ value: [UInt8], of file: some PathText) throws(KernelError) {
        try refuseNUL(name, "set attribute")
        let path = try component(file, "set attribute \(name)")
        try system("set attribute \(name)", path.text) {
            unsafe ck_lsetxattr(path.pointer, name, value, value.count, 0)
        }
    }

    private static func component(_ file: some PathText, _ operation: String) throws(KernelError) -> TerminatedPath {
        let path = try TerminatedPath(file, operation)
        guard !file.pathBytes.isEmpty, !file.pathBytes.contains(UInt8(ascii: "/")) else {
            throw .failed(operation, path.text, .invalid, detail: "not one component")
        }
        return path
    }
}
