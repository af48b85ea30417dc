public import Archive
internal import Crypto
public import OCISpec

/// Computes a digest over bytes that come in pieces.
public struct Digester {
    private enum State {
        case sha256(SHA256)
        case sha512(SHA512)
    }

    private var state: State

    /// Starts a digest.
    ///
    /// - Returns: Nil for an algorithm that is not computed here; SHA-256 and SHA-512 are.
    public init?(_ algorithm: OCISpec.Digest.Algorithm = .sha256) {
        switch algorithm {
        case .sha256: state = .sha256(SHA256())
        case .sha512: state = .sha512(SHA512())
        default: return nil
        }
    }

    /// Takes the next bytes.
    public mutating func update(_ bytes: ArraySlice<UInt8>) {
        // The pointer is used during the call only.
        unsafe bytes.withUnsafeBytes { buffer in
            switch state {
            case .sha256(var hash):
                unsafe hash.update(bufferPointer: buffer)
                state = .sha256(hash)
            case .sha512(var hash):
                unsafe hash.update(bufferPointer: buffer)
                state = .sha512(hash)
            }
        }
    }

    /// The digest of everything taken so far.
    public func finish() -> OCISpec.Digest {
        let (algorithm, bytes): (OCISpec.Digest.Algorithm, [UInt8]) =
            switch state {
            case .sha256(let hash): (.sha256, Array(hash.finalize()))
            case .sha512(let hash): (.sha512, Array(hash.finalize()))
            }
        let digits = Array("0123456789abcdef".utf8)
        let hex = bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }
        guard let digest = OCISpec.Digest(algorithm: algorithm, hex: String(decoding: hex, as: UTF8.self)) else {
            preconditionFailure("a computed digest is always well formed")
        }
        return digest
    }

    /// The SHA-256 digest of bytes in memory.
    public static func sha256(_ bytes: [UInt8]) -> OCISpec.Digest {
        guard var digester = Digester(.sha256) else { preconditionFailure("SHA-256 is always computed") }
        digester.update(bytes[...])
        return digester.finish()
    }
}

/// Passes a stream on and computes its digest and length on the way.
public final class DigestingSource: ByteSource {
    private let source: any ByteSource
    private var digester: Digester

    /// Bytes passed on so far.
    public private(set) var count: Int64 = 0

    /// Starts the digest.
    ///
    /// - Returns: Nil for an algorithm that is not computed here.
    public init?(_ source: any ByteSource, _ algorithm: OCISpec.Digest.Algorithm = .sha256) {
        guard let digester = Digester(algorithm) else { return nil }
        self.source = source
        self.digester = digester
    }

    /// The digest of everything passed on so far.
    public var digest: OCISpec.Digest { digester.finish() }

    /// Passes the next bytes on.
    public func read(into buffer: inout [UInt8]) throws(ArchiveError) -> Int {
        let count = try source.read(into: &buffer)
        digester.update(buffer[..<count])
        self.count += Int64(count)
        return count
    }
}
