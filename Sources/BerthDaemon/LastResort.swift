import Dispatch
import Kernel
import Synchronization

/// The bound of an end that was asked for: whatever waits for whatever, the process ends.
///
/// Nothing that the manager does at its end may wait without a deadline. Where something does all the same (nobody reads its standard error,
/// and every thread wants to write there), this is what SIGKILL would be a little later, and the next start finishes what it leaves.
enum LastResort {
    private static let timer = Mutex<(any DispatchSourceTimer)?>(nil)

    /// Ends the process after so long; the first call counts.
    static func begin(after bound: Duration) {
        let (seconds, attoseconds) = bound.components
        let nanoseconds = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        timer.withLock { timer in
            guard timer == nil else { return }
            // A queue of its own gets a thread of its own, however many others are blocked.
            let source = DispatchSource.makeTimerSource(queue: DispatchQueue(label: "berth.last-resort"))
            source.schedule(deadline: .now() + .nanoseconds(nanoseconds))
            source.setEventHandler { end() }
            source.resume()
            timer = source
        }
    }

    private static func end() {
        let standardError = BorrowedDescriptor.standardError
        // Said where it can be said without waiting.
        if let ready = try? standardError.poll(for: .writable, timeout: .zero), !ready.isEmpty {
            StandardError.write("berthd: the end takes too long; what is under way is left to the next start\n")
        }
        // Nothing is flushed or destroyed: that could wait as well.
        Clone.exit(0)
    }
}
