package import Kernel

/// Everything about a log between two events, so that another writer, in another program, can go on from there.
package struct LogSnapshot {
    package var options: LogWriterOptions
    /// Open for appending.
    package var file: SharedDescriptor
    package var fileSize: Int64
    package var isTorn: Bool
    package var rotationBarrier: Int64
    package var loss: LogLoss
    package var unreported: LogLoss
    package var openLines: StdioStreams

    package init(
        options: LogWriterOptions,
        file: SharedDescriptor,
        fileSize: Int64,
        isTorn: Bool,
        rotationBarrier: Int64,
        loss: LogLoss,
        unreported: LogLoss,
        openLines: StdioStreams
    ) {
        (self.options, self.file, self.fileSize, self.isTorn) = (options, file, fileSize, isTorn)
        (self.rotationBarrier, self.loss, self.unreported) = (rotationBarrier, loss, unreported)
        self.openLines = openLines
    }
}

extension LogWriter {
    /// What another writer needs to go on; this one must not write any more then.
    package var snapshot: LogSnapshot {
        LogSnapshot(
            options: options,
            file: file,
            fileSize: fileSize,
            isTorn: isTorn,
            rotationBarrier: rotationBarrier,
            loss: loss,
            unreported: unreported,
            openLines: openLines
        )
    }

    /// Goes on where another writer has stopped.
    package convenience init(restoring snapshot: LogSnapshot, buffers: IOBuffers) {
        self.init(snapshot.options, buffers: buffers, file: snapshot.file)
        fileSize = snapshot.fileSize
        isTorn = snapshot.isTorn
        rotationBarrier = snapshot.rotationBarrier
        loss = snapshot.loss
        unreported = snapshot.unreported
        openLines = snapshot.openLines
    }
}
