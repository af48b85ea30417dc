/// What versions of shims this manager works with.
package enum ShimVersions {
    /// Of the Supervisor protocol: its own, and two ahead, for later versions only add to it.
    package static let protocols: ClosedRange<UInt32> = 1...3
}
