internal import Kernel

// A new file takes the log's name, and the old ones move up by one.
extension LogWriter {
    /// Starts a new file.
    ///
    /// When a step fails the writer goes on with the file that it has, and tries again after some more output.
    ///
    /// The new file is made before anything moves, so that a failure half-way never leaves the container without a log.
    /// A reader that holds the old file open reads it to its end and finds its successor by name.
    func rotate() {
        let fresh = options.path + ".new"
        do {
            let next = try File.open(fresh, [.readWrite, .append, .create, .truncate], mode: LogFiles.mode)
            try LogFiles.shift(options)
            try File.rename(fresh, to: options.path)
            file = SharedDescriptor(next)
            fileSize = 0
            rotationBarrier = 0
            for follower in followers { follower.fileChanged() }
        } catch {
            rotationBarrier = fileSize + Self.rotationRetryInBytes
        }
    }

    private static let rotationRetryInBytes: Int64 = 256 << 10
}
