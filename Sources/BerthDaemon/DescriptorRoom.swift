import Dispatch
import Kernel
import Logging

/// Room for descriptors, and what has to be open before containers take it up.
///
/// A manager without a free descriptor goes on: what it cannot open is an error of the request, and containers are not touched. Two
/// parts below it cannot fail so. An event loop that does not get its descriptors ends the process, and libdispatch neither delivers a signal
/// nor wakes anybody who sleeps if it has nothing to wait with. They get theirs here, or the manager says why it does not start.
enum DescriptorRoom {
    /// What a manager opens for itself before the first container, for a loop and without them, with some for requests.
    private static let perLoop = 3
    private static let base = 32
    /// Pidfds, a connection, and the descriptors of a shim that are held.
    private static let perContainer = 9
    /// Below that the operator should know.
    private static let comfortable = 4096

    /// Raises the limit as far as it goes, looks whether there is room, and opens what must not be missing.
    ///
    /// - Throws: ``DaemonError`` when the limit is too low.
    static func prepare(_ logger: Logger) async throws(DaemonError) {
        raiseLimit()
        try checkRoom(base + perLoop * processors)
        await openTimers()
        guard let limit = try? Rlimit.get(.openFiles), limit.soft < comfortable else { return }
        logger.warning(
            "the limit of open files is low",
            metadata: ["limit": "\(limit.soft)", "containers": "about \(limit.soft / UInt64(perContainer))"]
        )
    }

    private static func raiseLimit() {
        guard var limit = try? Rlimit.get(.openFiles), limit.soft < limit.hard else { return }
        limit.soft = limit.hard
        // Refused: what there is has to do, and is looked at next.
        try? Rlimit.set(.openFiles, limit)
    }

    /// As many as the event loops are made for.
    private static var processors: Int { (try? NumberSet.processors())?.count ?? 1 }

    private static func checkRoom(_ count: Int) throws(DaemonError) {
        do throws(KernelError) { try SpareDescriptors.require(count) } catch {
            let limit = (try? Rlimit.get(.openFiles)).map { "\($0.soft)" } ?? "unknown"
            throw .other(
                "there is no room for the \(count) more open files that a manager needs: \(error.errno); "
                    + "the limit is \(limit) (LimitNOFILE= of the service, or ulimit -n)"
            )
        }
    }

    /// Has libdispatch make what it waits with: a descriptor for each clock, at the first use.
    private static func openTimers() async {
        let soon = Duration.milliseconds(1)
        // Nobody cancels this.
        try? await Task.sleep(for: soon, clock: .continuous)
        try? await Task.sleep(for: soon, clock: .suspending)
        await withCheckedContinuation { done in
            DispatchQueue.global().asyncAfter(wallDeadline: .now() + .milliseconds(1)) { done.resume() }
        }
    }
}
