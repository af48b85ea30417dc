import DocumentTexts
package import EngineModel
package import Kernel
package import ShimProtocol
import SwiftProtobuf

/// What a shim has written down for the one that would take its place, read by the manager.
package enum ShimStateFile {
    private static let limit = 256 << 20

    /// The state of a bundle.
    ///
    /// Blocks.
    /// - Returns: nil where there is none; or what is wrong with the file.
    /// - Throws: `KernelError` when it cannot be known now.
    package static func read(_ paths: ContainerPaths) throws(KernelError) -> (state: ShimState?, damage: String?) {
        let bytes: [UInt8]
        do throws(KernelError) { bytes = try File.read(paths.shimState, limit: limit) } catch {
            if error.isShortage { throw error }
            return (nil, error.errno == .noEntry ? nil : error.description)
        }
        let (content, problem) = CheckedFrame.content(bytes, mark: CheckedFrame.shimState)
        if let problem { return (nil, problem) }
        guard let state = try? ShimState(serializedBytes: Array(content)) else { return (nil, "it is no state") }
        return (state, nil)
    }

    /// The name of the run that a state is of; nil where it does not say it.
    package static func run(_ state: ShimState) -> String? {
        let name = state.exitRecordPath.split(separator: "/").last.map(String.init) ?? ""
        guard name.hasPrefix(ContainerPaths.exitRecordPrefix), name.hasSuffix(".json") else { return nil }
        return String(name.dropFirst(ContainerPaths.exitRecordPrefix.count).dropLast(".json".count))
    }
}
