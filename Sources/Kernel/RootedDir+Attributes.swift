internal import CKernel

// Changes of what a name has. The name is opened once with O_PATH | O_NOFOLLOW and changed through that descriptor.
extension RootedDir {
    /// Sets owner and group of the name itself, also of a link.
    ///
    /// - Parameters:
    ///   - path: what.
    ///   - uid: the owner.
    ///   - gid: the group.
    /// - Throws: `KernelError`.
    public func chown(_ path: some PathText, uid: UInt32, gid: UInt32) throws(KernelError) {
        try onFile(path) { (file) throws(KernelError) in try file.changeOwner(uid: uid, gid: gid) }
    }

    /// Sets the permission bits.
    ///
    /// - Parameters:
    ///   - path: what; a symbolic link is refused (`.notSupported`), not followed.
    ///   - permissions: 0 to 0o7777.
    /// - Throws: `KernelError`.
    public func chmod(_ path: some PathText, permissions: UInt32) throws(KernelError) {
        try onFile(path) { (file) throws(KernelError) in try file.changeMode(permissions) }
    }

    /// Sets the times of the name itself, also of a link.
    ///
    /// - Parameters:
    ///   - path: what.
    ///   - accessed: time of last reading.
    ///   - modified: time of last change.
    /// - Throws: `KernelError`.
    public func utimes(_ path: some PathText, accessed: TimeChange, modified: TimeChange) throws(KernelError) {
        try onFile(path) { (file) throws(KernelError) in try file.changeTimes(accessed: accessed, modified: modified) }
    }

    /// Sets an extended attribute of the name itself, also of a link.
    ///
    /// - Parameters:
    ///   - path: what.
    ///   - name: for example `user.note`.
    ///   - value: any bytes.
    /// - Throws: `KernelError`.
    public func setxattr(_ path: some PathText, _ name: String, _ value: [UInt8]) throws(KernelError) {
        try onFile(path) { (file) throws(KernelError) in try file.setExtendedAttribute(name, value) }
    }

    /// Reads an extended attribute of the name itself, also of a link.
    ///
    /// - Parameters:
    ///   - path: what.
    ///   - name: for example `user.note`.
    /// - Returns: its value, nil when it is not set.
    /// - Throws: `KernelError`.
    public func getxattr(_ path: some PathText, _ name: String) throws(KernelError) -> [UInt8]? {
        try openPath(path).extendedAttribute(name)
    }

    /// The names of all extended attributes of the name itself, also of a link.
    ///
    /// - Parameter path: what.
    /// - Returns: the names.
    /// - Throws: `KernelError`.
    public func listxattr(_ path: some PathText) throws(KernelError) -> [String] {
        try openPath(path).extendedAttributeNames()
    }

    private func onFile(
        _ path: some PathText,
        _ change: (borrowing Descriptor) throws(KernelError) -> Void
    ) throws(KernelError) {
        let file = try openPath(path)
        do throws(KernelError) { try change(file) } catch { throw error.about(path.text) }
    }
}

// Extended attributes of the open file. Through /proc/self/fd, because the f* calls refuse O_PATH descriptors; that name stands
// for exactly the open file, even when it is a symbolic link. setxattrat(2) retires this where Linux 6.13 is the least.
extension DescriptorHolder where Self: ~Copyable {
    /// Sets an extended attribute; works with O_PATH.
    ///
    /// - Parameters:
    ///   - name: for example `user.note`.
    ///   - value: any bytes.
    /// - Throws: `KernelError`.
    public func setExtendedAttribute(_ name: String, _ value: [UInt8]) throws(KernelError) {
        try refuseNUL(name, "set attribute")
        try system("set attribute", name) { unsafe ck_setxattr(procPath, name, value, value.count, 0) }
    }

    /// Reads an extended attribute; works with O_PATH.
    ///
    /// - Parameters:
    ///   - name: for example `user.note`.
    ///   - limit: the most bytes that are expected; the kernel's own limit is 64 KiB.
    /// - Returns: its value, nil when it is not set.
    /// - Throws: `KernelError`; `ERANGE` when it is longer.
    public func extendedAttribute(_ name: String, limit: Int = 65536) throws(KernelError) -> [UInt8]? {
        try refuseNUL(name, "read attribute")
        var value = [UInt8](repeating: 0, count: limit)
        let count: Int
        do throws(KernelError) {
            count = try system("read attribute", name) { unsafe ck_getxattr(procPath, name, &value, value.count) }
        } catch  where error.errno == .noData {
            return nil
        }
        return Array(value[..<count])
    }

    /// The names of all extended attributes; works with O_PATH.
    ///
    /// - Returns: the names; empty also on file systems without attributes.
    /// - Throws: `KernelError`.
    public func extendedAttributeNames() throws(KernelError) -> [String] {
        var names = [CChar](repeating: 0, count: 65536)
        let count: Int
        do throws(KernelError) {
            count = try system("list attributes") { unsafe ck_listxattr(procPath, &names, names.count) }
        } catch  where error.errno == .notSupported {
            return []
        }
        return names[..<count].split(separator: 0).map {
            String(decoding: $0.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// Removes an extended attribute; works with O_PATH.
    ///
    /// - Parameter name: for example `user.note`.
    /// - Throws: `KernelError`; errno is `.noData` when it is not set.
    public func removeExtendedAttribute(_ name: String) throws(KernelError) {
        try refuseNUL(name, "remove attribute")
        try system("remove attribute", name) { unsafe ck_removexattr(procPath, name) }
    }
}
