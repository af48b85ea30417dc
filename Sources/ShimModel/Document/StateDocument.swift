import DocumentTexts
package import ShimProtocol
import SwiftProtobuf

/// A state as bytes: in `<bundle>/state`, and in the memory that an upgraded program reads.
///
/// `BRTHSTAT`, the length of the message (4 bytes, the most significant one first), its fingerprint (8 bytes), the message. The
/// fingerprint finds torn and damaged files; the file's owner and mode protect it from people.
package enum StateDocument {
    /// Versions that a program writes and reads.
    package struct Versions: Sendable, Hashable {
        /// The one that is written.
        package var newest: UInt32
        /// The oldest one that is read.
        package var oldest: UInt32

        package init(newest: UInt32) {
            self.newest = newest
            oldest = newest > Self.reach ? newest - Self.reach : 1
        }

        /// How many versions back and ahead are read.
        static let reach: UInt32 = 2
    }

    /// Those of this program.
    package static let versions = Versions(newest: 2)
    /// Written: the oldest version whose readers do no harm with what this program writes.
    package static let required: UInt32 = 1
    /// The oldest version whose readers go on with clients that were promised a mark at the end of their output.
    package static let requiredForMarks: UInt32 = 2

    /// Longest message: a megabyte of recent output and as much for each of many clients.
    package static let maximumByteCount = 256 << 20

    /// The bytes of a state.
    package static func encode(_ state: ShimState) -> [UInt8] {
        frame(state.bytes)
    }

    /// A message with what makes it a document, whatever it is.
    package static func frame(_ message: [UInt8]) -> [UInt8] {
        CheckedFrame.frame(message, mark: CheckedFrame.shimState)
    }

    /// Reads a state.
    ///
    /// - Parameters:
    ///   - bytes: what `encode` gave, in this or another version of the program.
    ///   - versions: of the reader.
    /// - Returns: The state, whose parts are not checked yet.
    /// - Throws: `invalidArgument` when the bytes are damaged, `unsupported` when their version is none of ours.
    package static func decode(_ bytes: [UInt8], _ versions: Versions = versions) throws(StateError) -> ShimState {
        let (message, problem) = CheckedFrame.content(bytes, mark: CheckedFrame.shimState)
        if let problem { throw .damaged(problem) }
        let state: ShimState
        do {
            state = try ShimState(serializedBytes: Array(message))
        } catch {
            throw .damaged("not a message of its kind: \(error)")
        }
        try check(state, versions)
        return state
    }

    private static func check(_ state: ShimState, _ versions: Versions) throws(StateError) {
        guard state.required <= versions.newest else {
            throw .version("it needs a reader of version \(state.required), this program knows \(versions.newest)")
        }
        guard state.version >= versions.oldest, state.version <= versions.newest + Versions.reach else {
            throw .version(
                "version \(state.version), this program reads \(versions.oldest) to \(versions.newest + Versions.reach)"
            )
        }
    }

    /// 64-bit FNV-1a: any single changed byte gives another value.
    package static func fingerprint(_ bytes: some Sequence<UInt8>) -> UInt64 { CheckedObject.fingerprint(bytes) }
}

extension [UInt8] {
    /// Appends a number, the most significant byte first.
    package mutating func append(bigEndian value: some FixedWidthInteger) {
        for shift in stride(from: value.bitWidth - 8, through: 0, by: -8) {
            append(UInt8(truncatingIfNeeded: value >> shift))
        }
    }

    /// A number, the most significant byte first.
    package func bigEndian(_ range: Range<Int>) -> UInt64 {
        self[range].reduce(0) { $0 << 8 | UInt64($1) }
    }
}
