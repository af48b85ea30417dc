/// Lets so many adoptions run at a time, and no longer waits for one that takes its time.
///
/// Each adoption waits more than it works; but a request that comes meanwhile must not stand behind all of them. One container's silent shim
/// holds its place for a moment only, so that any number of them delays nobody.
actor AdoptionGate {
    private static let places = 48
    private static let patience = Duration.milliseconds(100)

    private var running = 0
    private var number: UInt64 = 0
    private var alarm: Task<Void, Never>?
    private var waiting: (number: UInt64, continuation: CheckedContinuation<Void, Never>)?

    /// Takes a place; one caller at a time.
    func enter() async {
        if running >= Self.places {
            number += 1
            let own = number
            await withCheckedContinuation { continuation in
                waiting = (own, continuation)
                alarm = Task { await self.giveUp(own) }
            }
        }
        running += 1
    }

    /// Gives a place back.
    func leave() {
        running -= 1
        resume()
    }

    private func giveUp(_ number: UInt64) async {
        // Cancelled or over: nobody is waited for any longer.
        try? await Task.sleep(for: Self.patience)
        if waiting?.number == number { resume() }
    }

    private func resume() {
        alarm?.cancel()
        waiting?.continuation.resume()
        waiting = nil
    }
}
