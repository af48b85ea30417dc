/// The digest of some content, such as `sha256:44136fa3…`: an algorithm that is known and its value in lower-case hex.
///
/// A value of this type is always well formed, so its parts may stand in paths (OCI image-spec "Digests").
public struct Digest: Sendable, Hashable, CustomStringConvertible {
    /// The algorithm.
    public let algorithm: Algorithm
    /// The value: lower-case hexadecimal digits, as many as the algorithm has.
    public let hex: String

    /// A hash algorithm of the specification.
    public enum Algorithm: String, Sendable, CaseIterable {
        /// SHA-256; every implementation has it.
        case sha256
        /// SHA-384; in use, not registered.
        case sha384
        /// SHA-512.
        case sha512
        /// BLAKE3 with 256 bits.
        case blake3

        /// Number of hexadecimal digits of a value.
        public var hexDigits: Int {
            switch self {
            case .sha256, .blake3: 64
            case .sha384: 96
            case .sha512: 128
            }
        }
    }

    /// Parses `algorithm:hex`.
    ///
    /// - Returns: Nil when the algorithm is unknown, a digit is not lower-case hex or the length is not the algorithm's.
    public init?(_ text: some StringProtocol) {
        guard let colon = text.firstIndex(of: ":") else { return nil }
        guard let algorithm = Algorithm(rawValue: String(text[..<colon])) else { return nil }
        self.init(algorithm: algorithm, hex: String(text[text.index(after: colon)...]))
    }

    /// Makes a digest from its parts.
    ///
    /// - Returns: Nil when a digit is not lower-case hex or the length is not the algorithm's.
    public init?(algorithm: Algorithm, hex: String) {
        guard hex.utf8.count == algorithm.hexDigits else { return nil }
        guard hex.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }) else { return nil }
        self.algorithm = algorithm
        self.hex = hex
    }

    /// Makes a SHA-256 digest from its 32 raw bytes.
    ///
    /// - Returns: Nil unless there are exactly 32 bytes.
    public init?(sha256 bytes: some Collection<UInt8>) {
        let digits = Array("0123456789abcdef".utf8)
        let hex = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        self.init(algorithm: .sha256, hex: String(decoding: hex, as: UTF8.self))
    }

    /// The text `algorithm:hex`.
    public var description: String { "\(algorithm.rawValue):\(hex)" }
}

extension Digest: Codable {
    /// Decodes the text form.
    public init(from decoder: any Decoder) throws {
        let value = try decoder.singleValueContainer()
        let text = try value.decode(String.self)
        guard let digest = Digest(text) else {
            throw DecodingError.dataCorruptedError(in: value, debugDescription: "malformed digest")
        }
        self = digest
    }

    /// Encodes the text form.
    public func encode(to encoder: any Encoder) throws {
        var value = encoder.singleValueContainer()
        try value.encode(description)
    }
}
