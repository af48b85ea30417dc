import EngineModel
import FoundationEssentials

/// Which documents a program reads that another one has left in its process.
///
/// A document says its version, and the least version of a reader that does no harm with it. What is only added, and may be passed
/// over, raises the version alone, so that going back to an older program stays possible.
package struct HandoverVersions: Sendable {
    /// The version that this program writes.
    static let written = 1
    /// Written: the oldest version whose programs do no harm with what this one writes.
    static let readsFrom = 1
    /// The oldest version that this program reads; at most two below what it writes.
    static let oldest = 1

    /// Those of this program.
    package static let present = HandoverVersions(newest: written, oldest: oldest)

    /// The newest that is known.
    package let newest: Int
    /// The oldest that is read.
    package let oldest: Int

    /// The versions of a program.
    package init(newest: Int, oldest: Int) {
        (self.newest, self.oldest) = (newest, oldest)
    }

    /// What every version of the document has.
    private struct Facts: Decodable {
        var version: Int?
        var readsFrom: Int
        var from: String
    }

    /// Refuses a document that this program cannot read.
    ///
    /// - Parameter bytes: The document.
    /// - Throws: ``DaemonError`` naming the versions and the program that wrote it.
    package func check(_ bytes: [UInt8]) throws {
        let facts = try JSON.decode(Facts.self, bytes)
        let version = facts.version ?? 1
        guard facts.readsFrom <= newest else {
            throw DaemonError.other(
                "the hand-over of berthd \(facts.from) needs a reader of version \(facts.readsFrom), and this berthd knows \(newest)"
            )
        }
        guard version >= oldest else {
            throw DaemonError.other(
                "the hand-over of berthd \(facts.from) has version \(version), and this berthd reads none below \(oldest): "
                    + "upgrade to a version in between first"
            )
        }
    }
}
