import FoundationEssentials
public import Kernel
import SwiftProtobuf

/// Where a shim listens, in any form that `start` prints for some version of containerd.
///
/// `unix://PATH`, or a bare text for an abstract name; alone, in JSON, or in a `BootstrapResult` of protobuf.
public struct ShimAddress: Codable, Equatable, Sendable {
    /// Path of the unix socket, or the bare text.
    public let path: String
    /// Version of the Task service that it speaks, 2 or 3.
    public let version: Int
    /// Whether it had no `unix://`; nil for no.
    private let isBare: Bool?

    private struct Document: Decodable {
        let version: Int?
        let address: String
        let `protocol`: String?
    }

    /// Reads what `start` has printed.
    ///
    /// - Returns: nil for what is no address of a unix socket with ttrpc.
    public init?(_ printed: [UInt8]) {
        let text = String(decoding: printed, as: UTF8.self)
        let trimmed = text.trimmingWhitespace()
        if trimmed.hasPrefix("{") {
            guard let document = try? JSONDecoder().decode(Document.self, from: Data(printed)) else { return nil }
            self.init(document.address, document.version ?? 2, document.protocol ?? "ttrpc")
        } else if Self.isText(trimmed) {
            self.init(trimmed, 2, "ttrpc")
        } else {
            guard let result = try? ContainerdBootstrapResult(serializedBytes: printed) else { return nil }
            self.init(result.address, Int(result.version), result.protocol)
        }
    }

    private init?(_ address: String, _ version: Int, _ wire: String) {
        guard Self.isText(address), (2...3).contains(version), wire == "ttrpc" || wire.isEmpty else { return nil }
        let scheme = "unix://"
        if address.hasPrefix(scheme) {
            path = String(address.dropFirst(scheme.count))
            isBare = nil
            // Go's `@` for the NUL byte of an abstract name.
            guard path.hasPrefix("/") || path.hasPrefix("@") && path.count > 1 else { return nil }
        } else {
            guard !address.contains("://") else { return nil }
            (path, isBare) = (address, true)
        }
        self.version = version
    }

    /// Where to connect to, in this order.
    ///
    /// A bare text is an abstract name for containerd; programs of old Go versions count the NUL byte behind it too. Where nobody has that
    /// name it may have been meant as a path.
    public var places: [UnixSocket.Place] {
        guard isBare == true || path.hasPrefix("@") else { return [.path(path)] }
        let name = Array(path.utf8.drop { $0 == UInt8(ascii: "@") })
        let abstract: [UnixSocket.Place] = [.abstract(name), .abstract(name + [0])]
        return path.hasPrefix("/") ? abstract + [.path(path)] : abstract
    }

    /// One word of printable characters, which no other form of an answer is.
    private static func isText(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { (0x21...0x7e).contains($0) }
    }
}

extension String {
    /// Without white space at both ends.
    fileprivate func trimmingWhitespace() -> String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}
