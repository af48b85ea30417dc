package import EngineModel
package import ShimProtocol

/// What versions of shims this manager works with.
package enum ShimVersions {
    /// Of the Supervisor protocol: its own, two back once there are, and two ahead, for later versions only add to it.
    package static let protocols: ClosedRange<UInt32> = 1...3

    /// Why a shim that says this of itself is spoken with no further; nil for one that this manager understands.
    package static func refusal(of info: ShimInfoResponse) -> OtherProtocol? {
        guard !protocols.contains(info.protocol) else { return nil }
        return OtherProtocol(program: info.version, version: info.protocol, known: protocols)
    }
}
