import FoundationEssentials
import ShimProtocol
import SwiftProtobuf

/// Where a shim listens, in any form that one prints: plain text, JSON, or a BootstrapResult of protobuf.
struct ShimAddress: Codable, Equatable {
    /// Path of the unix socket.
    let path: String
    /// Version of the Task service that it speaks, 2 or 3.
    let version: Int

    private struct Document: Decodable {
        let version: Int?
        let address: String
        let `protocol`: String?
    }

    /// Reads what `start` has printed.
    ///
    /// - Returns: nil for what is no address of a unix socket with ttrpc.
    init?(_ printed: [UInt8]) {
        let text = String(decoding: printed, as: UTF8.self)
        let trimmed = text.trimmingWhitespace()
        if trimmed.hasPrefix("{") {
            guard let document = try? JSONDecoder().decode(Document.self, from: Data(printed)) else { return nil }
            self.init(document.address, document.version ?? 2, document.protocol ?? "ttrpc")
        } else if trimmed.hasPrefix("unix://") || trimmed.hasPrefix("/") {
            self.init(trimmed, 2, "ttrpc")
        } else {
            guard let result = try? ContainerdBootstrapResult(serializedBytes: printed) else { return nil }
            self.init(result.address, Int(result.version), result.protocol)
        }
    }

    private init?(_ address: String, _ version: Int, _ wire: String) {
        let path = address.hasPrefix("unix://") ? String(address.dropFirst(7)) : address
        guard path.hasPrefix("/"), (2...3).contains(version), wire == "ttrpc" || wire.isEmpty else { return nil }
        (self.path, self.version) = (path, version)
    }
}

extension String {
    /// Without white space at both ends.
    fileprivate func trimmingWhitespace() -> String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
