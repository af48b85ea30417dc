import EngineShim
import Kernel
import Testing

/// A flood of events from one shim is taken in slowly, and only a flood.
struct EventBudgetTests {
    private let start = Timestamp(seconds: 1000, nanoseconds: 0)

    @Test func aBurstIsTakenAsFastAsItComes() {
        var budget = EventBudget()
        #expect(budget.took(EventBudget.burst, at: start) == nil)
        #expect(budget.took(1, at: start) != nil)
    }

    @Test func afterTheBurstOnlySoManyAreTakenInASecond() {
        var budget = EventBudget()
        var now = start
        var taken = 0
        while now - start < .seconds(600) {
            taken += 10_000
            now = now + (budget.took(10_000, at: now) ?? .zero)
        }
        #expect(taken <= EventBudget.burst + 601 * EventBudget.perSecond + 10_000)
        #expect(taken > 600 * EventBudget.perSecond - 10_000)
    }

    @Test func whoIsQuietHasTheWholeBurstAgain() {
        var budget = EventBudget()
        #expect(budget.took(EventBudget.burst + 300, at: start) == .seconds(1))
        let later = start + .seconds(3600)
        #expect(budget.took(EventBudget.burst, at: later) == nil)
        #expect(budget.took(1, at: later) != nil)
    }

    @Test func sessionsOneAfterTheOtherAreNoFlood() {
        var budget = EventBudget()
        for second in 0..<3600 { #expect(budget.took(300, at: start + .seconds(second)) == nil) }
    }
}
