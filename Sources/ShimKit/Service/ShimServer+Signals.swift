import ShimModel
import Kernel
import ShimProtocol
import ShimStreams

// Signals to the shim itself, and children that nobody else reaps.
extension ShimServer {
    /// Handles SIGCHLD for orphans; SIGTERM and SIGINT are ignored, because only Shutdown ends a shim.
    func watchSignals() throws(KernelError) {
        let signals = SharedSignals(try SignalFd(SignalSet([.child, .terminate, .interrupt, .hangUp])))
        _ = try loop.watch(signals.raw, .readable) { [weak self] _ in
            while let signal = try? signals.next() {
                if signal == .child {
                    self?.reapOrphans()
                } else {
                    ShimLog.write("signal ignored", ("signal", signal.name))
                }
            }
        }
    }

    /// Reaps every child that has ended.
    ///
    /// One that the table knows keeps its status.
    func reapOrphans() {
        while let child = Children.reapAny() {
            if let upgrade, upgrade.pid == child.pid {
                upgrade.ended(child.status)
            } else if let key = handles.first(where: { $0.value.watch != nil && $0.value.process?.pid == child.pid })?
                .key
            {
                ended(key, .init(child.status))
            } else {
                health?.reaped(child.pid, child.status)
            }
        }
    }
}

/// A signalfd that a closure can keep.
private final class SharedSignals {
    private let descriptor: SignalFd

    init(_ descriptor: consuming SignalFd) {
        self.descriptor = descriptor
    }

    var raw: RawDescriptor {
        descriptor.raw
    }

    func next() throws(KernelError) -> Signal? {
        try descriptor.next()?.signal
    }
}
