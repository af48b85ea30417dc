package import ContainerIO
package import Kernel
package import ShimProtocol

// The container's log as a state, and back.

extension ShimLogState {
    /// What a state says of a log.
    ///
    /// - Parameters:
    ///   - snapshot: of the log.
    ///   - isComplete: whether what only memory has is in it.
    package init(_ snapshot: LogSnapshot, isComplete: Bool) {
        self.init()
        path = snapshot.options.path
        maxSizeInBytes = snapshot.options.maximumFileSizeInBytes
        maxFiles = UInt32(clamping: snapshot.options.maximumFileCount)
        guard isComplete else {
            return
        }
        size = snapshot.fileSize
        torn = snapshot.isTorn
        rotationBarrier = snapshot.rotationBarrier
        lost = ShimLogLoss(snapshot.loss)
        unreported = ShimLogLoss(snapshot.unreported)
        stdoutOpen = snapshot.openLines.contains(.stdout)
        stderrOpen = snapshot.openLines.contains(.stderr)
    }

    /// The options of the log.
    var options: LogWriterOptions {
        LogWriterOptions(
            path: path,
            maximumFileSizeInBytes: max(0, maxSizeInBytes),
            maximumFileCount: Int(max(1, maxFiles))
        )
    }
}

extension LogSnapshot {
    /// The log that a complete state describes.
    package init(_ state: ShimLogState, file: SharedDescriptor) {
        var openLines: StdioStreams = []
        if state.stdoutOpen { openLines.insert(.stdout) }
        if state.stderrOpen { openLines.insert(.stderr) }
        self.init(
            options: state.options,
            file: file,
            fileSize: state.size,
            isTorn: state.torn,
            rotationBarrier: state.rotationBarrier,
            loss: LogLoss(state.lost),
            unreported: LogLoss(state.unreported),
            openLines: openLines
        )
    }
}

extension ShimLogLoss {
    fileprivate init(_ loss: LogLoss) {
        self.init()
        (bytes, records, errno) = (loss.bytes, loss.records, loss.reason?.rawValue ?? 0)
    }
}

extension LogLoss {
    fileprivate init(_ state: ShimLogLoss) {
        self.init()
        (bytes, records) = (state.bytes, state.records)
        reason = state.errno == 0 ? nil : Errno(rawValue: state.errno)
    }
}
