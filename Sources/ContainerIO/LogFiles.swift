internal import Kernel

/// The file that is written, as it was found.
struct OpenedLog: ~Copyable {
    var descriptor: Descriptor
    var size: Int64
    /// Whether the last byte is not the end of a record.
    var isTorn: Bool
}

/// The set of files of one log: `path`, `path.1`, `path.2` and so on, youngest first.
enum LogFiles {
    /// Readable by the group of the directory's owner, as other runtimes leave their logs.
    static let mode: UInt32 = 0o640
    /// Numbers looked at when excess files are removed after the limit was lowered.
    private static let highestNumber = 999

    static func name(_ path: String, number: Int) -> String {
        number == 0 ? path : "\(path).\(number)"
    }

    /// Opens the file that is written, and looks whether its last record is whole.
    static func openForAppending(
        _ path: String
    ) throws(ContainerIOError) -> OpenedLog {
        do throws(KernelError) {
            let descriptor = try File.open(path, [.readWrite, .append, .create], mode: mode)
            let size = try descriptor.status().size
            var isTorn = false
            if size > 0 {
                isTorn = try descriptor.read(upTo: 1, at: size - 1) != [LogFormat.newline]
            }
            return OpenedLog(descriptor: descriptor, size: size, isTorn: isTorn)
        } catch {
            throw .kernel(error)
        }
    }

    /// Makes room for one more file: every file's number grows by one, up to the first number that is free; without a
    /// free number the oldest file goes.
    ///
    /// A crash on the way leaves a gap in the numbers that the next rotation fills.
    static func shift(_ options: LogWriterOptions) throws(KernelError) {
        let last = options.maximumFileCount - 1
        guard last > 0 else { return }
        var free = 1
        while free < last, File.exists(name(options.path, number: free)) { free += 1 }
        while free > 0 {
            // A missing file is a gap that a crash left: nothing to move.
            do {
                try File.rename(name(options.path, number: free - 1), to: name(options.path, number: free))
            } catch {
                guard error.errno == .noEntry else { throw error }
            }
            free -= 1
        }
    }

    /// Removes files that the limit on their number no longer allows.
    static func removeExcess(of options: LogWriterOptions) {
        for number in options.maximumFileCount...max(highestNumber, options.maximumFileCount) {
            do {
                guard try File.remove(name(options.path, number: number)) else { return }
            } catch {
                // Too many old files harm less than a container without a log.
                return
            }
        }
    }

    /// Cuts the last bytes off.
    ///
    /// - Returns: whether it worked.
    static func cut(_ count: Int, from file: SharedDescriptor) -> Bool {
        do {
            try file.truncate(to: file.status().size - Int64(count))
            return true
        } catch {
            return false
        }
    }
}
