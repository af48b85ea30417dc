internal import Kernel
internal import Synchronization

/// The files of one group that are read again and again: opened once, then read from their start each time.
final class CgroupFiles: Sendable {
    private let directory: SharedDescriptor
    private let opened = Mutex<[String: SharedDescriptor]>([:])

    init(_ directory: SharedDescriptor) { self.directory = directory }

    /// Reads a file that must be there.
    func read(_ name: String) throws(KernelError) -> [UInt8] {
        let file = try open(name)
        var bytes = try file.read(upTo: 4096, at: 0)
        // The kernel fills what it is given unless the text ends.
        while bytes.count >= 4096, bytes.count < 1 << 20 {
            let more = try file.read(upTo: 1 << 16, at: Int64(bytes.count))
            if more.isEmpty { break }
            bytes += more
        }
        return bytes
    }

    /// Reads a file of a controller that the host may lack, of a feature that is switched off, or of a group that is gone.
    ///
    /// A file that was opened while the group was there says `noDevice` then.
    func readIfThere(_ name: String) throws(KernelError) -> [UInt8]? {
        do throws(KernelError) { return try read(name) } catch
            where error.errno == .noEntry || error.errno == .noDevice || error.errno == .notSupported
        {
            return nil
        }
    }

    /// A file with one number; nil for `max` and for none.
    func number(_ name: String) throws(KernelError) -> UInt64? { try readIfThere(name).flatMap(KeyedText.number) }

    private func open(_ name: String) throws(KernelError) -> SharedDescriptor {
        try opened.withLock { (opened) throws(KernelError) in
            if let file = opened[name] { return file }
            let file = SharedDescriptor(try File.open(name, at: directory.raw))
            opened[name] = file
            return file
        }
    }
}
